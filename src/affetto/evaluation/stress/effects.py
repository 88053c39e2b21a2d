"""Effect of a perturbation on a model's answers: how many change, and by how much the scores move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.evaluation.stress.answers import Condition
from affetto.measures.classification import UAR
from affetto.measures.units import Units, speaker_numbers, units_of
from affetto.reporting.stats import differences
from affetto.reporting.stats.differences import Difference
from affetto.reporting.stats.judged import judged_dimensions, judged_marks
from affetto.reporting.stats.outcomes import Outcomes
from affetto.reporting.stats.systems import Predictions, System
from affetto.targets.target import Rows, Target

MOVED = 0.05
"""Share of a dimension's range by which its value must move to count as changed."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Effect of one perturbation at one level."""

    condition: Condition
    changed: float
    """Share of the clips whose answer is another than of the untouched clip."""
    changed_interval: tuple[float, float]
    differences: tuple[Difference, ...]
    """Differences of the main measures: untouched first, perturbed second."""

    def to_json(self) -> dict[str, Any]:
        return {
            "level": self.condition.level,
            "changed": self.changed,
            "changed_interval": list(self.changed_interval),
            "scores": {difference.name: _json(difference) for difference in self.differences},
        }


def effect_of(condition: Condition, target: Target, untouched: Rows, perturbed: Rows) -> Effect:
    """The effect by the lines of the same clips, untouched and perturbed. Raises UserError for other clips."""
    changed = changed_answers(target, untouched, perturbed).astype(np.float64)
    units = units_of_rows(untouched)
    low, high = units.ends(float(changed.mean()), _means_without(changed, units), 0.0, 1.0)
    return Effect(
        condition=condition,
        changed=float(changed.mean()),
        changed_interval=(low, high),
        differences=score_differences(target, untouched, perturbed),
    )


def changed_answers(target: Target, untouched: Rows, perturbed: Rows) -> NDArray[np.bool_]:
    """True where a clip has another answer, (clips,).

    The answer is the label, or the set of labels; of dimensions alone their values, of which one has to move by more
    than MOVED of its range.
    """
    if target.has_classes:
        return labels_of(untouched) != labels_of(perturbed)
    if target.has_marks:
        pairs = zip(untouched, perturbed, strict=True)
        return np.array([set(first["prediction"]) != set(second["prediction"]) for first, second in pairs])
    widths = np.array([ends.high - ends.low for ends in target.dimensions.values()])
    first, second = (
        np.array([[row["prediction"][name] for name in target.dimensions] for row in rows])
        for rows in (untouched, perturbed)
    )
    return (np.abs(second - first) > MOVED * widths).any(axis=1)


def labels_of(rows: Rows) -> NDArray[np.str_]:
    """The label that each clip got, (clips,): the most probable, the first on a tie."""
    return np.array([max(row["probabilities"], key=row["probabilities"].get) for row in rows])


def score_differences(target: Target, untouched: Rows, perturbed: Rows) -> tuple[Difference, ...]:
    """Differences of UAR, mean CCC or macro F1 of labels: perturbed less untouched, with intervals over speakers."""
    pairs: list[Difference] = []
    seeds = (0,)
    if target.has_classes:
        first, second = (
            System(name, "", {0: Predictions.from_rows(rows, source=name)})
            for name, rows in (("untouched", untouched), ("perturbed", perturbed))
        )
        pairs += differences.of_classes(first, second, seeds, (UAR.name,))
    judged = judged_dimensions(target) if target.has_dimensions else judged_marks(target) if target.has_marks else []
    if judged:
        before, after = (
            Outcomes(name, "", target, {0: rows}) for name, rows in (("untouched", untouched), ("perturbed", perturbed))
        )
        pairs += differences.of_parts(before, after, seeds, judged[:1])
    return tuple(pairs)


def units_of_rows(rows: Rows) -> Units:
    """The speakers of lines; the clips where the speakers are too few."""
    names, owner = speaker_numbers([str(row["speaker"]) for row in rows])
    return units_of(owner, len(names))


def _means_without(values: NDArray[np.float64], units: Units) -> NDArray[np.float64]:
    """Mean of the values (clips,) without each unit's clips, (units,); without the only unit, of all."""
    if len(units) < 2:
        return np.full(len(units), values.mean())
    sums = np.bincount(units.owner, weights=values, minlength=len(units))
    means: NDArray[np.float64] = (values.sum() - sums) / (len(values) - units.clips)
    return means


def _json(difference: Difference) -> dict[str, Any]:
    return {
        "title": difference.title,
        "untouched": difference.first,
        "perturbed": difference.second,
        "difference": difference.value,
        "interval": None if difference.interval is None else list(difference.interval),
    }
