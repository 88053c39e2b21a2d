"""Scores of predicted dimensions, of raters' shares and of several labels a clip, with intervals over speakers.

The rule of the intervals is that of classes (`intervals`, `units`). All results are plain JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.measures.confusion import Floats
from affetto.measures.distribution import CalledMeasure
from affetto.measures.moments import Moments, moments
from affetto.measures.multilabel import MACRO_F1, MEAN_AVERAGE_PRECISION
from affetto.measures.registry import dimension_measures, distribution_measures, multilabel_measures
from affetto.measures.regression import CCC
from affetto.measures.units import Units, per_speaker, speaker_numbers, units_of

SUM_IS_ONE = 1e-3
"""Greatest distance from 1 of the sum of a clip's shares."""


def dimension_scores(
    truth: NDArray[Any], prediction: NDArray[Any], names: Sequence[str], speakers: Sequence[str]
) -> dict[str, Any]:
    """All scores of predicted dimensions.

    `truth` and `prediction` (clips, dimensions) have their columns in the order of `names`. `mean_ccc` is the mean CCC
    over dimensions. Raises ValueError for arguments that do not fit together, and for values that are not finite.
    """
    _check_sizes(truth, prediction, names, speakers)
    people, owner = speaker_numbers(speakers)
    of_speakers = moments(truth, prediction, owner, len(people))
    pooled, units = of_speakers.total(), units_of(owner, len(people))
    of_units = of_speakers if units.over == "speakers" else moments(truth, prediction, units.owner, len(units))
    without = of_units.without_each() if len(units) > 1 else of_units
    ccc, speaker_ccc = CCC.function(pooled)[0], CCC.function(of_speakers)
    mean_ends = units.ends(float(ccc.mean()), CCC.function(without).mean(axis=1), *CCC.range)
    return {
        "dimensions": {
            name: _of_dimension(column, pooled, without, units, n=len(owner)) for column, name in enumerate(names)
        },
        "mean_ccc": float(ccc.mean()),
        "n": len(owner),
        "per_speaker": per_speaker(
            people,
            owner,
            {"mean_ccc": speaker_ccc.mean(axis=1)}
            | {f"{CCC.name}_{name}": speaker_ccc[:, column] for column, name in enumerate(names)},
        ),
        "interval": {**units.facts(), "mean_ccc": mean_ends},
    }


def distribution_scores(
    truth: NDArray[Any], prediction: NDArray[Any], labels: Sequence[str], speakers: Sequence[str]
) -> dict[str, Any]:
    """All scores of predicted shares beside the raters' shares, both (clips, labels) in the order of `labels`.

    Raises ValueError for arguments that do not fit together, and for rows that are no shares: negative, not finite,
    or of another sum than 1.
    """
    _check_sizes(truth, prediction, labels, speakers)
    true, shares = _checked_shares(truth, "truth"), _checked_shares(prediction, "prediction")
    people, owner = speaker_numbers(speakers)
    units = units_of(owner, len(people))
    values, chance, ends, of_speakers = {}, {}, {}, {}
    for measure in distribution_measures():
        values[measure.name] = measure.of_predictions(shares, true)
        if measure.chance is not None:
            chance[measure.name] = measure.chance(true)
        alone = len(units) < 2
        without = np.empty(0) if alone else measure.without_each(shares, true, units.owner, len(units))
        ends[measure.name] = units.ends(values[measure.name], without, *measure.range)
        if not isinstance(measure, CalledMeasure):
            rows = (np.flatnonzero(owner == number) for number in range(len(people)))
            of_speakers[measure.name] = np.array([measure.of_predictions(shares[row], true[row]) for row in rows])
    return {
        **values,
        "n": len(owner),
        "labels": list(labels),
        "per_speaker": per_speaker(people, owner, of_speakers),
        "chance": chance,
        "interval": {**units.facts(), **ends},
    }


