"""Comparison of two folders of runs: which runs both have, how their scores differ, and what else differs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from affetto.errors import UserError, unknown
from affetto.measures.measure import ClassMeasure
from affetto.measures.registry import MEASURES
from affetto.reporting.comparing.facts import Change, changes
from affetto.reporting.comparing.matching import ConfigurationPair, match
from affetto.reporting.results.collect import collect
from affetto.reporting.results.naming import Naming
from affetto.reporting.results.records import Configuration, Results, Run
from affetto.reporting.stats import differences
from affetto.reporting.stats.differences import Difference
from affetto.reporting.stats.judged import Judged, judged_dimensions, judged_marks, judged_shares
from affetto.reporting.stats.outcomes import Outcomes
from affetto.reporting.stats.systems import Predictions, System
from affetto.targets.target import Target
from affetto.training.runs import run_seconds

ROUNDING = 1e-9
"""Points by which a score may fall beyond the threshold through rounding."""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One configuration in both folders."""

    label: str
    pair: ConfigurationPair
    scores: tuple[Difference, ...]
    """The measure that is compared first, then all others of the target."""
    changes: tuple[tuple[int, Change], ...]
    """(seed, fact that differs)."""
    relabelled: int | None
    """Clips, counted once a seed, whose called labels differ; None for a target without labels."""
    clips: int
    """Clips, counted once a seed."""
    speakers: int
    seconds: tuple[float | None, float | None]
    """Wall time of all seeds in each folder; None where a run does not state it."""

    @property
    def main(self) -> Difference:
        return self.scores[0]

    @property
    def synthetic(self) -> bool:
        """True if the speech is synthetic."""
        return self.pair.first.synthetic or self.pair.second.synthetic


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two folders beside each other."""

    folders: tuple[Path, Path]
    threshold: float | None
    """Points by which a score may fall; None: by any number."""
    compared: tuple[Compared, ...]
    refused: tuple[str, ...]
    """One line for each configuration of both folders that cannot be compared."""
    only_first: tuple[str, ...]
    """Label and seed of each finished run that the second folder lacks."""
    only_second: tuple[str, ...]
    notes: tuple[str, ...]
    """One line for each run or file that was left out."""

    @property
    def fallen(self) -> tuple[Compared, ...]:
        """Configurations whose score fell by more than the threshold; () without one."""
        if self.threshold is None:
            return ()
        return tuple(item for item in self.compared if item.main.fall > self.threshold + ROUNDING)

    @property
    def passes(self) -> bool:
        """True without a threshold; else if every run of the first folder was compared and no score fell beyond it."""
        return self.threshold is None or not (self.fallen or self.refused or self.only_first)


def compare(
    first: str | Path, second: str | Path, *, measure: str | None = None, threshold: float | None = None
) -> Comparison:
    """Compare the finished runs of two folders by a measure (None: the main one of each target).

    Raises UserError for a folder without finished runs, folders without a run that can be compared, an unknown measure,
    and a threshold below 0.
    """
    if threshold is not None and not (math.isfinite(threshold) and threshold >= 0):
        raise UserError(f"--threshold {threshold}: give a number of points from 0 up")
    folders = Path(first), Path(second)
    results = _collect(folders[0]), _collect(folders[1])
    matches = match(*results)
    naming = _naming(results, matches.pairs)
    names = _run_names(naming, matches.only_first), _run_names(naming, matches.only_second)
    if not matches.pairs:
        raise UserError(
            f"{folders[0]} and {folders[1]} have no run in common: no corpus, backbone, method, recipe, split, target "
            f"and seed are equal ({names[0][0]}; {names[1][0]})"
        )
    _check_measure(measure, [run for side in results for run in side.every_done])
    compared, refused = [], []
    for pair in matches.pairs:
        label = _pair_label(naming, pair)
        try:
            compared.append(_compare_pair(label, pair, measure))
        except UserError as problem:
            refused.append(f"{label}: {problem}")
    if not compared:
        raise UserError(f"no run of both folders can be compared ({refused[0]})")
    return Comparison(
        folders=folders,
        threshold=threshold,
        compared=tuple(compared),
        refused=tuple(refused),
        only_first=names[0],
        only_second=names[1],
        notes=tuple(dict.fromkeys(note for side in results for note in side.notes)),
    )


def _collect(folder: Path) -> Results:
    results = collect(folder)
    if not results.every_done:
        raise UserError(f"{folder} holds no finished run, only tests on other corpora; give the folder of the runs")
    return results


def _check_measure(measure: str | None, runs: Sequence[Run]) -> None:
    """Raise UserError for a measure that no run has."""
    allowed = {name: None for run in runs for name in _measure_names(run)}
    if measure is not None and measure not in allowed:
        raise unknown("measure", measure, allowed, hint="These are the measures of the targets in both folders.")


def _measure_names(run: Run) -> list[str]:
    """Measures of a run's target, the main one first."""
    of_classes = [m.name for m in MEASURES.values() if isinstance(m, ClassMeasure)] if run.target.has_classes else []
    return list(dict.fromkeys([*(scored.name for scored in run.target.scored(run.test)), *of_classes]))


