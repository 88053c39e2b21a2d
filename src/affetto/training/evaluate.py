"""What a set of predictions is worth: scores, what chance gives, and how sure one can be.

Every number is the one that scikit-learn's defaults give on the same predictions, so that a reader
can recompute it from a run's predictions file:

    macro_f1      f1_score(truth, predicted, average="macro")     labels in truth or prediction
    uar           balanced_accuracy_score(truth, predicted)       labels in truth
    weighted_f1   f1_score(truth, predicted, average="weighted")
    accuracy      accuracy_score(truth, predicted)

A label that is predicted but never true therefore counts as an F1 of 0 in macro F1, and one that is
neither does not count. All are fractions (0–1). All follow from the confusion matrix, so one
vectorised function scores the whole set, every speaker, and the set without any one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.errors import unknown
from affetto.training.intervals import BY, LEVEL, can_be_drawn, effective, jackknife

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Tally:
    """Confusion matrices summed up for the measures; each field (matrices, labels)."""

    support: NDArray[Any]
    """Clips of the label in truth."""
    called: NDArray[Any]
    """Clips that were taken for it."""
    hits: NDArray[Any]
    """Clips of it that were recognised."""
    counted: NDArray[np.bool_]
    """True where the label counts in a mean over labels."""

    @property
    def clips(self) -> NDArray[Any]:
        """All clips of each matrix: (matrices,)."""
        return self.support.sum(axis=1)

    @property
    def f1(self) -> Floats:
        return _ratio(2 * self.hits, self.support + self.called)

    @property
    def recall(self) -> Floats:
        return _ratio(self.hits, self.support)


@dataclass(frozen=True)
class Measure:
    """A score of a set of predictions: all that tables, cards and intervals need to know of it."""

    title: str
    function: Callable[[Tally], Floats]
    """From a tally to a fraction a matrix: (matrices,)."""
    hub_type: str
    """The metric's name on the model hub."""


def _macro_f1(tally: Tally) -> Floats:
    return np.asarray((tally.f1 * tally.counted).sum(axis=1) / tally.counted.sum(axis=1), dtype=np.float64)


def _uar(tally: Tally) -> Floats:
    return np.asarray(tally.recall.sum(axis=1) / (tally.support > 0).sum(axis=1), dtype=np.float64)


def _weighted_f1(tally: Tally) -> Floats:
    return np.asarray((tally.f1 * tally.support).sum(axis=1) / tally.clips, dtype=np.float64)


def _accuracy(tally: Tally) -> Floats:
    return np.asarray(tally.hits.sum(axis=1) / tally.clips, dtype=np.float64)


MEASURES: dict[str, Measure] = {
    "macro_f1": Measure("macro F1", _macro_f1, "f1"),
    "uar": Measure("UAR", _uar, "recall"),
    "weighted_f1": Measure("weighted F1", _weighted_f1, "f1"),
    "accuracy": Measure("accuracy", _accuracy, "accuracy"),
}
"""By key, in the order of the tables. Another measure is another row: older runs get it from their predictions."""


def scores(
    truth: Sequence[str],
    probabilities: np.ndarray,
    labels: Sequence[str],
    speakers: Sequence[str],
) -> dict[str, Any]:
    """All scores of one set of predictions, ready for JSON.

    `probabilities` (clips, labels) has its columns in the order of `labels`; the prediction is the
    largest, the first label on a tie. `confusion` has the truth in rows, predictions in columns.
    """
    true, predicted = _indices(truth, probabilities, labels, speakers)
    names, owner = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)
    by_speaker = confusions(true, predicted, owner.reshape(-1), len(names), len(labels))
    return {**counted_scores(by_speaker, names.tolist(), labels), "interval": _interval(true, predicted, by_speaker)}