def multilabel_scores(
    truth: NDArray[Any],
    prediction: NDArray[Any],
    labels: Sequence[str],
    speakers: Sequence[str],
    threshold: float | NDArray[Any] = 0.5,
    called: NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """All scores of several labels a clip: `truth` (clips, labels) of 0 and 1, `prediction` (clips, labels) of scores.

    `called` (clips, labels) are the labels that were decided on; without it a label is called where its score is at
    least `threshold`, one number or one a label (labels,). Raises ValueError for arguments that do not fit together,
    for values that are not finite, and for a truth that is not 0 or 1.
    """
    _check_sizes(truth, prediction, labels, speakers)
    scores = np.asarray(prediction, dtype=np.float64)
    if not np.isfinite(scores).all() or not np.isin(truth, (0, 1)).all():
        raise ValueError("true labels must be 0 or 1, and their scores finite")
    people, owner = speaker_numbers(speakers)
    units = units_of(owner, len(people))
    limits = np.broadcast_to(np.asarray(threshold, dtype=np.float64), (len(labels),))
    true = np.asarray(truth, dtype=bool)
    decided = scores >= limits if called is None else np.asarray(called, dtype=bool)
    values, chance, ends = {}, {}, {}
    for measure in multilabel_measures():
        value, *without = measure.function(scores, decided, true, units.owner, len(units) if len(units) > 1 else 0)
        values[measure.name] = float(value)
        ends[measure.name] = units.ends(float(value), np.array(without), *measure.range)
        if measure.chance is not None:
            chance[measure.name] = measure.chance(true)
    return {
        **values,
        "n": len(owner),
        "labels": list(labels),
        **({"threshold": limits.tolist()} if called is None else {}),
        "per_label": {
            label: {
                "f1": MACRO_F1.of_predictions(decided[:, [column]], true[:, [column]]),
                "average_precision": MEAN_AVERAGE_PRECISION.of_predictions(scores[:, [column]], true[:, [column]]),
                "n": int(true[:, column].sum()),
            }
            for column, label in enumerate(labels)
        },
        "per_speaker": per_speaker(people, owner, {}),
        "chance": chance,
        "interval": {**units.facts(), **ends},
    }


def _of_dimension(column: int, pooled: Moments, without: Moments, units: Units, n: int) -> dict[str, Any]:
    """Every measure of one dimension, with its intervals."""
    values, chance, ends = {}, {}, {}
    for measure in dimension_measures():
        values[measure.name] = float(measure.function(pooled)[0, column])
        ends[measure.name] = units.ends(values[measure.name], measure.function(without)[:, column], *measure.range)
        if measure.chance is not None:
            chance[measure.name] = float(measure.chance(pooled)[0, column])
    return {**values, "n": n, "chance": chance, "interval": ends}


def _check_sizes(truth: NDArray[Any], prediction: NDArray[Any], names: Sequence[str], speakers: Sequence[str]) -> None:
    """Raise ValueError unless truth and prediction are (clips, names) with at least one clip and a speaker for each."""
    shape = (len(speakers), len(names))
    if np.shape(truth) != shape or np.shape(prediction) != shape or not all(shape) or len(set(names)) < len(names):
        raise ValueError(
            f"truth {np.shape(truth)} and prediction {np.shape(prediction)} do not fit {len(speakers)} speakers and "
            f"the names {', '.join(names)}; give one row a clip and one column a name, each name once"
        )


def _checked_shares(shares: NDArray[Any], title: str) -> Floats:
    """Shares (clips, labels) as float64, each row divided by its sum."""
    values = np.asarray(shares, dtype=np.float64)
    sums = values.sum(axis=1)
    bad = ~np.isfinite(sums) | (values < 0).any(axis=1) | (np.abs(sums - 1) > SUM_IS_ONE)
    if bad.any():
        row = np.flatnonzero(bad)[0]
        raise ValueError(
            f"{bad.sum()} of {len(values)} clips have shares in {title} that are negative or do not sum to 1 (first: "
            f"clip {row}, sum {sums[row]:g})"
        )
    return values / sums[:, None]
