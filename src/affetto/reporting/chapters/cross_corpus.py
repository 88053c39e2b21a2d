"""Across corpora: the score of a model that was trained on one corpus on another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.reporting.chapters.chapter import Chapter
from affetto.reporting.render.section import Section
from affetto.reporting.render.sheet import MISSING, Cell, Column, Sheet, text_cell
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import percent_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.marks import footnotes, interval_words, span
from affetto.reporting.results.naming import Naming, corpus_title
from affetto.reporting.results.records import Configuration, Evaluation, read_lines
from affetto.reporting.stats import estimation
from affetto.reporting.stats.systems import Predictions, System
from affetto.training.runs import CROSSED, PREDICTIONS

Tests = dict[str, dict[int, Evaluation]]
"""Evaluations of a configuration's runs: {tested corpus: {seed: evaluation}}."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Test scores of a configuration's seeds on one corpus."""

    tests: tuple[Mapping[str, Any], ...]
    estimate: estimation.Estimate | None
    """Score over all of the seeds; None where their predictions do not lie beside them."""
    is_within: bool = False
    """True if the corpus is that of the training: the score is on the test speakers of its split."""


def build(evidence: Evidence) -> Section:
    tables = (cross_table(evidence), cross_table(evidence, unshared=True), single_table(evidence))
    return Section(
        words="Trained on one corpus, tested on another: other voices, other sentences, another room.",
        items=tuple(table for table in tables if table),
    )


def cross_table(evidence: Evidence, *, unshared: bool = False) -> Sheet | None:
    """Train-on × test-on, a row a configuration and training corpus; None where nothing was tested across.

    `unshared` selects the tests without the sentences that both corpora have.
    """
    tests = [(config, tested) for config, tested in _tests_of_runs(evidence, unshared) if tested]
    if not tests:
        return None
    configs = [config for config, _ in tests]
    tested_corpora = [corpus for _, tested in tests for corpus in tested]
    corpora = list(dict.fromkeys([config.axes.corpus for config in configs] + tested_corpora))
    naming = Naming(configs, hide=("corpus",))
    rows = []
    estimates: list[estimation.Estimate] = []
    for config, tested in sorted(tests, key=lambda pair: naming.label(pair[0])):
        scores = _scores(evidence, config, tested)
        estimates += [score.estimate for score in scores.values() if score.estimate]
        cells = [_cell(scores.get(corpus)) for corpus in corpora]
        rows.append((text_cell(corpus_title(config.axes.corpus)), *naming.cells(config), *cells))
    evaluations = [evaluation for _, tested in tests for by_seed in tested.values() for evaluation in by_seed.values()]
    without = " without the sentences that both corpora have" if unshared else ""
    return Sheet(
        name="across-unshared" if unshared else "across",
        title="Across corpora, shared sentences left out" if unshared else "Across corpora",
        columns=(
            Column("trained on", is_number=False),
            *naming.columns(),
            *(Column(corpus_title(corpus)) for corpus in corpora),
        ),
        rows=tuple(rows),
        caption=(
            f"Macro F1 ×100 of a model trained on the corpus of the row, tested on that of the column{without}; mean ± "
            f"standard deviation (ddof 1) over seeds; below: {interval_words(estimates)}, and clips. "
            "In brackets: on its own corpus, the test speakers of its split. Clips that were trained on are left out."
        ),
        notes=footnotes(estimates),
        stamp=stamp_of([*configs, *evaluations]),
    )


def single_table(evidence: Evidence) -> Sheet | None:
    """Evaluations that lie outside any run's folder (`affetto evaluate --out`); None where there are none."""
    run_paths = _configurations_by_path(evidence)
    evaluations = [item for item in evidence.results.evaluations if _run_path(item, run_paths) is None]
    if not evaluations:
        return None
    estimates = [_estimate(evidence, {0: evaluation}, evaluation.corpus) for evaluation in evaluations]
    drawn = [estimate for estimate in estimates if estimate]
    return Sheet(
        name="evaluations",
        title="Single evaluations",
        columns=(
            Column("trained on", is_number=False),
            Column("tested on", is_number=False),
            Column("macro F1"),
            Column("folder", is_number=False),
        ),
        rows=tuple(
            (
                text_cell(corpus_title(evaluation.trained_on)),
                text_cell(corpus_title(evaluation.corpus)),
                _cell(Score(tests=(evaluation.test,), estimate=estimate)),
                text_cell(evaluation.path.name),
            )
            for evaluation, estimate in zip(evaluations, estimates, strict=True)
        ),
        caption=f"Macro F1 ×100; below: {interval_words(drawn)}, and clips.",
        notes=footnotes(drawn),
        stamp=stamp_of(evaluations),
    )


