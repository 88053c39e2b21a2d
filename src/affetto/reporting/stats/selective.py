"""Selective answers: the errors of a system that answers only the clips of which it is most sure.

The area under the risk-coverage curve is that of Geifman and El-Yaniv (NeurIPS 2017): the mean, over all shares of
clips that may be answered, of the share of errors among the answered ones. Clips of equal confidence are answered
together: each of them counts as their mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affetto.measures.confusion import Floats
from affetto.measures.units import speaker_numbers, units_of
from affetto.reporting.stats.systems import Predictions, System
from affetto.targets.label_sets import DEFAULT_KIND, Clips, measure_sets

MOST_PRODUCTS = 2 * 10**8
"""Clips times units above which no interval is computed."""


@dataclass(frozen=True, kw_only=True)
class Selective:
    """Risk-coverage curve of a system, mean over seeds."""

    risks: Floats
    """Share of errors among the k clips of which the system is most sure, k from 1 to all: (clips,)."""
    area: float
    interval: tuple[float, float] | None
    """95 % interval of `area` over speakers or clips; None for too many of them."""
    over: str
    """`speakers` or `clips`, which the interval is over."""

    def risk(self, coverage: float) -> float:
        """Share of errors where this share of the clips is answered."""
        return float(self.risks[max(1, round(coverage * len(self.risks))) - 1])


@dataclass(frozen=True, kw_only=True)
class SetCoverage:
    """Sets of labels of a system's first seed, each speaker's by limits from all other speakers."""

    coverage: float
    interval: tuple[float, float]
    size: float
    """Mean number of labels in a set."""
    lowest: tuple[str, float]
    """Speaker whose sets hold the true label least often, and the share."""


def measure_selective(system: System) -> Selective:
    """The risk-coverage curve of a system, and the area under it."""
    runs = [system.runs[seed] for seed in system.seeds]
    names, owner = speaker_numbers(runs[0].speakers)
    units = units_of(owner, len(names))
    curves = [risks(_confidence(run), _wrong(run)) for run in runs]
    area = float(np.mean(curves))
    interval = None
    if len(owner) * len(units) <= MOST_PRODUCTS:
        without = np.mean([_areas_without(run, units.owner, len(units)) for run in runs], axis=0)
        low, high = units.ends(area, without, 0.0, 1.0)
        interval = (low, high)
    return Selective(risks=np.mean(curves, axis=0), area=area, interval=interval, over=units.over)


def risks(confidence: Floats, wrong: Floats) -> Floats:
    """Share of errors among the k most confident clips, k from 1 to all, (clips,).

    >>> risks(np.array([0.9, 0.5, 0.7, 0.5]), np.array([0.0, 1.0, 1.0, 0.0])).round(3).tolist()
    [0.0, 0.5, 0.5, 0.5]
    """
    order, ties = _ranked(confidence)
    return _cumulated(wrong[order], ties)


def measure_set_coverage(system: System) -> SetCoverage | None:
    """Coverage of the sets of the first seed at the level of `label_sets`; None with a single speaker."""
    run = system.runs[system.seeds[0]]
    names, owner = speaker_numbers(run.speakers)
    clips = Clips(probabilities=run.probabilities, truth=run.truth.astype(np.intp), speakers=names, owner=owner)
    measured = measure_sets(clips)
    if not measured:
        return None
    facts = measured["kinds"][DEFAULT_KIND]
    lowest = min(facts["per_speaker"].items(), key=lambda pair: (pair[1], pair[0]))
    low, high = facts["interval"]
    return SetCoverage(coverage=facts["coverage"], interval=(low, high), size=facts["size"], lowest=lowest)


def _confidence(run: Predictions) -> Floats:
    return np.asarray(run.probabilities.max(axis=1), dtype=np.float64)


def _wrong(run: Predictions) -> Floats:
    return np.asarray(run.predicted != run.truth, dtype=np.float64)


def _ranked(confidence: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Clips in the order of falling confidence, and the number of each one's group of equal confidence: (clips,)."""
    order = np.argsort(-confidence, kind="stable")
    ties = np.concatenate([[0], np.cumsum(np.diff(confidence[order]) != 0)])
    return order, ties.astype(np.intp)


def _cumulated(wrong: Floats, ties: NDArray[np.intp]) -> Floats:
    """Mean of the first k of these errors, k from 1 to all, each as the mean of its group."""
    of_groups = np.bincount(ties, weights=wrong) / np.maximum(np.bincount(ties), 1)
    return np.asarray(np.cumsum(of_groups[ties]) / np.arange(1, len(wrong) + 1), dtype=np.float64)


def _areas_without(run: Predictions, owner: NDArray[np.intp], units: int) -> Floats:
    """Area under the curve without each unit's clips, (units,)."""
    order, ties = _ranked(_confidence(run))
    wrong, owner = _wrong(run)[order], owner[order]
    areas = []
    for unit in range(units):
        rest = owner != unit
        areas.append(_cumulated(wrong[rest], ties[rest]).mean() if rest.any() else 0.0)
    return np.array(areas)
