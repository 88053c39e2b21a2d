"""Base of all targets: what is predicted of a clip, and all that depends on it.

A target is one class in one file of this package. Its class attributes are its record; its instances are the target of
one run or model: its labels, its dimensions, its weights. Training, splits, predictions files, scores, confidence and
exports ask it. A file of this package imports torch and scikit-learn inside functions only.

Shapes: a model has `outputs` numbers a clip. `activate` makes values of them, (clips, outputs), that files and users
get: probabilities, or numbers on the scale of the corpus. `encode` makes the truth of a clip, a row of numbers or one
integer, that the loss takes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from affetto.targets.scored import Scored

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Floats = NDArray[np.float64]
Rows = Sequence[Mapping[str, Any]]
"""Lines of a predictions file."""


class Scale(Protocol):
    """Least and largest value of a dimension."""

    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


class AnnotatedClip(Protocol):
    """A clip as targets see it: `affetto.corpora.manifest.Clip`."""

    @property
    def name(self) -> str: ...
    @property
    def emotion(self) -> str: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def ratings(self) -> tuple[Any, ...]: ...
    @property
    def dimensions(self) -> tuple[tuple[str, float], ...]: ...
    def shares(self, labels: Sequence[str]) -> Floats:
        """Shares of the raters' votes (labels,), which sum to 1; ValueError where no vote is for any of them."""


class AnnotatedClips(Protocol):
    """Clips of a run: `affetto.corpora.manifest.Manifest`."""

    @property
    def corpus(self) -> str: ...
    @property
    def clips(self) -> Sequence[AnnotatedClip]: ...
    @property
    def labels(self) -> tuple[str, ...]:
        """Emotions of the clips, in canonical order."""

    @property
    def every_label(self) -> tuple[str, ...]:
        """Emotions that any clip has, where clips have several, in canonical order."""

    @property
    def dimensions(self) -> Mapping[str, Scale]:
        """Range of each dimension that all corpora share."""

    @property
    def unequal_dimensions(self) -> tuple[str, ...]:
        """Dimensions that some corpora lack or have with another range."""


@dataclass(frozen=True, kw_only=True)
class TargetSettings:
    """Settings of targets, as the section `target` of a run's settings has them. A target reads those it `uses`."""

    dimension_loss: str = "ccc+mse"
    dimension_weight: float = 1.0
    joint: str = "classes"
    threshold: float | str = "tuned"


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """Settings of the loss of a fit, as the section `training` of a run's settings has them."""

    kind: str = "cross_entropy"
    """Loss of a target of classes: a key of `affetto.targets.losses.BALANCES`."""
    class_weights: bool = True
    """True to weight classes by inverse frequency, where the kind does not balance them itself."""
    label_smoothing: float = 0.0
    focal_gamma: float = 2.0
    class_balanced_beta: float = 0.99


PLAIN_LOSS = LossSettings(class_weights=False)
"""Loss in which all classes weigh the same."""


@dataclass(frozen=True)
class LinearMap:
    """Outputs = features · weightᵀ + bias: `weight` (outputs, features), `bias` (outputs,)."""

    weight: Floats
    bias: Floats


