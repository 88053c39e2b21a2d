"""Extensions: each toy is one file, registers by an entry point, and walks through the commands that a user knows."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from affetto.backbones.catalogue import BACKBONES
from affetto.cli import app
from affetto.corpora.registry import CORPORA
from affetto.measures.registry import MEASURES
from plugins import install
from toys.family import BREEZE
from training.corpora import RATE_HZ, sound, write_table

TESTS = Path(__file__).parent
RUN = ["--backbone", "whisper-mini", "--random-weights", "--set", "compute.precision=float32", "--quiet"]


@pytest.fixture
def affetto() -> Callable[..., str]:
    """`affetto(*words)` runs a command in this process and returns its output."""

    def run(*words: object) -> str:
        result = CliRunner().invoke(app, list(map(str, words)))
        assert result.exit_code == 0, result.output
        return result.output

    return run


@pytest.fixture
def lodge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a corpus that only a plug-in can read."""
    install(tmp_path / "site", monkeypatch, "affetto.corpora", lodge="toys.corpus:CORPUS")
    CORPORA.reload()
    folder = tmp_path / "LODGE" / "takes"
    folder.mkdir(parents=True)
    for speaker, porter in enumerate(("ada", "bea", "carlo")):
        for emotion, mood in enumerate(("gio", "tri")):
            for take in (1, 2):
                wave = sound(3 * emotion, speaker, take)
                soundfile.write(folder / f"{porter}-{mood}-{take}.wav", wave, RATE_HZ, subtype="FLOAT")
    yield folder.parent
    monkeypatch.undo()
    CORPORA.reload()


def test_a_corpus_is_inspected_split_trained_on_and_reported(
    lodge: Path, tmp_path: Path, affetto: Callable[..., str]
) -> None:
    assert "Lodge" in affetto("corpora", "list") and "lodge" in CORPORA
    facts = json.loads(affetto("corpora", "inspect", lodge, "--json"))
    assert (facts["corpus"], facts["clips"], facts["speakers"], facts["licence"]) == ("lodge", 12, 3, "public domain")
    assert facts["official"] == {"joy": 6, "sadness": 6} and not facts["notes"] and not facts["problems"]
    affetto("train", "--corpus", f"lodge={lodge}", "--method", "probe", *RUN, "--out", tmp_path / "run")
    split = json.loads((tmp_path / "run" / "split.json").read_text())
    assert (split["protocol"], [fold["name"] for fold in split["folds"]]) == ("loso", ["ada", "bea", "carlo"])
    affetto("report", tmp_path / "run", "--out", tmp_path / "report", "--format", "csv", "--format", "markdown")
    pages = "".join(path.read_text() for path in (tmp_path / "report").rglob("*.md"))
    assert "Lodge" in pages


SEVERAL_COMMANDS = """
import json, sys
from affetto.cli import main
for words in json.load(sys.stdin):
    sys.argv = ["affetto", *words]
    print("===", *words, flush=True)
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise
"""


def in_a_new_process(site: Path, *commands: Sequence[object]) -> list[str]:
    """What each command prints, in one process that has the plug-ins of `site` from its start on."""
    path = os.pathsep.join([str(site), str(TESTS), os.environ.get("PYTHONPATH", "")])
    words = json.dumps([[str(word) for word in command] for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL_COMMANDS],
        input=words,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [part.partition("\n")[2] for part in done.stdout.split("=== ")[1:]]


def test_a_method_is_set_trained_combined_reported_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "site", monkeypatch, "affetto.methods", gains="toys.method:Gains")
    table = write_table(tmp_path / "corpus", speakers=4)
    common = ["--table", table, *RUN, "--no-probe", "--set", "training.epochs=1"]
    clip = table.parent / "audio" / "s3-joy-0.wav"
    runs = tmp_path / "runs"
    listed, settings, *_, trained, exported = in_a_new_process(
        tmp_path / "site",
        ["methods"],
        ["settings", "--method", "gains"],
        ["train", *common, "--method", "gains", "--out", runs / "alone"],
        ["train", *common, "--method", "lora+gains", "--set", "gains.start=0.9", "--out", runs / "both"],
        ["report", runs, "--out", tmp_path / "report"],
        ["export", runs / "both", "--to", "hf", "--out", tmp_path / "hf"],
        ["predict", runs / "both", clip, "--format", "json"],
        ["predict", tmp_path / "hf", clip, "--format", "json"],
    )
    assert "Gains: a factor on each feature of a block's feed-forward part" in listed
    assert "gains.start=1.1" in settings
    metrics = [json.loads((runs / name / "metrics.json").read_text()) for name in ("alone", "both")]
    assert metrics[0]["trainable_parameters"] < metrics[1]["trainable_parameters"]
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Gains" in page and "LoRA + Gains" in page
    ours, exports = (json.loads(text)[0]["probabilities"] for text in (trained, exported))
    assert all(abs(ours[emotion] - exports[emotion]) < 1e-4 for emotion in ours)