def counted_scores(by_speaker: Counts, speakers: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """All scores but the interval, ready for JSON, from each speaker's matrix (speakers, truth, predicted)."""
    confusion = by_speaker.sum(axis=0)
    each = measures(by_speaker)
    return {
        **{name: float(value[0]) for name, value in measures(confusion[None]).items()},
        "n": int(confusion.sum()),
        "labels": list(labels),
        "confusion": confusion.tolist(),
        "per_class": per_class(confusion, labels),
        "per_speaker": {
            str(name): {
                **{key: float(each[key][row]) for key in ("macro_f1", "uar", "accuracy")},
                "n": int(by_speaker[row].sum()),
            }
            for row, name in enumerate(speakers)
        },
        "chance": chance(confusion.sum(axis=1)),
    }


def pool(
    parts: Iterable[tuple[Sequence[str], np.ndarray, Sequence[str]]],
) -> tuple[list[str], np.ndarray, list[str]]:
    """Many folds' `(truth, probabilities, speakers)` as one, to be scored together.

    Pooled scores, not the mean of the folds' scores, are what a leave-one-speaker-out result is:
    a fold of one speaker lacks labels, and F1 is not linear. Columns must mean the same in each.
    """
    parts = list(parts)
    if not parts:
        raise ValueError("no folds to pool")
    widths = sorted({np.shape(probabilities)[-1] for _, probabilities, _ in parts})
    if len(widths) > 1:
        raise ValueError(f"folds differ in their number of labels: {widths}")
    return (
        [label for truth, _, _ in parts for label in truth],
        np.concatenate([np.asarray(probabilities) for _, probabilities, _ in parts]),
        [speaker for _, _, speakers in parts for speaker in speakers],
    )


def expected_calibration_error(
    probabilities: np.ndarray, truth_index: Sequence[int] | np.ndarray, bins: int = 15
) -> float:
    """Mean gap between confidence and accuracy, over equally wide bins of confidence (Guo et al. 2017).

    Bins are open below and closed above; each weighs as many clips as it holds. 0 is calibrated.
    """
    values = _finite(probabilities)
    _, confidence, right = confidence_bins(values, truth_index, bins)
    return float(np.abs(confidence - right).sum() / len(values))


def confidence_bins(
    probabilities: np.ndarray, truth_index: Sequence[int] | np.ndarray, bins: int = 15
) -> tuple[Counts, Floats, Floats]:
    """Of each of the equally wide bins of confidence, (bins,) each: clips, sum of confidence, clips that are right."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == np.asarray(truth_index)
    inside = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    clips = np.bincount(inside, minlength=bins).astype(np.int64)
    return clips, *(np.bincount(inside, weights=w, minlength=bins) for w in (confidence, right))  # type: ignore[return-value]


def chance(support: Sequence[int] | np.ndarray) -> dict[str, float]:
    """Expected scores of a guesser that names each of the K labels with probability 1/K.

    `support` holds the clips n_c of each label, n in all. UAR and accuracy: 1/K. F1: the number m
    of clips that the guesser calls c is Binomial(n, 1/K), and of those m n_c/n are right on average,
    so E[F1_c] = Σ_m P(m) · 2 m n_c / (n (n_c + m)), exactly. Macro F1 is their mean over the K
    labels (a label that is never true has F1 0 and is all but surely guessed somewhere), weighted
    F1 their mean weighted by n_c.
    """
    counts = np.asarray(support, dtype=np.float64)
    n, k = int(counts.sum()), len(counts)
    guessed = np.arange(n + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    log_ways = log_factorial[n] - log_factorial - log_factorial[::-1]
    likely = np.exp(log_ways - guessed * np.log(k) + (n - guessed) * np.log1p(-1 / k))
    f1 = (likely * _ratio(2 * guessed * counts[:, None], n * (counts[:, None] + guessed))).sum(axis=1)
    return {
        "macro_f1": float(f1.mean()),
        "uar": 1 / k,
        "weighted_f1": float(f1 @ counts / n),
        "accuracy": 1 / k,
    }


def _indices(
    truth: Sequence[str], probabilities: np.ndarray, labels: Sequence[str], speakers: Sequence[str]
) -> tuple[Counts, Counts]:
    """True and predicted label of each clip as column numbers, after the border's checks."""
    column = {label: number for number, label in enumerate(labels)}
    if len(column) != len(labels) or len(labels) < 2:
        raise ValueError(f"labels must be two or more, each once: {list(labels)}")
    values = _finite(probabilities)
    if values.shape != (len(truth), len(labels)) or len(speakers) != len(truth):
        raise ValueError(
            f"{len(truth)} true labels and {len(speakers)} speakers do not fit probabilities of shape "
            f"{values.shape} for {len(labels)} labels"
        )
    for label in truth:
        if label not in column:
            raise unknown("label", label, labels, hint="Map or drop the clips that the model has no label for.")
    return np.array([column[label] for label in truth], dtype=np.int64), values.argmax(axis=1)


def _finite(probabilities: np.ndarray) -> Floats:
    """`probabilities` as float64; an argmax over NaN would be a confident wrong answer, so none pass."""
    values = np.asarray(probabilities, dtype=np.float64)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"probabilities must be (clips, labels) with at least one clip, not {values.shape}")
    bad = ~np.isfinite(values)
    if bad.any():
        rows = np.flatnonzero(bad.any(axis=1))
        raise ValueError(
            f"{bad.sum()} of {values.size} probabilities are not finite, in {len(rows)} of {len(values)} clips "
            f"(first: clip {rows[0]})"
        )
    return values