def _tests_of_runs(evidence: Evidence, unshared: bool) -> list[tuple[Configuration, Tests]]:
    """The evaluations that lie in the runs' folders, by configuration.

    A run has one for each corpus: that of `affetto grid cross`, where there are others beside it.
    """
    configs = _configurations_by_path(evidence)
    selected: dict[tuple[Path, str], Evaluation] = {}
    for evaluation in sorted(evidence.results.evaluations, key=lambda item: item.path.parent.name != CROSSED):
        path = _run_path(evaluation, configs)
        if path is not None and evaluation.excludes_shared == unshared:
            selected.setdefault((path, evaluation.corpus), evaluation)
    tests: dict[int, Tests] = {}
    for (path, corpus), evaluation in selected.items():
        config = configs[str(path)]
        seed = next(run.axes.seed for run in config.done if run.path == path)
        tests.setdefault(id(config), {}).setdefault(corpus, {})[seed] = evaluation
    return [(config, tests.get(id(config), {})) for config in evidence.configurations]


def _scores(evidence: Evidence, config: Configuration, tested: Tests) -> dict[str, Score]:
    """{corpus: score} of a configuration: on its own corpus, and on those that it was tested on."""
    within = Score(
        tests=tuple(run.test for run in config.done),
        estimate=evidence.estimate(config),
        is_within=True,
    )
    return {config.axes.corpus: within} | {
        corpus: Score(
            tests=tuple(evaluation.test for evaluation in by_seed.values()),
            estimate=_estimate(evidence, by_seed, corpus),
        )
        for corpus, by_seed in tested.items()
    }


def _estimate(evidence: Evidence, tests: Mapping[int, Evaluation], corpus: str) -> estimation.Estimate | None:
    """The score over all seeds with its interval; None, and a note, where predictions are missing or not of one set."""
    try:
        runs = {}
        for seed, evaluation in tests.items():
            file = evaluation.path / PREDICTIONS["test"]
            rows = read_lines(file)
            if not rows:
                raise UserError(f"{file}: no predictions; the test has no interval")
            # The model of each fold has answered to all clips.
            rows = [{**row, "file": f"{row['file']} {row['fold']}"} if "fold" in row else row for row in rows]
            runs[seed] = Predictions.from_rows(rows, source=str(file))
        return estimation.estimate([System("model", corpus, runs)])
    except UserError as problem:
        evidence.notes.append(str(problem))
        return None


def _run_path(evaluation: Evaluation, configs: Mapping[str, Configuration]) -> Path | None:
    """The folder of the run in which an evaluation lies; None where it lies in none."""
    return next((path for path in evaluation.path.parents if str(path) in configs), None)


def _configurations_by_path(evidence: Evidence) -> dict[str, Configuration]:
    """{folder of a finished run: its configuration}."""
    configs = [config for config in evidence.configurations if config in evidence.results.configurations]
    return {str(run.path): config for config in configs for run in config.done}


def _cell(score: Score | None) -> Cell:
    if score is None:
        return Cell(MISSING)
    spread = estimation.over_seeds({number: test["macro_f1"] for number, test in enumerate(score.tests)})
    deviation, estimate, clips = spread.deviation, score.estimate, score.tests[0]["n"]
    text = percent_text(spread.mean) + ("" if deviation is None else f" ± {percent_text(deviation)}")
    return Cell(
        text=f"({text})" if score.is_within else text,
        key=100 * spread.mean,
        under=f"{'no interval' if estimate is None else span(estimate)}\n{clips:,} clips",
        values=(
            ("mean", 100 * spread.mean),
            ("sd", None if deviation is None else 100 * deviation),
            ("low", None if estimate is None else 100 * estimate.low),
            ("high", None if estimate is None else 100 * estimate.high),
            ("clips", clips),
            ("seeds", len(score.tests)),
        ),
    )


ACROSS = Chapter(name="across", title="Across corpora", order=410, build=build, needs_results=False)