class Loss(ABC):
    """Loss of a fit. The mean over a batch is weighted by clip: `clip_weights`, divided by their sum."""

    @abstractmethod
    def to(self, device: torch.device) -> Loss:
        """The loss for outputs on this device."""

    @abstractmethod
    def clip_weights(self, truth: Tensor) -> Tensor:
        """Weight of each clip in the mean of its batch, (clips,), from their truth on the loss's device."""

    @abstractmethod
    def of_batch(self, outputs: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        """The loss, a scalar, of outputs (clips, outputs).

        `weights` (clips,) are fᵢ / Σ fᵢ wᵢ over the step's clips, where fᵢ is a clip's factor (1, or the weight of its
        auxiliary corpus) and wᵢ its `clip_weights`; 0 for a clip that only fills the batch. Of several processes each
        passes its own clips, and the losses are summed.
        """

    @abstractmethod
    def of_values(self, values: NDArray[Any], truth: Tensor) -> float:
        """The loss of all clips from their values (clips, outputs) and truth, both on the CPU."""


class Target(ABC):
    """Record (class attributes) of a kind of prediction, and the target of one run or model (instances)."""

    name: ClassVar[str]
    """Name that `--target` takes."""
    title: ClassVar[str]
    order: ClassVar[int] = 100
    """Place in lists."""
    uses: ClassVar[frozenset[str]] = frozenset()
    """Settings of the section `target` that have an effect."""
    has_classes: ClassVar[bool] = False
    """True if a prediction is one label: `probabilities` that sum to 1, `truth` a label, scores of classes."""
    has_dimensions: ClassVar[bool] = False
    """True if a prediction has numbers for `dimensions`."""
    has_marks: ClassVar[bool] = False
    """True if a prediction is any number of labels: `probabilities` of each, `truth` and `prediction` lists."""
    mixes: ClassVar[bool] = False
    """True if its loss is a sum over clips, so that a mixture of two clips has of each loss a share."""
    learns_from_annotations: ClassVar[bool] = True
    """True if more than one label a clip decides: then ratings, several labels and dimensions identify the data."""
    main_measure: ClassVar[str]
    """Key of `validation_scores` by which the best epoch and the best state of the probe are chosen."""

    is_tuned: ClassVar[bool] = False
    """True if `decision` fits constants on validation clips."""
    main_title: ClassVar[str] = "F1"
    """The main measure in a word."""
    has_shares: bool = False
    """True if the scores of classes have `distribution` beside them, the rows the raters' `shares`."""
    labels: tuple[str, ...] = ()
    """Labels whose probabilities are predicted, in the order of the outputs."""

    # The target of a run -----------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def of_clips(cls, clips: AnnotatedClips, settings: TargetSettings) -> Self:
        """The target that these clips have. Raises UserError where they lack it."""

    @classmethod
    @abstractmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The target from its fields in a blueprint."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Fields for a blueprint."""

    @property
    def dimensions(self) -> dict[str, Scale]:
        """Range of each predicted dimension, in the order of the outputs behind those of `labels`."""
        return {}

    @property
    def outputs(self) -> int:
        """Numbers that a model gives for a clip."""
        return len(self.labels) + len(self.dimensions)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Name of each output, (outputs,)."""
        return (*self.labels, *self.dimensions)

    @property
    def output_scales(self) -> Floats:
        """Unit of each value by which differences are judged, (outputs,): 1 of a probability, else half the range."""
        halves = [(ends.high - ends.low) / 2 for ends in self.dimensions.values()]
        return np.array([1.0] * len(self.labels) + halves)

    @property
    def problem_type(self) -> str | None:
        """transformers' name for the kind of outputs; None for classes, which need none."""
        if self.has_dimensions:
            return "regression"
        return None if self.has_classes else "multi_label_classification"

    @property
    def makes_timeline(self) -> bool:
        """True if a recording can be told in segments: by their emotion, or by the course of the dimensions."""
        return self.has_classes or self.has_dimensions

    # Training ----------------------------------------------------------------------------------

    @abstractmethod
    def encode(self, clip: AnnotatedClip) -> int | NDArray[np.float32]:
        """The truth of a clip, as the loss takes it."""

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of a clip's labels in `encode_labels`: () of a class number."""
        return (self.outputs,)

    def encode_labels(self, labels: Tensor) -> Tensor:
        """Labels of a batch (clips, *`label_shape`) → its truth, as the loss takes it.

        Labels are class numbers (clips,), shares or marks (clips, labels), or dimensions (clips, dimensions) on the
        scale of the corpus. Of a joint target the dimensions follow the class number, or the shares, in one row.
        """
        return labels

    def called(self, truth: NDArray[Any]) -> NDArray[np.int64]:
        """The label of each clip, as a column number (clips,), from its encoded truth. Targets with classes have it."""
        raise NotImplementedError(f"the target {self.name} has no classes")

    @abstractmethod
    def loss(self, truth: Tensor, settings: LossSettings, factors: Tensor | None = None) -> Loss:
        """The loss for training clips of this truth (clips, …).

        `factors` (clips,) are factors on the loss of each clip, by which it counts in the shares of classes; None: 1.
        """

    @abstractmethod
    def activate(self, outputs: Tensor) -> Tensor:
        """Outputs (clips, outputs) → values (clips, outputs)."""

    @abstractmethod
    def validation_scores(self, values: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
        """Scores of values for the encoded truth: `loss` (lower is better), and others (higher is better)."""

    def main_text(self, scores: Mapping[str, float]) -> str:
        """The main measure of `validation_scores`, as tables write it."""
        return f"{100 * scores[self.main_measure]:.1f}"

    def selected(self, setting: str) -> str | None:
        """Key of `validation_scores` that `training.select` means; None for none.

        `macro_f1`, the default, stands for the main measure of targets that have no macro F1.
        """
        if setting == "last":
            return None
        return setting if self.has_classes or setting == "loss" else self.main_measure

    @abstractmethod
    def solve(
        self,
        features: Floats,
        truth: NDArray[Any],
        strength: float,
        *,
        weighted: bool,
        clip_weights: Floats | None = None,
        originals: NDArray[np.bool_] | None = None,
    ) -> LinearMap:
        """The probe: the linear map of standardised features (clips, features) that fits the truth (clips, …).

        `strength` is C: it multiplies a sum of losses over clips, beside half the squared norm of the weights.
        `clip_weights` (clips,) are factors on the loss of each clip; None: 1. `originals` (clips,) is False for changed
        copies of clips, which do not count in the frequencies of classes; None: there are none.
        """

    @abstractmethod
    def probe_score(self, outputs: Floats, truth: NDArray[Any]) -> float:
        """Score of a probe's outputs (clips, outputs) by which its state and strength are chosen; higher is better."""

    probe_title: ClassVar[str] = "logistic regression"
    """The probe's kind in words."""
    probe_measure: ClassVar[str] = "uar"
    """Name of `probe_score` in files."""

    # Splits ------------------------------------------------------------------------------------

    @abstractmethod
    def strata(self, clips: Sequence[AnnotatedClip]) -> list[str] | None:
        """Group of each clip, which parts of a split have in proportion; None: its emotion."""

    # Tests on other corpora --------------------------------------------------------------------

    @abstractmethod
    def check_test(self, clips: AnnotatedClips) -> None:
        """Raise UserError for clips by which no model of this target can be tested: no truth, or on another scale."""

    @abstractmethod
    def obstacle(self, clip: AnnotatedClip) -> str:
        """Reason why a model cannot be tested on a clip: an emotion that it does not know, a lacking value; else ""."""

    # Predictions and scores --------------------------------------------------------------------

    @abstractmethod
    def truth_fields(self, clip: AnnotatedClip) -> dict[str, Any]:
        """Fields of a clip's line in a predictions file that hold the truth."""

    @abstractmethod
    def fields(self, values: NDArray[Any], decision: Any = None) -> dict[str, Any]:
        """Fields of a line that hold the prediction, rounded to DECIMALS, from a clip's values (outputs,)."""

    def decision(self, rows: Rows) -> Any:
        """Constants (JSON) fitted on predictions of validation clips, by which values become a decision; or None."""
        return None

    def number_row(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """The line of a clip with its numbers {dimension: value} as `truth` and `prediction`."""
        return row

    @abstractmethod
    def scores(self, rows: Rows) -> dict[str, Any]:
        """All scores of predictions, as `metrics.json` has them."""

    @abstractmethod
    def scored(self, scores: Mapping[str, Any]) -> list[Scored]:
        """The measures of `scores` one by one, the main one first."""

    @abstractmethod
    def headline(self, scores: Mapping[str, Any]) -> dict[str, float]:
        """{name: value} of the scores that are averaged over folds, the main one first."""

    @abstractmethod
    def summary(self, scores: Mapping[str, Any]) -> str:
        """The main score in words, as `macro F1 53.4`."""

    @abstractmethod
    def confidence(self, folds: Sequence[Mapping[str, Rows]]) -> dict[str, Any]:
        """Facts for a model's card by which its answers can be trusted; of each fold `validation` and `test`."""

    def label_sets(self, folds: Sequence[Mapping[str, Rows]]) -> dict[str, Any]:
        """Limits of sets of labels for a model's card, {"sets": …}; {} of a target without classes. As `confidence`."""
        return {}


DECIMALS = 6
"""Decimals of the values in predictions files; scores are computed from what is written there."""


def rounded(values: NDArray[Any]) -> list[float]:
    """Values as predictions files have them."""
    return [round(float(value), DECIMALS) for value in values]
