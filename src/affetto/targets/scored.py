"""Scores of a set of predictions as rows, whatever the target: all that tables and files for programs need of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from affetto.measures.measure import Measure
from affetto.measures.registry import dimension_measures
from affetto.measures.regression import CCC

MEAN_CCC = f"mean_{CCC.name}"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """One score with its interval."""

    name: str
    """Key, unique among the scores of a target: `macro_f1`, `ccc_arousal`."""
    title: str
    measure: Measure
    value: float
    interval: tuple[float, float] | None = None
    chance: float | None = None
    """Score of a guesser; None where no such score is known."""

    @property
    def text(self) -> str:
        """The value with its interval, as tables show it: `0.512 (0.301–0.723)`."""
        if self.interval is None:
            return self.measure.text(self.value)
        low, high = (self.measure.text(end) for end in self.interval)
        return f"{self.measure.text(self.value)} ({low}–{high})"


def of_measures(measures: Sequence[Measure], scores: Mapping[str, Any]) -> list[Scored]:
    """The measures that `scores` has."""
    return [_scored(measure, scores) for measure in measures if measure.name in scores]


def of_dimensions(scores: Mapping[str, Any]) -> list[Scored]:
    """The mean CCC, then each measure of each dimension."""
    mean = Scored(
        name=MEAN_CCC,
        title=f"mean {CCC.title}",
        measure=CCC,
        value=scores[MEAN_CCC],
        interval=_ends(scores, MEAN_CCC),
        chance=0.0,
    )
    return [
        mean,
        *(
            _scored(measure, of_dimension, dimension)
            for dimension, of_dimension in scores["dimensions"].items()
            for measure in dimension_measures()
        ),
    ]


def _scored(measure: Measure, scores: Mapping[str, Any], dimension: str = "") -> Scored:
    return Scored(
        name=f"{measure.name}_{dimension}" if dimension else measure.name,
        title=f"{measure.title} of {dimension}" if dimension else measure.title,
        measure=measure,
        value=scores[measure.name],
        interval=_ends(scores, measure.name),
        chance=scores.get("chance", {}).get(measure.name),
    )


def _ends(scores: Mapping[str, Any], name: str) -> tuple[float, float] | None:
    """Interval of a score; None where the scores have none, as those of joint predictions have of the mean CCC."""
    ends = scores.get("interval", {}).get(name)
    return None if ends is None else (ends[0], ends[1])