def confusions(true: Counts, predicted: Counts, owner: NDArray[np.intp], owners: int, k: int) -> Counts:
    """Confusion matrix of each owner of clips: (owners, truth, predicted)."""
    cell = (owner * k + true) * k + predicted
    return np.bincount(cell, minlength=owners * k * k).astype(np.int64).reshape(owners, k, k)


def _ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    """Quotient; 0 where nothing was counted, as scikit-learn's `zero_division` has it by default."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    result: Floats = np.divide(numerator, denominator, out=np.zeros(shape), where=np.asarray(denominator) > 0)
    return result


def measures(confusions: NDArray[Any], never_true: NDArray[np.bool_] | None = None) -> dict[str, Floats]:
    """All MEASURES of each matrix of (matrices, truth, predicted).

    `never_true` (labels) marks labels that count in macro F1 although this matrix has none of them
    in truth, provided they are predicted; without it, every label not in this matrix's truth.
    """
    support, called = confusions.sum(axis=2), confusions.sum(axis=1)
    in_truth = support > 0
    counted = in_truth | ((called > 0) & (~in_truth if never_true is None else never_true))
    tally = Tally(support, called, np.diagonal(confusions, axis1=1, axis2=2), counted)
    return {name: measure.function(tally) for name, measure in MEASURES.items()}


def per_class(confusion: Counts, labels: Sequence[str]) -> dict[str, dict[str, float | int]]:
    hits, support, called = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall, f1 = _ratio(hits, called), _ratio(hits, support), _ratio(2 * hits, support + called)
    return {
        label: {
            "precision": float(precision[row]),
            "recall": float(recall[row]),
            "f1": float(f1[row]),
            "n": int(support[row]),
        }
        for row, label in enumerate(labels)
    }


def _interval(true: Counts, predicted: Counts, by_speaker: Counts) -> dict[str, Any]:
    """Student's interval of the measures, over speakers, whose matrices are (speakers, truth, predicted).

    Clips of one speaker err together, so speakers are what is drawn; clips only where speakers are too few for it
    (`can_be_drawn`), and then the interval says nothing about other voices. See `affetto.training.intervals`.
    """
    sizes = by_speaker.sum(axis=(1, 2))
    over, matrices = "speakers", by_speaker
    if not can_be_drawn(sizes):
        n, k = len(true), by_speaker.shape[1]
        over, matrices, sizes = "clips", confusions(true, predicted, np.arange(n), n, k), np.ones(n, dtype=np.int64)
    facts = {"level": LEVEL, "by": BY, "over": over, "units": len(sizes), "effective": effective(sizes)}
    confusion = matrices.sum(axis=0)
    if len(sizes) < 2:
        return {**facts, **{name: [0.0, 1.0] for name in MEASURES}}  # nothing is known from one clip
    pooled, without = measures(confusion[None]), measures(confusion - matrices, never_true=confusion.sum(axis=1) == 0)
    ends = {
        name: jackknife(float(pooled[name][0]), without[name], sizes).interval(least=0.0, most=1.0) for name in MEASURES
    }
    return {**facts, **{name: list(each) for name, each in ends.items()}}


def recombined(weights: NDArray[Any], by_unit: NDArray[Any]) -> Floats:
    """Sums of the matrices (units, …) under each weighting of the units (weightings, units): (weightings, …)."""
    # Float matrices multiply through BLAS; counts stay exact far below 2**53.
    flat = by_unit.reshape(len(by_unit), -1).astype(np.float64)
    return (weights.astype(np.float64) @ flat).reshape(len(weights), *by_unit.shape[1:])
