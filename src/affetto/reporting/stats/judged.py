"""Measures of numbers, raters' shares and several labels, for statistics over speakers and seeds.

The rule is that of classes: the spread over speakers is that of the score without each of them (the jackknife), seeds
add theirs, and two systems are exchanged within speakers. A measure that follows from sums over clips can be compared
in pairs: its score under any exchange is that of exchanged sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.measures.confusion import Floats, ratio
from affetto.measures.distribution import ClipMeasure
from affetto.measures.measure import DimensionMeasure, DistributionMeasure, Measure, MultilabelMeasure
from affetto.measures.moments import Moments, moments
from affetto.measures.multilabel import MACRO_F1, MICRO_F1
from affetto.measures.registry import dimension_measures, distribution_measures, multilabel_measures
from affetto.measures.regression import CCC
from affetto.targets.scored import MEAN_CCC
from affetto.targets.target import Rows, Target

Owners = NDArray[np.intp]
Without = Callable[[Rows, Owners, int], Floats]
"""Function from lines, the owner of each clip (clips,) and their number to the score of all, then without each owner:
(1 + owners,)."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One measure of a part of a target."""

    name: str
    """Key, as in `Scored`: `ccc_arousal`."""
    title: str
    measure: Measure
    without: Without
    sums: Callable[[Rows], Floats] | None = None
    """Function from lines to the terms of each clip, (clips, terms), that a score needs the sums of; None where a score
    does not follow from sums."""
    score: Callable[[Floats], Floats] | None = None
    """Function from such sums (sets, terms) to scores (sets,)."""


def judged_dimensions(target: Target) -> list[Judged]:
    """The mean CCC, then each measure of each dimension."""
    names = tuple(target.dimensions)
    widths = np.array([ends.high - ends.low for ends in target.dimensions.values()])

    def judged(name: str, title: str, measure: DimensionMeasure, column: int | None) -> Judged:
        def pick(values: Floats) -> Floats:
            return values.mean(axis=1) if column is None else values[:, column]

        def without(rows: Rows, owner: Owners, owners: int) -> Floats:
            truth, prediction = numbers(target, rows)
            of_owners = moments(truth, prediction, owner, owners)
            total, rests = (pick(measure.function(m)) for m in (of_owners.total(), of_owners.without_each()))
            return np.concatenate([total, rests])

        return Judged(
            name=name,
            title=title,
            measure=measure,
            without=without,
            sums=lambda rows: _terms(*numbers(target, rows)),
            score=lambda sums: pick(measure.function(_moments(sums, widths))),
        )

    of_each = [
        judged(f"{measure.name}_{name}", f"{measure.title} of {name}", measure, column)
        for column, name in enumerate(names)
        for measure in dimension_measures()
    ]
    return [judged(MEAN_CCC, f"mean {CCC.title}", CCC, None), *of_each]


def judged_shares(target: Target) -> list[Judged]:
    """Each measure of predicted shares."""

    def judged(measure: DistributionMeasure) -> Judged:
        def without(rows: Rows, owner: Owners, owners: int) -> Floats:
            truth, shares = true_shares(target, rows), predicted_shares(target, rows)
            rests = measure.without_each(shares, truth, owner, owners)
            return np.array([measure.of_predictions(shares, truth), *rests])

        if not isinstance(measure, ClipMeasure):
            return Judged(name=measure.name, title=measure.title, measure=measure, without=without)
        of_clips = measure.function

        def sums(rows: Rows) -> Floats:
            values = of_clips(predicted_shares(target, rows), true_shares(target, rows))
            return np.column_stack([values, np.ones(len(values))])

        return Judged(
            name=measure.name,
            title=measure.title,
            measure=measure,
            without=without,
            sums=sums,
            score=lambda sums: sums[:, 0] / sums[:, 1],
        )

    return [judged(measure) for measure in distribution_measures()]