def _compare_pair(label: str, pair: ConfigurationPair, measure: str | None) -> Compared:
    """Compare two configurations; raises UserError where they were not tested on the same clips, or lack a measure."""
    runs = pair.first.runs[0], pair.second.runs[0]
    shared = [name for name in _measure_names(runs[0]) if name in _measure_names(runs[1])]
    if not shared or (measure is not None and measure not in shared):
        raise UserError(
            f"the targets {runs[0].target.name} and {runs[1].target.name} lack {measure or 'a measure of both'}"
        )
    names = sorted(shared, key=lambda name: name != measure)
    scores = {difference.name: difference for difference in _differences(pair, names)}
    run_pairs = list(zip(pair.first.runs, pair.second.runs, strict=True))
    return Compared(
        label=label,
        pair=pair,
        scores=tuple(scores[name] for name in names if name in scores),
        changes=tuple((a.axes.seed, change) for a, b in run_pairs for change in changes(a, b)),
        relabelled=_count_relabelled(pair),
        clips=sum(int(run.test["n"]) for run in pair.first.runs),
        speakers=len(runs[0].test["per_speaker"]),
        seconds=(_seconds(pair.first), _seconds(pair.second)),
    )


def _differences(pair: ConfigurationPair, names: Sequence[str]) -> list[Difference]:
    """Differences by the measures of classes, and by those of the parts of both targets."""
    configs = pair.first, pair.second
    target = pair.first.runs[0].target
    compared: list[Difference] = []
    if target.has_classes and pair.second.runs[0].target.has_classes:
        systems = [System(_path(config), config.axes.corpus, _by_seed(config)) for config in configs]
        of_classes = [name for name in names if isinstance(MEASURES.get(name), ClassMeasure)]
        compared += differences.of_classes(systems[0], systems[1], pair.seeds, of_classes)
    measures = [judged for judged in _judged(target) if judged.name in names]
    if measures:
        parts = [
            Outcomes(_path(config), config.axes.corpus, target, {run.axes.seed: run.rows for run in config.runs})
            for config in configs
        ]
        compared += differences.of_parts(parts[0], parts[1], pair.seeds, measures)
    return compared


def _judged(target: Target) -> list[Judged]:
    parts: list[tuple[bool, Callable[[Target], list[Judged]]]] = [
        (target.has_dimensions, judged_dimensions),
        (target.has_shares, judged_shares),
        (target.has_marks, judged_marks),
    ]
    return [judged for has_part, judged_of in parts if has_part for judged in judged_of(target)]


def _by_seed(config: Configuration) -> dict[int, Predictions]:
    return {run.axes.seed: run.predictions for run in config.runs if run.predictions is not None}


def _path(config: Configuration) -> str:
    return str(config.runs[0].path)


def _count_relabelled(pair: ConfigurationPair) -> int | None:
    """Clips of all seeds whose called labels differ; None for a target without labels. The clips must be equal."""
    count, target = 0, pair.first.runs[0].target
    for first, second in zip(pair.first.runs, pair.second.runs, strict=True):
        if first.predictions is not None and second.predictions is not None:
            count += int((first.predictions.predicted != second.predictions.predicted).sum())
        elif target.has_marks:
            count += sum(a["prediction"] != b["prediction"] for a, b in zip(first.rows, second.rows, strict=True))
        else:
            return None
    return count


def _seconds(config: Configuration) -> float | None:
    metrics = [run.metrics for run in config.runs if run.metrics]
    if any("wall_seconds" not in record for record in metrics):
        return None
    return math.fsum(run_seconds(record) for record in metrics)


def _naming(results: Sequence[Results], pairs: Sequence[ConfigurationPair]) -> Naming:
    """Names of the configurations, without changed settings where each pair has a label of its own without them."""
    configs = [config for side in results for config in side.every_configuration if config.done]
    short = Naming(configs, hide=("changed",))
    is_enough = len({_pair_label(short, pair) for pair in pairs}) == len(pairs)
    return short if is_enough else Naming(configs)


def _pair_label(naming: Naming, pair: ConfigurationPair) -> str:
    labels = dict.fromkeys(naming.label(config) for config in (pair.first, pair.second))
    return " → ".join(labels)


def _run_names(naming: Naming, runs: Sequence[Run]) -> tuple[str, ...]:
    return tuple(f"{naming.label(Configuration((run,)))}, seed {run.axes.seed}" for run in runs)
