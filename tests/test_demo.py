"""The demo goes the whole road, shows what it does, and goes on where it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto import demo
from affetto.errors import UserError
from affetto.experiments.grid import read
from affetto.models.catalogue import BACKBONES

pytest.importorskip("espeakng_loader")
pytest.importorskip("matplotlib")
SMALL = {"speakers": 7, "clips": 49, "epochs": 1, "backbones": ("whisper-mini",), "corpora": ("emovo", "demos")}


@pytest.mark.slow
def test_the_whole_road(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    made = demo.run(out, **SMALL)
    shown = capsys.readouterr().out
    assert len(made) == 2 * 3
    for metrics in made.values():
        assert metrics["synthetic"] is True and metrics["test"]["n"] == 49 and "probe" in metrics
    page = (out / "report/index.html").read_text()
    told = " ".join(shown.split())
    assert "synthetic speech" in page.lower() and "the speech is synthetic" in told and "95 % interval" in told
    for command in ("corpora make demos", "corpora inspect", "grid run", "affetto report", "affetto predict"):
        assert command in told
    # What it shows can be done by hand: the grid file has the runs that were done, and finds the corpora.
    grid = read(out / "grid.yaml")
    assert {run.name for run in grid.runs} == set(made) and all(Path(place).is_dir() for place in grid.corpora.values())
    before = {path: path.stat().st_mtime_ns for path in out.rglob("metrics.json")}
    assert demo.run(out, **SMALL) == made
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("metrics.json")}


def test_it_shows_every_family_in_both_orders_of_layer_norm() -> None:
    shown = [BACKBONES[key] for key in demo.BACKBONES]
    assert {one.family for one in shown} == {one.family for one in BACKBONES.values()}
    orders = {one.config.get("do_stable_layer_norm", False) for one in shown if one.family == "wav2vec2"}
    assert orders == {True, False}


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match=r"mine\.txt.*--out"):
        demo.run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