@pytest.mark.parametrize("toy", ["method", "measure", "family", "head", "model"])
def test_the_guide_shows_the_toy_that_is_tested(toy: str) -> None:
    guide = (TESTS.parent / "docs" / "guide" / "7-add.md").read_text(encoding="utf-8")
    assert (TESTS / "toys" / f"{toy}.py").read_text(encoding="utf-8").strip() in guide


def test_a_family_and_a_head_are_trained_reported_exported_and_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, checkpoint, run = tmp_path / "site", tmp_path / "breeze-mini", tmp_path / "run"
    install(site, monkeypatch, "affetto.families", breeze="toys.family:BREEZE")
    install(site, monkeypatch, "affetto.heads", peak="toys.head:PEAK")
    config = BREEZE.config_class(**BACKBONES["wav2vec2-mini"].config, gain=2.0)
    BREEZE.model_class(config).save_pretrained(checkpoint)
    BREEZE.feature_extractor({"normalize": True}).save_pretrained(checkpoint)
    table = write_table(tmp_path / "corpus", speakers=4)
    settings = ["training.epochs=1", "compute.precision=float32", "model.head=peak"]
    options = [word for setting in settings for word in ("--set", setting)]
    options += ["--table", table, "--method", "lora", "--recipe", "paper", "--no-probe", "--quiet"]
    clip = table.parent / "audio" / "s3-joy-0.wav"
    *_, trained, exported = in_a_new_process(
        site,
        ["train", *options, "--backbone", checkpoint, "--out", run],
        ["report", run, "--out", tmp_path / "report", "--format", "html"],
        ["export", run, "--to", "hf", "--out", tmp_path / "hf"],
        ["predict", run, clip, "--format", "json"],
        ["predict", tmp_path / "hf", clip, "--format", "json"],
    )
    card = json.loads((run / "model" / "affetto.json").read_text())
    assert (card["backbone"]["family"], card["blueprint"]["head"]["name"]) == ("breeze", "peak")
    assert "breeze-mini" in (tmp_path / "report" / "index.html").read_text()
    ours, exports = (json.loads(text)[0]["probabilities"] for text in (trained, exported))
    assert all(abs(ours[emotion] - exports[emotion]) < 1e-4 for emotion in ours)


@pytest.fixture
def kappa_and_surprise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two measures that only a plug-in knows."""
    install(tmp_path / "site", monkeypatch, "affetto.measures", toys="toys.measure:MEASURES")
    MEASURES.reload()
    yield
    monkeypatch.undo()
    MEASURES.reload()


@pytest.mark.usefixtures("kappa_and_surprise")
def test_a_measure_is_in_metrics_tables_and_cards_also_of_runs_made_before_it(
    tmp_path: Path, affetto: Callable[..., str]
) -> None:
    runs, first = tmp_path / "runs", TESTS / "data" / "first"
    table = write_table(tmp_path / "corpus", speakers=4)
    affetto("train", "--table", table, "--method", "probe", *RUN, "--out", runs / "new")
    test = json.loads((runs / "new" / "metrics.json").read_text())["test"]
    # Of balanced classes that are K labels, kappa is (accuracy - 1/K) / (1 - 1/K).
    assert test["kappa"] == pytest.approx((test["accuracy"] - 1 / 7) / (6 / 7)) and test["chance"]["kappa"] == 0
    assert test["surprise"] > 0 and set(test["interval"]) >= {"kappa", "surprise"}

    name = "table_wav2vec2-mini_adapter_recommended_s0_cc82c35c"
    shutil.copytree(first / "runs" / name, runs / "old")
    shutil.copytree(first / "models" / "wav2vec2-mini_adapter", runs / "old" / "model")
    affetto("report", runs, "--out", tmp_path / "report", "--format", "csv", "--format", "html")
    with (tmp_path / "report" / "results.csv").open(newline="") as file:
        rows = [
            row for row in csv.DictReader(file) if row["part"] == "test" and row["measure"] in ("kappa", "surprise")
        ]
    assert {(row["run"], row["measure"]) for row in rows} >= {
        (run, measure) for run in ("new", "old") for measure in ("kappa", "surprise")
    }
    assert all(float(row["low"]) <= float(row["score"]) <= float(row["high"]) for row in rows)
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Cohen&#39;s kappa" in page and "surprise (bits)" in page

    for run in ("new", "old"):
        affetto("export", runs / run, "--to", "hub", "--out", tmp_path / f"{run}-card")
    new, old = ((tmp_path / f"{run}-card" / "README.md").read_text() for run in ("new", "old"))
    assert "| Cohen's kappa | " in new and "| surprise (bits) | " in new and "surprise (bits): as computed" in new
    row = next(line for line in old.splitlines() if line.startswith("| Cohen's kappa"))
    assert "—" in row and "(bits)" not in old
