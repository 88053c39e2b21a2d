"""The demonstration runs every step, shows what it does, continues where it was, and takes real networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto import demo
from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.checkpoints import load_backbone
from affetto.demo import networks
from affetto.demo.speech import Size
from affetto.demo.terminal import shell_line
from affetto.errors import UserError
from affetto.experiments.grid import read

pytest.importorskip("espeakng_loader")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint that is as small as can be."""
    from transformers import Wav2Vec2FeatureExtractor

    folder = tmp_path_factory.mktemp("networks") / "small"
    load_backbone("wav2vec2-mini", random_weights=True).model.save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_all_steps(tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    size = Size(speakers=7, clips=49)
    runs = demo.run(out, backbone=str(checkpoint), size=size, epochs=1, corpora=("emovo", "demos"))
    shown = " ".join(capsys.readouterr().out.split())
    assert len(runs) == 2 * 3
    for metrics in runs.values():
        assert metrics["synthetic"] is True and metrics["test"]["n"] == 49 and "probe" in metrics
    page = (out / "report/index.html").read_text()
    assert "synthetic speech" in page.lower() and "The speech is synthetic" in shown and "95 % interval" in shown
    for command in ("corpora make demos", "corpora inspect", "grid run", "affetto report", "affetto predict"):
        assert command in shown
    assert "the pre-trained network small" in shown and "of 7 labels are right" in shown
    (emovo,) = [m for m in runs.values() if m["method"] == "adapter" and m["corpus"] == "emovo"]
    (row,) = [line for line in shown.split("chance")[0].split("adapter ")[1:] if line[0].isdigit()][:1]
    assert f"{100 * emovo['test']['macro_f1']:.1f}" in row and f"{emovo['trainable_parameters']:,}" in row
    # All that it shows can be done by hand: the grid file has the runs that were done, and finds the corpora.
    grid = read(out / "grid.yaml")
    assert {run.name for run in grid.runs} == set(runs) and all(Path(place).is_dir() for place in grid.corpora.values())
    before = {path: path.stat().st_mtime_ns for path in out.rglob("metrics.json")}
    again = demo.run(out, size=size, epochs=1, corpora=("emovo", "demos"))
    assert again == runs, "without a backbone it continues with the one that it began with"
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("metrics.json")}


def test_random_networks_are_of_every_family_in_both_orders_of_layer_norm() -> None:
    shown = [BACKBONES[key] for key in networks.RANDOM]
    assert {row.family for row in shown} == {row.family for row in BACKBONES.values()}
    orders = {row.config.get("do_stable_layer_norm", False) for row in shown if row.family == "wav2vec2"}
    assert orders == {True, False}


def test_without_cache_and_hub_the_networks_are_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(name: str) -> None:
        raise UserError(f"the Hugging Face hub cannot be reached for {name!r} (no answer): give a folder")

    monkeypatch.setattr("affetto.backbones.checkpoints.load_backbone", unreachable)
    lines: list[str] = []
    chosen = networks.choose(None, grid_file=tmp_path / "grid.yaml", say=lines.append)
    assert chosen == networks.random_networks() and chosen.is_random
    (line,) = lines
    assert line.startswith("the Hugging Face hub cannot be reached for 'openai/whisper-tiny'") and "--backbone" in line
    with pytest.raises(UserError, match="cannot be reached"):  # one that was asked for is not replaced
        networks.choose("owner/name", grid_file=tmp_path / "grid.yaml", say=lines.append)


def test_networks_that_were_asked_for(tmp_path: Path, checkpoint: Path) -> None:
    chosen = networks.choose(str(checkpoint), grid_file=tmp_path / "grid.yaml", say=print)
    assert chosen.backbones == (str(checkpoint),) and not chosen.is_random
    assert networks.choose(None, random_weights=True, grid_file=tmp_path / "grid.yaml", say=print).is_random
    with pytest.raises(UserError, match="leave one out"):
        networks.choose(str(checkpoint), random_weights=True, grid_file=tmp_path / "grid.yaml", say=print)
    (tmp_path / "grid.yaml").write_text("axes: {backbone: [a]}")
    with pytest.raises(UserError, match=r"grid\.yaml is not the grid of a demonstration"):
        networks.choose(None, grid_file=tmp_path / "grid.yaml", say=print)


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"mine\.txt.*--out"):
        demo.run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_long_command_continues_with_an_option_and_its_value() -> None:
    line = shell_line("affetto", "predict", "a folder", "--out", "b", width=24)
    assert line == "affetto predict \\\n    'a folder' --out b"