def judged_marks(target: Target) -> list[Judged]:
    """Each measure of several labels, macro F1 first."""
    labels = target.labels

    def sums(rows: Rows) -> Floats:
        truth, called = marks(labels, rows, "truth"), marks(labels, rows, "prediction")
        return np.hstack([truth & called, truth.astype(np.int64) + called]).astype(np.float64)

    def counts(sums: Floats) -> tuple[Floats, Floats]:
        return 2 * sums[:, : len(labels)], sums[:, len(labels) :]

    def macro(sums: Floats) -> Floats:
        hits, total = counts(sums)
        return ratio(ratio(hits, total).sum(axis=1), (total > 0).sum(axis=1))

    def micro(sums: Floats) -> Floats:
        hits, total = counts(sums)
        return ratio(hits.sum(axis=1), total.sum(axis=1))

    def judged(measure: MultilabelMeasure) -> Judged:
        score = {MACRO_F1.name: macro, MICRO_F1.name: micro}.get(measure.name)

        def without(rows: Rows, owner: Owners, owners: int) -> Floats:
            truth, called = marks(labels, rows, "truth"), marks(labels, rows, "prediction")
            return measure.function(probabilities(labels, rows), called, truth, owner, owners)

        return Judged(
            name=measure.name,
            title=measure.title,
            measure=measure,
            without=without,
            sums=sums if score else None,
            score=score,
        )

    return [judged(measure) for measure in sorted(multilabel_measures(), key=lambda measure: measure is not MACRO_F1)]


def numbers(target: Target, rows: Rows) -> tuple[Floats, Floats]:
    """Truth and prediction of lines, both (clips, dimensions)."""
    lines = [target.number_row(row) for row in rows]
    truth, prediction = (
        np.array([[line[field][name] for name in target.dimensions] for line in lines], dtype=np.float64)
        for field in ("truth", "prediction")
    )
    return truth, prediction


def true_shares(target: Target, rows: Rows) -> Floats:
    """The raters' shares, (clips, labels), each row divided by its sum."""
    values = _table(target.labels, [row["shares"] for row in rows])
    return values / values.sum(axis=1, keepdims=True)


def predicted_shares(target: Target, rows: Rows) -> Floats:
    """The predicted shares, (clips, labels), each row divided by its sum: files hold rounded values."""
    values = probabilities(target.labels, rows)
    return values / values.sum(axis=1, keepdims=True)


def probabilities(labels: Sequence[str], rows: Rows) -> Floats:
    """Probability of each label, (clips, labels)."""
    return _table(labels, [row["probabilities"] for row in rows])


def marks(labels: Sequence[str], rows: Rows, field: str) -> NDArray[np.bool_]:
    """True where a line names a label in `field`, (clips, labels)."""
    return np.array([[label in row[field] for label in labels] for row in rows], dtype=bool)


def _table(labels: Sequence[str], values: Sequence[Mapping[str, Any]]) -> Floats:
    return np.array([[value[label] for label in labels] for value in values], dtype=np.float64)


def _terms(truth: Floats, prediction: Floats) -> Floats:
    """Terms of each clip from which its moments are summed, (clips, 8 × dimensions).

    Both are centred by the mean of the truth, which two systems on one set of clips share.
    """
    true, predicted = truth - truth.mean(axis=0), prediction - truth.mean(axis=0)
    error = prediction - truth
    terms = (np.ones_like(true), true, predicted, true**2, predicted**2, true * predicted, abs(error), error**2)
    return np.hstack(terms)


def _moments(sums: Floats, widths: Floats) -> Moments:
    """Moments of sets of clips from sums of `_terms` (sets, 8 × dimensions); `widths` are those of the ranges."""
    parts = np.split(sums, 8, axis=1)
    return Moments(
        clips=parts[0][:, :1],
        truth=parts[1],
        prediction=parts[2],
        truth_squares=parts[3],
        prediction_squares=parts[4],
        products=parts[5],
        absolute_errors=parts[6],
        squared_errors=parts[7],
        offset=np.zeros(len(widths)),
        truth_range=widths,
        prediction_range=widths,
    )
