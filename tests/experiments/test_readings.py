"""Labels and readers' options of a grid file: they reach the runs of the corpora that they concern, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.experiments import grid

GRID = """
axes:
  backbone: whisper-mini
  corpus: [iemocap, emovo]
  auxiliary: [null, demos]
  method: frozen
  random_weights: true
"""
READING = """
labels: {fear: drop, "demos:joy": surprise, "emovo:joy": anger}
options: {iemocap: {classes: 6}, demos: {keep_guilt: true}}
"""
PLACES = {name: f"/data/{name}" for name in ("iemocap", "emovo", "demos")}


def read(folder: Path, text: str) -> grid.Grid:
    """The grid of a file with this text."""
    (folder / "grid.yaml").write_text(text, encoding="utf-8")
    return grid.read(folder / "grid.yaml")


def test_labels_and_options_reach_the_runs_that_have_the_corpus(tmp_path: Path) -> None:
    runs = read(tmp_path, GRID + READING).runs
    specs = {(run["corpus"], run["auxiliary"]): run.spec(PLACES) for run in runs}
    shared, own, more = {"fear": "drop"}, {"emovo:joy": "anger"}, {"demos:joy": "surprise"}
    assert {key: run.labels for key, run in specs.items()} == {
        ("iemocap", None): shared,
        ("iemocap", "demos"): shared | more,
        ("emovo", None): shared | own,
        ("emovo", "demos"): shared | own | more,
    }
    joined = specs["iemocap", "demos"]
    assert joined.corpora[0].options == {"classes": "6"} and joined.auxiliary[0].options == {"keep_guilt": "true"}
    assert specs["emovo", None].corpora[0].options == {}


def test_a_corpus_may_be_written_in_capitals_and_says_nothing_by_an_empty_mapping(tmp_path: Path) -> None:
    plain = [run.name for run in read(tmp_path, GRID).runs]
    named = [run.name for run in read(tmp_path, GRID + "labels: {'demos:joy': surprise}\n").runs]
    assert [run.name for run in read(tmp_path, GRID + "labels: {' DEMOS : joy': surprise}\n").runs] == named != plain
    for text in ("labels: {}\noptions: {iemocap: {}, emovo: }\n", "labels:\noptions:\n"):
        assert [run.name for run in read(tmp_path, GRID + text).runs] == plain


def test_the_documented_example_is_a_grid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/grids.md").read_text(encoding="utf-8")
    example = page.split("```yaml\n", 1)[1].split("```", 1)[0]
    runs = [run for run in read(tmp_path, example).runs if run["corpus"] == "demos"]
    assert runs and runs[0].spec({"demos": "/data"}).corpora[0].options == {"keep_guilt": "true"}
    assert runs[0].spec({"demos": "/data"}).labels == {"fear": "drop", "demos:guilt": "sadness"}


def test_runs_with_other_labels_or_options_have_other_names_and_all_others_keep_theirs(tmp_path: Path) -> None:
    plain = {(run["corpus"], run["auxiliary"]): run for run in read(tmp_path, GRID).runs}
    for text in ("labels: {'demos:joy': surprise}\n", "options: {demos: {keep_guilt: true}}\n"):
        changed = {(run["corpus"], run["auxiliary"]): run for run in read(tmp_path, GRID + text).runs}
        assert {key for key in plain if plain[key].name != changed[key].name} == {(c, "demos") for c, _ in plain}
    assert "labels" not in plain["emovo", None].to_json()
    labels = {run["auxiliary"]: run.to_json().get("labels") for run in read(tmp_path, GRID + READING).runs}
    assert labels["demos"] == {"fear": "drop", "demos:joy": "surprise", "emovo:joy": "anger"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels: {emov:joy: anger}", "unknown corpus in labels emov:joy=anger: 'emov': did you mean 'emovo'?"),
        ("labels: {joy: ''}", "the label map joy= lacks a side"),
        ("labels: {joy: 1}", "label 'joy' has 1 as its emotion; put it in quotes if it is a word"),
        ("labels: {no: joy}", "False under `labels` is no word; put it in quotes if it is meant as one"),
        ("labels: joy", "`labels` is a mapping, as {calm: neutrality}, not 'joy'"),
        ("options: {emov: {x: 1}}", "unknown corpus under `options` in "),
        ("options: {iemocap: {classes: 5}}", "corpus iemocap: option classes='5' must be 4 or 6"),
        ("options: {emovo: {x: 1}}", "corpus emovo: unknown option for emovo 'x'"),
        ("options: {emovo: 3}", "`options.emovo` is a mapping, as {classes: 6}, not 3"),
    ],
)
def test_what_is_no_label_or_option_is_refused_in_a_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as error:
        read(tmp_path, f"{GRID}{text}\n")
    assert "grid.yaml" in str(error.value)
