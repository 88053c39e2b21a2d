"""Tests across corpora: train-on × test-on, a matrix for each system.

A system is what was trained in the same way on several corpora: backbone, method, recipe, settings. Auxiliary corpora
and split are part of it where a corpus was trained on with several of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from affetto.corpora.registry import languages_of
from affetto.errors import UserError
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.evaluations import Evaluation
from affetto.reporting.results.lines import read_lines
from affetto.reporting.results.naming import Naming
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats import estimation
from affetto.reporting.stats.systems import Predictions, System, check_same_clips
from affetto.training.runs import CROSSED, PREDICTIONS

OWN, ACROSS, AUXILIARY, JOINED = "own", "across", "auxiliary", "joined"
"""Relations of a tested corpus to the training: its own corpus, another, an auxiliary one, one of several together."""
NO_DIFFERENCE = ("corpus", "seed", "backbone_name", "weights_seed")
"""Axes that are no difference of systems by themselves: others tell them."""
DEFAULTS = ("auxiliary", "split")
"""Axes that may differ from corpus to corpus within a system."""

Tests = dict[str, dict[int, Evaluation]]
"""Evaluations of a configuration's runs: {tested corpus: {seed: evaluation}}."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Test scores of a configuration's seeds on one corpus."""

    relation: str
    tests: tuple[Mapping[str, Any], ...] = ()
    """Scores of each seed; () of a corpus of the training that was not tested."""
    estimate: estimation.Estimate | None = None
    """Score over all of the seeds; None where their predictions do not lie beside them."""
    system: System | None = None
    """Predictions by seed; None where they cannot be read."""
    evaluations: tuple[Evaluation, ...] = ()
    """Evaluations of the seeds; () on the own corpus."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Tests of one configuration: {tested corpus: score}."""

    config: Configuration
    scores: Mapping[str, Score]

    @property
    def dataset(self) -> str:
        """Corpus of the training, without its edition."""
        return self.config.axes.dataset

    def across(self) -> dict[str, Score]:
        """Tests on other corpora."""
        return {corpus: score for corpus, score in self.scores.items() if score.relation == ACROSS}


@dataclass(frozen=True, kw_only=True)
class CrossedSystem:
    """Matrix of one system: a row for each corpus that it was trained on."""

    label: str
    """Name among the systems of the matrices."""
    rows: tuple[Row, ...]

    @cached_property
    def corpora(self) -> tuple[str, ...]:
        """Tested corpora: those of the training first."""
        tested = [corpus for row in self.rows for corpus in row.scores]
        return tuple(dict.fromkeys([row.dataset for row in self.rows] + tested))

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        return tuple(row.config for row in self.rows)

    @property
    def origins(self) -> list[Configuration | Evaluation]:
        """Results that the matrix shows."""
        evaluations = [item for row in self.rows for score in row.scores.values() for item in score.evaluations]
        return [*self.configurations, *evaluations]

    def systems(self, *, same_language: bool | None = None) -> dict[str, list[System]]:
        """Predictions of the tests on other corpora by tested corpus, one for each corpus of the training.

        `same_language` selects the tests on a corpus of the training's language, or of another one.
        """
        tests: dict[str, list[System]] = {}
        for row in self.rows:
            for corpus, score in row.across().items():
                if score.system and same_language in (None, shares_language(row.dataset, corpus)):
                    tests.setdefault(corpus, []).append(score.system)
        return tests

    def own_tests(self) -> dict[str, list[System]]:
        """Predictions of the tests on the own corpora, by corpus."""
        scores = {row.config.axes.corpus: row.scores[row.dataset] for row in self.rows if row.dataset in row.scores}
        return {corpus: [score.system] for corpus, score in scores.items() if score.relation == OWN and score.system}


def crossed_systems(evidence: Evidence, *, unshared: bool = False) -> list[CrossedSystem]:
    """The matrices of all systems that were tested across, in the order of the configurations.

    `unshared` selects the tests without the sentences that both corpora have.
    """
    tests = [(config, tested) for config, tested in tests_of_runs(evidence, unshared) if tested]
    groups = _grouped([config for config, _ in tests])
    tested_by = {id(config): tested for config, tested in tests}
    varying = {axis for group in groups for axis in DEFAULTS if len({_value(config, axis) for config in group}) > 1}
    naming = Naming([config for config, _ in tests], hide=("corpus", *varying))
    return [
        CrossedSystem(
            label=naming.label(group[0]),
            rows=tuple(Row(config=config, scores=_scores(evidence, config, tested_by[id(config)])) for config in group),
        )
        for group in groups
    ]


def shares_language(trained: str, tested: str) -> bool | None:
    """True if the tested corpus's languages are all among the training's; None where a language is not known."""
    of_training, of_test = (set(filter(None, languages_of(names).split(", "))) for names in (trained, tested))
    return of_test <= of_training if of_training and of_test else None


