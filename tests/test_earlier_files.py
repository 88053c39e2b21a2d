"""Grids, runs, reports and models of version 0.1.0's first records: they load, and give the numbers of then.

`data/first` was made by `affetto grid run data/first/grid.yaml --corpus table=clips.csv` (the corpus is
`training.corpora.write_table` with four speakers, without parts), `affetto report` and `affetto.load`; the models are
those of fold s0. Probabilities are of two of its clips, on the CPU in float32.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import affetto
from affetto.cli import app
from affetto.experiments import grid
from training.corpora import sound, write_table

HERE = Path(__file__).parent
FIRST = HERE / "data" / "first"
FLOATS = ("score", "low", "high")
OLD_VALUES = {"model.states 1", "training.select macro_f1"}
"""Values of the recommended recipe of then that a report of today names, since today's recipe has others."""
OLD_AXES = "axes:\n  model.states: 1\n  training.select: macro_f1"


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    """Names of the runs of each grid file, and probabilities of two clips of each model."""
    content: dict[str, Any] = json.loads((FIRST / "expected.json").read_text())
    return content


def test_grid_files_plan_runs_of_the_same_names(expected: dict[str, Any]) -> None:
    """A run's name holds the start of its identity: a renamed run would be computed a second time."""
    for name, names in expected["grids"].items():
        planned = [run.name for run in grid.read(HERE.parent / "grids" / name).runs]
        assert planned == names, name


def test_a_finished_grid_is_finished_still(tmp_path: Path) -> None:
    write_table(tmp_path / "corpus", speakers=4, parts=False)
    shutil.copytree(FIRST, tmp_path / "grid")
    plan = tmp_path / "grid.yaml"  # which says today what the recipe said then
    plan.write_text((FIRST / "grid.yaml").read_text().replace("axes:", OLD_AXES))
    before = {path: path.read_bytes() for path in (tmp_path / "grid" / "runs").rglob("*") if path.is_file()}
    arguments = ["grid", "run", str(plan), "--out", str(tmp_path / "grid")]
    result = CliRunner().invoke(app, [*arguments, "--corpus", f"table={tmp_path / 'corpus' / 'clips.csv'}"])
    assert result.exit_code == 0, result.output
    assert "7 of 7 runs are done" in result.output
    assert {path: path.read_bytes() for path in before} == before


def test_a_report_on_it_gives_the_same_scores(tmp_path: Path) -> None:
    out = tmp_path / "report"
    result = CliRunner().invoke(app, ["report", str(FIRST), "--out", str(out), "--format", "csv"])
    assert result.exit_code == 0, result.output
    key = ("run", "method", "part", "measure")
    scores = {tuple(row[name] for name in key): row for row in _rows(out / "results.csv")}
    earlier = _rows(FIRST / "results.csv")
    assert len(earlier) > 50
    for row in earlier:
        now = scores[tuple(row[name] for name in key)]
        for name, value in row.items():
            same = _number(now[name]) == _number(value) if name in FLOATS else _without_old_values(now[name]) == value
            assert same, (row["run"], name)
    comparisons = _rows(FIRST / "comparisons.csv")
    for row, now in zip(comparisons, _rows(out / "tables" / "comparisons.csv"), strict=True):
        assert {name: _without_old_values(now[name]) for name, value in row.items() if value} == {
            k: v for k, v in row.items() if v
        }


@pytest.mark.parametrize("name", sorted(path.name for path in (FIRST / "models").iterdir()))
def test_a_model_gives_the_same_probabilities(name: str, expected: dict[str, Any]) -> None:
    predictor = affetto.load(FIRST / "models" / name, device="cpu", precision="float32")
    answers = predictor.classify([sound(0, 0, 0), sound(3, 2, 0)])
    for answer, probabilities in zip(answers, expected["models"][name], strict=True):
        assert answer.probabilities == pytest.approx(probabilities, abs=2e-4)


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def _without_old_values(text: str) -> str:
    return ", ".join(part for part in text.split(", ") if part not in OLD_VALUES)


def _number(text: str) -> Any:
    return pytest.approx(float(text), abs=1e-6) if text else text
