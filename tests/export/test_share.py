"""A folder to publish: its card is read by the hub's own code, it loads again, and goes to a hub and back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard

import affetto
from affetto.errors import UserError
from affetto.export.upload import export_hub
from affetto.inference.notices import NOTICES
from affetto.training.train import train
from export.hub import running
from training.corpora import sound, spec, write_table


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("share")
    table = write_table(folder)
    train(spec(table, "lora", backbone="whisper-mini", overrides={"model.layer": "2"}), folder / "run")
    return folder / "run"


WAVE = sound(3, 9, 0)


def heard(model: str | Path) -> list[float]:
    return list(affetto.load(model, device="cpu")(np.asarray(WAVE)).probabilities.values())


def test_the_folder_loads_again_and_tells_what_it_is(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "published"
    assert export_hub(run, out) == str(out)
    assert heard(out) == heard(run)
    assert {path.name for path in out.iterdir()} == {
        "README.md",
        "affetto.json",
        "datasheet.md",
        "head.safetensors",
        "method",
        "novelty.safetensors",
    }
    assert (out / "datasheet.md").read_text() == (run / "datasheet.md").read_text()
    assert (out / "method" / "adapter_config.json").is_file()
    metrics = json.loads((run / "metrics.json").read_text())
    card = ModelCard.load(out / "README.md")
    results = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert results["macro F1"] == round(metrics["test"]["macro_f1"], 4)
    assert results["UAR"] == round(metrics["test"]["uar"], 4) and len(results) == 4
    assert card.data.library_name == "affetto" and "lora" in card.data.tags
    low, high = metrics["test"]["interval"]["uar"]
    for told in (
        metrics["split_checksum"],
        f"{100 * low:.1f}–{100 * high:.1f}",
        "Article 5(1)(f)",
        "workplace",
        "education",
        "Article 50(3), since 2026-08-02",
        *NOTICES.values(),
        "Intended use and limits",
        "Licence of the data",
        "not known to affetto",
        "This model was trained on data of which it is not known whether commercial use is allowed",
        "| sadness |",
        "[data sheet](datasheet.md)",
        "affetto.load",
        "| errors at 100 % answered |",
        f"AURC |\n{'| ---: ' * 4}|\n| {100 * (1 - metrics['test']['accuracy']):.1f} |",
        "`affetto predict --refuse-novel 0.",
    ):
        assert told in card.text, told
    assert str(run.parent) not in (out / "affetto.json").read_text() + card.text


def test_to_a_hub_and_back(run: Path, tmp_path: Path) -> None:
    """The real client against a stand-in on the loopback: uploaded by the command, loaded by the hub's id."""
    with running() as hub:
        environment = os.environ | {
            "HF_ENDPOINT": hub.address,
            "HF_HUB_OFFLINE": "0",
            "HF_TOKEN": "hf_secret",
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
        }
        command = [sys.executable, "-m", "affetto", "export", str(run), "--to", "hub", "--push", "some/one"]
        command += ["--out", str(tmp_path / "out")]
        pushed = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert pushed.returncode == 0, pushed.stderr
        assert hub.files.keys() >= {"README.md", "affetto.json", "head.safetensors", "method/adapter_model.safetensors"}
        assert "Bearer hf_secret" in hub.tokens and "some/one" in pushed.stdout
        hub.files["harm.py"] = b"raise SystemExit"
        program = (
            "import json, numpy, sys, affetto\n"
            "model = affetto.load('some/one', device='cpu')\n"
            f"print(json.dumps(list(model(numpy.load({str(tmp_path / 'wave.npy')!r})).probabilities.values())))\n"
        )
        np.save(tmp_path / "wave.npy", WAVE)
        loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
        assert loaded.returncode == 0, (loaded.stderr[-700:], hub.asked)
        assert json.loads(loaded.stdout.splitlines()[-1]) == pytest.approx(heard(run), abs=1e-6)
        assert not [path for path in hub.asked if "harm.py" in path]


def test_what_cannot_be_published(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(UserError, match="HF_TOKEN"):
        export_hub(run, tmp_path / "out", push="some/one")
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(UserError, match="the Hugging Face hub has not taken 'some/one'") as told:  # HF_HUB_OFFLINE
        export_hub(run, tmp_path / "out", push="some/one")
    assert "hf_secret" not in str(told.value) and heard(tmp_path / "out") == heard(run)
    with pytest.raises(UserError, match=r"no metrics\.json"):
        export_hub(run / "model", tmp_path / "other")


def test_a_backbone_that_others_lack(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    copied = shutil.copytree(run, tmp_path / "run")
    card = json.loads((copied / "model" / "affetto.json").read_text())
    card["backbone"] |= {"name": str(tmp_path / "private" / "checkpoint"), "random_weights": False}
    (copied / "model" / "affetto.json").write_text(json.dumps(card))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    with pytest.raises(UserError, match="--base"):
        export_hub(copied, tmp_path / "out", push="some/one")
    export_hub(copied, tmp_path / "out", base="owner/checkpoint")
    assert json.loads((tmp_path / "out" / "affetto.json").read_text())["backbone"]["name"] == "owner/checkpoint"
    assert ModelCard.load(tmp_path / "out" / "README.md").data.base_model == "owner/checkpoint"


def test_an_unknown_hub_id_is_told_in_one_line() -> None:
    with pytest.raises(UserError, match=r"no run folder nobody/nothing; as a hub id: .*cannot be reached"):
        affetto.load("nobody/nothing")