def tests_of_runs(evidence: Evidence, unshared: bool) -> list[tuple[Configuration, Tests]]:
    """The evaluations that lie in the runs' folders, by configuration.

    A run has one for each corpus: that of `affetto grid cross`, where there are others beside it.
    """
    configs = configurations_by_path(evidence)
    selected: dict[tuple[Path, str], Evaluation] = {}
    for evaluation in sorted(evidence.results.evaluations, key=lambda item: item.path.parent.name != CROSSED):
        path = run_path(evaluation, configs)
        if path is not None and evaluation.excludes_shared == unshared:
            selected.setdefault((path, evaluation.corpus), evaluation)
    tests: dict[int, Tests] = {}
    for (path, corpus), evaluation in selected.items():
        config = configs[str(path)]
        seed = next(run.axes.seed for run in config.done if run.path == path)
        tests.setdefault(id(config), {}).setdefault(corpus, {})[seed] = evaluation
    return [(config, tests.get(id(config), {})) for config in evidence.configurations]


def run_path(evaluation: Evaluation, configs: Mapping[str, Configuration]) -> Path | None:
    """The folder of the run that an evaluation is a result of: the one in which it lies; None where it lies in none.

    Answers averaged over copies, or of a model adapted to the speakers, are no result of the run: other tests beside
    them are without.
    """
    if evaluation.protocol_text:
        return None
    return next((path for path in evaluation.path.parents if str(path) in configs), None)


def configurations_by_path(evidence: Evidence) -> dict[str, Configuration]:
    """{folder of a finished run: its configuration}."""
    configs = [config for config in evidence.configurations if config in evidence.results.configurations]
    return {str(run.path): config for config in configs for run in config.done}


def read_system(evidence: Evidence, tests: Mapping[int, Evaluation], corpus: str) -> System | None:
    """Predictions of the seeds; None, and a note, where predictions are missing or not of one set."""
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
        return System("model", corpus, runs)
    except UserError as problem:
        evidence.notes.append(str(problem))
        return None


def differing_axes(first: CrossedSystem, second: CrossedSystem) -> int:
    """Number of axes beside corpus and seed in which two systems differ, on the first corpus that both have."""
    rivals = {row.config.axes.corpus: row.config for row in second.rows}
    for row in first.rows:
        rival = rivals.get(row.config.axes.corpus)
        if rival is not None:
            axes = [axis for axis in row.config.axes.__dataclass_fields__ if axis not in NO_DIFFERENCE]
            return sum(_value(row.config, axis) != _value(rival, axis) for axis in axes)
    return 0


def shared_tests(
    evidence: Evidence, first: CrossedSystem, second: CrossedSystem
) -> dict[str, list[tuple[System, System]]]:
    """Tests that two systems share, on the same clips: {tested corpus: a pair for each corpus of the training}.

    Tests on other clips become notes.
    """
    pairs: dict[str, list[tuple[System, System]]] = {}
    of_second = {row.config.axes.corpus: row.across() for row in second.rows}
    for row in first.rows:
        for corpus, score in row.across().items():
            rival = of_second.get(row.config.axes.corpus, {}).get(corpus)
            if rival is None or rival.system is None or score.system is None:
                continue
            try:
                first_run, second_run = (next(iter(system.runs.values())) for system in (score.system, rival.system))
                check_same_clips(first_run, second_run, f"{first.label} on {corpus}", second.label)
                pairs.setdefault(corpus, []).append((score.system, rival.system))
            except UserError as problem:
                evidence.notes.append(str(problem))
    return pairs


def _grouped(configs: Sequence[Configuration]) -> list[list[Configuration]]:
    """Configurations by system: by all axes but corpus and seed, and by those of DEFAULTS where a corpus has two."""
    groups: dict[Any, list[Configuration]] = {}
    for config in configs:
        groups.setdefault(config.axes.without("corpus", "seed", *DEFAULTS), []).append(config)
    divided = list(groups.values())
    for axis in DEFAULTS:
        divided = [part for group in divided for part in _divided(group, axis)]
    return divided


def _divided(group: list[Configuration], axis: str) -> list[list[Configuration]]:
    """The group by the values of an axis, where a corpus has several configurations that differ in it."""
    values: dict[str, set[str]] = {}
    for config in group:
        values.setdefault(config.axes.corpus, set()).add(_value(config, axis))
    if all(len(of_corpus) == 1 for of_corpus in values.values()):
        return [group]
    parts: dict[str, list[Configuration]] = {}
    for config in group:
        parts.setdefault(_value(config, axis), []).append(config)
    return list(parts.values())


def _value(config: Configuration, axis: str) -> str:
    return config.split if axis == "split" else str(getattr(config.axes, axis))


def _scores(evidence: Evidence, config: Configuration, tested: Tests) -> dict[str, Score]:
    """{corpus: score} of a configuration: on its own corpus, on others of its training, and on all others tested."""
    axes = config.axes
    joined = dict.fromkeys(axes.dataset.split("+"), JOINED) | dict.fromkeys(axes.auxiliary_names, AUXILIARY)
    joined.pop("", None)
    system = evidence.system(config)
    scores = {corpus: Score(relation=relation) for corpus, relation in joined.items()}
    scores[axes.dataset] = Score(
        relation=OWN,
        tests=tuple(run.test for run in config.done),
        estimate=evidence.estimate(config),
        system=system,
    )
    for corpus, by_seed in tested.items():
        if corpus == axes.dataset:
            continue  # the run's own score is on the test speakers of its split
        system = read_system(evidence, by_seed, corpus)
        scores[corpus] = Score(
            relation=joined.get(corpus, ACROSS),
            tests=tuple(evaluation.test for evaluation in by_seed.values()),
            estimate=estimation.estimate([system]) if system else None,
            system=system,
            evaluations=tuple(by_seed.values()),
        )
    return scores
