"""Runs with and without auxiliary corpora: systems of their own, compared by speaker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from affetto.reporting.chapters.provenance import input_table
from affetto.reporting.chapters.runs import run_table
from affetto.reporting.chapters.splits import split_table
from affetto.reporting.papers.dasaro2024.protocols import protocols
from affetto.reporting.render.sheet import MISSING
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.results.contrasts import contrasts
from affetto.reporting.results.naming import Naming
from affetto.reporting.results.summary import summarise
from affetto.splits.split import Split
from affetto.training.runs import SPLIT
from affetto.training.spec import CorpusSpec
from reporting.folders import write_run
from reporting.target_folders import write_target_run


@pytest.fixture(params=[{}, {"auxiliary.standardise": "corpus"}], ids=["pooled", "apart"])
def evidence(request: pytest.FixtureRequest, tmp_path: Path) -> Evidence:
    """EMOVO alone, and with two corpora; two seeds of each."""
    for seed in (0, 1):
        write_run(tmp_path / f"alone{seed}", seed=seed)
        write_run(
            tmp_path / f"joined{seed}",
            seed=seed,
            skill=0.9,
            probe_skill=0.8,
            overrides=request.param,
            auxiliary=tuple(CorpusSpec(name=name, path=f"/data/{name}") for name in ("ravdess", "emodb")),
        )
    return Evidence(collect(tmp_path))


def test_runs_with_and_without_are_not_pooled_and_have_names(evidence: Evidence) -> None:
    configs = evidence.configurations
    assert [(config.axes.method, config.axes.auxiliary, len(config.runs)) for config in configs] == [
        ("probe", "", 2),
        ("probe", "ravdess+emodb", 2),
        ("frozen", "", 2),
        ("frozen", "ravdess+emodb", 2),
    ]
    naming = Naming(configs)
    assert any("with RAVDESS + Emo-DB" in naming.label(config) for config in configs)
    sheet = run_table(evidence.results)
    index = [column.name for column in sheet.columns].index("auxiliary")
    assert {row[index].text for row in sheet.rows} == {MISSING, "with RAVDESS + Emo-DB"}


def test_a_corpus_that_joins_is_compared_with_none_and_methods_under_the_same_corpora(evidence: Evidence) -> None:
    joined = contrasts(evidence, ["auxiliary"])
    assert sorted((contrast.first, contrast.second) for contrast in joined) in (
        [("with RAVDESS + Emo-DB", "alone")] * 2,
        [("alone", "with RAVDESS + Emo-DB")] * 2,
    )
    methods = contrasts(evidence, ["method"])
    assert sorted("with RAVDESS" in contrast.under for contrast in methods) == [False, True]
    for contrast in methods:
        assert len({config.axes.auxiliary for config in contrast.configurations}) == 1


def test_the_paper_s_tables_hold_no_run_with_another_corpus(evidence: Evidence) -> None:
    (protocol,) = protocols(evidence)
    assert {config.axes.auxiliary for config in protocol.configurations} == {""}


RAVDESS = (CorpusSpec(name="ravdess", path="/data/ravdess"),)


def test_other_clips_or_labels_of_an_auxiliary_corpus_make_other_systems(tmp_path: Path) -> None:
    for seed, content in enumerate([("a", 72), ("a", 72), ("b", 18), ("c", 72)]):
        write_run(tmp_path / f"r{seed}", seed=seed, auxiliary=RAVDESS, joined={"ravdess": content})
    write_run(tmp_path / "r9", seed=9, auxiliary=RAVDESS, joined={"ravdess": ("a", 0)}, part=0)
    evidence = Evidence(collect(tmp_path))
    seeds = {
        config.axes.auxiliary: [run.axes.seed for run in config.runs]
        for config in evidence.results.configurations
        if config.axes.method == "frozen"
    }
    first, second = (name for name in seeds if name.startswith("ravdess@clips-"))
    assert seeds == {first: [0, 1, 9], "ravdess@18-clips": [2], second: [3]}
    assert {config.axes.auxiliary_names for config in evidence.configurations} == {("ravdess",)}
    for config in evidence.configurations:
        baseline = evidence.baseline(config)
        assert baseline is not None and baseline.axes.auxiliary == config.axes.auxiliary
    assert "joined the training with different labels or clips" in " ".join(summarise(evidence).caveats)
    for seed, clips in ((0, 72), (2, 18)):
        file = tmp_path / f"r{seed}" / SPLIT
        replace(Split.load(file), notes=(f"{clips} clips of ravdess join",)).save(file)
    notes = split_table(Evidence(collect(tmp_path))).notes
    assert [note.rpartition(": ")[2][:2] for note in notes if "ravdess" in note] == ["72", "18"]
    rows = input_table(evidence.results.done).rows
    assert [row[2].key for row in rows if row[0].text.startswith("with RAVDESS")] == ["a", "b", "c"]


def test_runs_that_learn_from_annotations_have_the_auxiliary_clips_of_those_that_do_not(tmp_path: Path) -> None:
    for target, digest in (("classes", "a"), ("distribution", "with votes")):
        write_target_run(tmp_path / target, target, auxiliary=RAVDESS, joined={"ravdess": (digest, 72)})
    runs = collect(tmp_path).every_done
    assert {run.axes.target: run.axes.auxiliary for run in runs} == {"classes": "ravdess", "distribution": "ravdess"}
