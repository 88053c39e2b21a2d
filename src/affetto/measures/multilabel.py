"""Micro F1, macro F1 and mean average precision of several labels a clip: the values of scikit-learn's functions.

    multilabel_micro_f1      f1_score(truth, called, average="micro")
    multilabel_macro_f1      f1_score(truth, called, average="macro")            over labels in truth or called
    mean_average_precision   average_precision_score(truth, scores, average="macro")    over labels in truth

A label that no clip has, and that was not called, is left out of the mean of F1; one that no clip has is left out of
that of average precision, where scikit-learn counts it as 0. Clips of equal score are one step of the
precision-recall curve, so that their order does not matter. A set without any label scores 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affetto.measures.confusion import Floats, ratio
from affetto.measures.measure import MultilabelMeasure

Marks = NDArray[np.bool_]


def micro_f1(scores: Floats, called: Marks, truth: Marks, owner: NDArray[np.intp], owners: int) -> Floats:
    """F1 of all labels of all clips together: (1 + owners,)."""
    hits, marks = _counts(called, truth, owner, owners)
    return ratio(2 * hits.sum(axis=1), marks.sum(axis=1))


def macro_f1(scores: Floats, called: Marks, truth: Marks, owner: NDArray[np.intp], owners: int) -> Floats:
    """Mean F1 over the labels that are true or called somewhere: (1 + owners,)."""
    hits, marks = _counts(called, truth, owner, owners)
    return ratio(ratio(2 * hits, marks).sum(axis=1), (marks > 0).sum(axis=1))


def mean_average_precision(scores: Floats, called: Marks, truth: Marks, owner: NDArray[np.intp], owners: int) -> Floats:
    """Mean over the true labels of the average precision: (1 + owners,)."""
    order = np.argsort(-scores, axis=0, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=0)
    true, owner = np.take_along_axis(truth, order, axis=0), owner[order]
    values = [_mean_precision(ranked, true, np.ones_like(true))]
    values += [_mean_precision(ranked, true, owner != number) for number in range(owners)]
    return np.array(values)


def _mean_precision(ranked: Floats, truth: Marks, counts: Marks) -> float:
    """Mean average precision of the clips that count, all (clips, labels), by falling score."""
    hits = (truth & counts).cumsum(axis=0)
    clips = counts.cumsum(axis=0)
    positives = hits[-1]
    # A threshold takes in all clips of one score: the precision of a clip is that at the last of its equals.
    n = len(ranked)
    is_last = np.vstack([ranked[1:] != ranked[:-1], np.ones((1, ranked.shape[1]), dtype=bool)])
    places = np.where(is_last, np.arange(n)[:, None], n)
    last = np.minimum.accumulate(places[::-1], axis=0)[::-1]
    precision = np.take_along_axis(ratio(hits, clips), last, axis=0)
    of_labels = ratio((precision * (truth & counts)).sum(axis=0), positives)
    return float(ratio(of_labels.sum(), (positives > 0).sum()))


def _counts(called: Marks, truth: Marks, owner: NDArray[np.intp], owners: int) -> tuple[Floats, Floats]:
    """Hits, and true plus called, of all clips and of those without each owner: both (1 + owners, labels)."""
    return _sums(truth & called, owner, owners), _sums(truth, owner, owners) + _sums(called, owner, owners)


def _sums(marks: Marks, owner: NDArray[np.intp], owners: int) -> Floats:
    """Marked clips of each label, of all clips and of those without each owner: (1 + owners, labels)."""
    total = marks.sum(axis=0)
    columns = [np.bincount(owner, weights=column, minlength=owners)[:owners] for column in marks.T]
    return np.vstack([total, total - np.column_stack(columns)]).astype(np.float64)


def _chance_of_precision(truth: Marks) -> float:
    """Mean share of clips that have a label: the average precision of scores that are all equal."""
    positives = truth.sum(axis=0)
    return float(ratio(positives.sum() / len(truth), (positives > 0).sum()))


MICRO_F1 = MultilabelMeasure(
    name="multilabel_micro_f1",
    title="micro F1 of labels",
    function=micro_f1,
    order=40,
    hub_type="f1",
)
MACRO_F1 = MultilabelMeasure(
    name="multilabel_macro_f1",
    title="macro F1 of labels",
    function=macro_f1,
    order=41,
    hub_type="f1",
)
MEAN_AVERAGE_PRECISION = MultilabelMeasure(
    name="mean_average_precision",
    title="mean average precision",
    function=mean_average_precision,
    order=42,
    chance=_chance_of_precision,
)
