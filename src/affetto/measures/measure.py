"""Records of measures, by what is predicted.

A class for each clip: `LabelMeasure` of the labels that were called, `ProbabilityMeasure` of the probabilities of all
labels. Raters' shares of each label: `DistributionMeasure`. Several labels for each clip: `MultilabelMeasure`. Numbers
such as arousal and valence: `DimensionMeasure`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.measures.confusion import Counts, Floats, Tally, confusions, tally
from affetto.measures.moments import Moments, moments


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Score of a set of predictions: all that tables, cards and intervals need to know of it."""

    name: str
    """Its key in files."""
    title: str
    """Its name in tables and cards."""
    range: tuple[float, float] = (0.0, 1.0)
    """The least and the largest value. Scores from 0 to 1 or from -1 to 1 are shown in per cent."""
    higher_is_better: bool = True
    is_shown: bool = True
    """True if `metrics.json`, the tables and the cards have it for every run."""
    order: int = 100
    """Place in tables; equal ones follow their names."""
    hub_type: str = ""
    """The metric's name on the model hub; by default its own."""

    @property
    def in_per_cent(self) -> bool:
        """True if tables show 100 times the value."""
        low, high = self.range
        return low >= -1 and high == 1

    @property
    def scale(self) -> float:
        """Factor from values to those of tables: 100 or 1."""
        return 100.0 if self.in_per_cent else 1.0

    def text(self, value: float) -> str:
        """The value as tables show it.

        >>> from affetto.measures.registry import MEASURES
        >>> MEASURES["uar"].text(0.5), MEASURES["log_loss"].text(0.5)
        ('50.0', '0.50')
        """
        return f"{self.scale * value:.{1 if self.in_per_cent else 2}f}"


@dataclass(frozen=True, kw_only=True)
class ClassMeasure(Measure, ABC):
    """Measure of predictions of one label for each clip."""

    chance: Callable[[Floats], float] | None = None
    """Function from the clips of each label (labels,) to the expected score of a guesser (see `scores.chance`)."""

    @abstractmethod
    def of_predictions(self, probabilities: NDArray[Any], truth: NDArray[Any]) -> float:
        """The value of predictions (clips, labels) for the true labels' columns (clips,)."""


@dataclass(frozen=True, kw_only=True)
class LabelMeasure(ClassMeasure):
    """Measure of the called labels alone: it follows from the confusion matrix."""

    function: Callable[[Tally], Floats]
    """Function from a tally of matrices to a value for each matrix: (matrices,)."""

    def of_confusions(self, matrices: NDArray[Any], never_true: NDArray[np.bool_] | None = None) -> Floats:
        """The value of each of (matrices, truth, predicted); see `tally` for `never_true`."""
        return self.function(tally(matrices, never_true))

    def of_labels(self, truth: NDArray[Any], called: NDArray[Any], labels: int) -> float:
        """The value of called labels (clips,) for true labels (clips,), both as column numbers below `labels`."""
        owner = np.zeros(len(truth), dtype=np.intp)
        return float(self.of_confusions(confusions(truth, called, owner, 1, labels))[0])

    def of_predictions(self, probabilities: NDArray[Any], truth: NDArray[Any]) -> float:
        return self.of_labels(np.asarray(truth, dtype=np.int64), probabilities.argmax(axis=1), probabilities.shape[1])


@dataclass(frozen=True, kw_only=True)
class ProbabilityMeasure(ClassMeasure):
    """Measure of the probabilities of all labels."""

    function: Callable[[Floats, Counts], float]
    """Function from probabilities (clips, labels) and the true labels' columns (clips,) to the value."""

    def of_predictions(self, probabilities: NDArray[Any], truth: NDArray[Any]) -> float:
        return float(self.function(np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=np.int64)))

    def without_each(
        self, probabilities: NDArray[Any], truth: NDArray[Any], owner: NDArray[np.intp], owners: int
    ) -> Floats:
        """The value without the clips of each owner in turn: (owners,). `owner` (clips,) is a number below `owners`."""
        return np.array([self.of_predictions(probabilities[owner != n], truth[owner != n]) for n in range(owners)])


@dataclass(frozen=True, kw_only=True)
class DimensionMeasure(Measure):
    """Measure of predicted numbers, computed for each dimension by itself."""

    function: Callable[[Moments], Floats]
    """Function from the moments of sets of clips to a value for each set and dimension: (sets, dimensions)."""
    chance: Callable[[Moments], Floats] | None = None
    """As `function`, the score of a guesser who names the mean of the truth for every clip."""

    @property
    def in_per_cent(self) -> bool:
        """False: coefficients of dimensions are written as fractions."""
        return False

    def text(self, value: float) -> str:
        """The value with three digits, as papers write it.

        >>> from affetto.measures.regression import CCC
        >>> CCC.text(0.5)
        '0.500'
        """
        return f"{value:.3f}"

    def of_predictions(self, prediction: NDArray[Any], truth: NDArray[Any]) -> Floats:
        """The value of each dimension (dimensions,), for predictions and truth (clips, dimensions)."""
        return self.function(moments(truth, prediction, np.zeros(len(truth), dtype=np.intp), 1))[0]


@dataclass(frozen=True, kw_only=True)
class DistributionMeasure(Measure, ABC):
    """Measure of predicted shares of labels beside those of the raters."""

    chance: Callable[[Floats], float] | None = None
    """Function from the true shares (clips, labels) to the expected score of a guesser."""

    @abstractmethod
    def of_predictions(self, prediction: NDArray[Any], truth: NDArray[Any]) -> float:
        """The value of predicted shares for the true ones, both (clips, labels) with rows that sum to 1."""

    @abstractmethod
    def without_each(
        self, prediction: NDArray[Any], truth: NDArray[Any], owner: NDArray[np.intp], owners: int
    ) -> Floats:
        """The value without the clips of each owner in turn: (owners,). `owner` (clips,) is a number below `owners`."""


@dataclass(frozen=True, kw_only=True)
class MultilabelMeasure(Measure):
    """Measure of several labels for each clip."""

    function: Callable[[Floats, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.intp], int], Floats]
    """Function from scores, called and true labels (clips, labels), and the owner of each clip (clips,) with their
    number, to the value of all clips and then of those without each owner: (1 + owners,)."""
    chance: Callable[[NDArray[np.bool_]], float] | None = None
    """Function from the true labels (clips, labels) to the expected score of a guesser."""

    def of_predictions(
        self, prediction: NDArray[Any], truth: NDArray[Any], threshold: float | NDArray[Any] = 0.5
    ) -> float:
        """The value of scores (clips, labels) for true labels (clips, labels) of 0 and 1.

        A label is called where its score is at least `threshold`, one number or one a label (labels,).
        """
        scores = np.asarray(prediction, dtype=np.float64)
        owner = np.zeros(len(scores), dtype=np.intp)
        return float(self.function(scores, scores >= threshold, np.asarray(truth, dtype=bool), owner, 0)[0])
