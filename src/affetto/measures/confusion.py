"""Confusion matrices: counted by the clips' owners, and summed up for the measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    def precision(self) -> Floats:
        return ratio(self.hits, self.called)

    @property
    def recall(self) -> Floats:
        return ratio(self.hits, self.support)

    @property
    def f1(self) -> Floats:
        return ratio(2 * self.hits, self.support + self.called)


def tally(matrices: NDArray[Any], never_true: NDArray[np.bool_] | None = None) -> Tally:
    """Sums of each of (matrices, truth, predicted).

    `never_true` (labels,) marks labels that count in a mean over labels although a matrix has none of them in truth,
    provided they are predicted; without it, these are all labels that the matrix lacks in truth.
    """
    support, called = matrices.sum(axis=2), matrices.sum(axis=1)
    in_truth = support > 0
    counted = in_truth | ((called > 0) & (~in_truth if never_true is None else never_true))
    return Tally(support, called, np.diagonal(matrices, axis1=1, axis2=2), counted)


def confusions(truth: NDArray[Any], called: NDArray[Any], owner: NDArray[np.intp], owners: int, labels: int) -> Counts:
    """Confusion matrix of each owner of clips: (owners, truth, predicted).

    `truth` and `called` (clips,) are column numbers below `labels`, `owner` (clips,) a number below `owners`.
    """
    cell = (owner * labels + truth) * labels + called
    return np.bincount(cell, minlength=owners * labels * labels).astype(np.int64).reshape(owners, labels, labels)


def per_class(confusion: Counts, labels: Sequence[str]) -> dict[str, dict[str, float | int]]:
    """Precision, recall, F1 and clips of each label, from one matrix (truth, predicted), ready for JSON."""
    sums = tally(confusion[None])
    return {
        label: {
            "precision": float(sums.precision[0, row]),
            "recall": float(sums.recall[0, row]),
            "f1": float(sums.f1[0, row]),
            "n": int(sums.support[0, row]),
        }
        for row, label in enumerate(labels)
    }


def recombined(weights: NDArray[Any], by_unit: NDArray[Any]) -> Floats:
    """Sums of the matrices (units, …) under each weighting of the units (weightings, units): (weightings, …)."""
    # Float matrices multiply through BLAS; counts stay exact far below 2**53.
    flat = by_unit.reshape(len(by_unit), -1).astype(np.float64)
    return (weights.astype(np.float64) @ flat).reshape(len(weights), *by_unit.shape[1:])


def ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    """Quotient; 0 where nothing was counted, as scikit-learn's `zero_division` has it by default."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    result: Floats = np.divide(numerator, denominator, out=np.zeros(shape), where=np.asarray(denominator) > 0)
    return result
