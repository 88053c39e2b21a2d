"""Decision of a model by its values: what each target makes of them, and the fields that answers have of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from affetto.targets.target import Target

NOVEL = "novel"
"""Reason not to answer: the recording is too unlike the training clips."""
NO_SPEECH = "no speech"
"""Reason not to answer: the recording has too little speech."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Decision by the values of one recording or segment. Of the fields a target has only its own."""

    emotion: str | None = None
    """The most probable label; None where the model abstains or predicts no single label."""
    probabilities: dict[str, float] = field(default_factory=dict)
    """Probability of each label of the model, in its order; empty for a model without labels."""
    labels: tuple[str, ...] | None = None
    """Labels that apply, of a model by which several may; None for all other models."""
    dimensions: dict[str, float] = field(default_factory=dict)
    """Value of each dimension, within its range; empty for a model without dimensions."""
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Conformal interval around each dimension's value, within its range; empty where the model's card has none."""
    label_set: tuple[str, ...] | None = None
    """Labels that hold the true one as often as was promised, the most probable first; None where nothing was."""

    def refused(self) -> Decision:
        """The probabilities alone, of a recording that gets no answer."""
        return Decision(probabilities=self.probabilities, labels=None if self.labels is None else ())


def decide(
    target: Target,
    values: np.ndarray,
    confidence: Mapping[str, Any],
    abstain_below: float,
    label_set: tuple[str, ...] | None = None,
) -> Decision:
    """Decide by calibrated values (outputs,).

    `confidence`: facts of the model's card, with the thresholds of labels and the half widths of intervals.
    `label_set`: the set of a clip, whose labels do not depend on the calibration.
    """
    count = len(target.labels)
    shares, numbers = values[:count], values[count:]
    emotion = labels = None
    if target.has_classes:
        best = int(shares.argmax())
        emotion = target.labels[best] if shares[best] >= abstain_below else None
    elif target.has_marks:
        labels = tuple(target.fields(values, confidence.get("thresholds"))["prediction"])
    dimensions = {name: float(value) for name, value in zip(target.dimensions, numbers, strict=True)}
    return Decision(
        emotion=emotion,
        probabilities={label: float(share) for label, share in zip(target.labels, shares, strict=True)},
        labels=labels,
        dimensions=dimensions,
        intervals=_intervals(target, dimensions, confidence),
        label_set=label_set,
    )


def _intervals(
    target: Target, dimensions: Mapping[str, float], confidence: Mapping[str, Any]
) -> dict[str, tuple[float, float]]:
    widths = confidence.get("conformal", {}).get("dimensions", {})
    intervals = {}
    for name, value in dimensions.items():
        if name in widths:
            half, scale = widths[name]["half_width"], target.dimensions[name]
            intervals[name] = (max(scale.low, value - half), min(scale.high, value + half))
    return intervals


class Decided(Protocol):
    """A prediction or a segment."""

    @property
    def emotion(self) -> str | None: ...
    @property
    def probabilities(self) -> dict[str, float]: ...
    @property
    def labels(self) -> tuple[str, ...] | None: ...
    @property
    def dimensions(self) -> dict[str, float]: ...
    @property
    def intervals(self) -> dict[str, tuple[float, float]]: ...
    @property
    def label_set(self) -> tuple[str, ...] | None: ...


class Judged(Decided, Protocol):
    """A prediction of a whole recording, that may be refused."""

    @property
    def novelty(self) -> float | None: ...
    @property
    def speech_seconds(self) -> float | None: ...
    @property
    def refused(self) -> str | None: ...


def refusal_fields(result: Judged) -> dict[str, Any]:
    """Fields that JSON has of a recording where the model watches for what it cannot judge."""
    fields: dict[str, Any] = {}
    if result.novelty is not None:
        fields["novelty"] = result.novelty
    if result.speech_seconds is not None:
        fields["speech_seconds"] = round(result.speech_seconds, 3)
    if result.refused is not None:
        fields["refused"] = result.refused
    return fields


def answer_fields(result: Decided) -> dict[str, Any]:
    """Fields that JSON has of a result: those of its target, in this order; `emotion` None means that it abstains."""
    fields: dict[str, Any] = {}
    if result.probabilities:
        if result.labels is None:
            fields["emotion"] = result.emotion
        fields["probabilities"] = result.probabilities
        if result.labels is not None:
            fields["labels"] = list(result.labels)
        if result.label_set is not None:
            fields["set"] = list(result.label_set)
    if result.dimensions:
        fields["dimensions"] = result.dimensions
    if result.intervals:
        fields["intervals"] = {name: list(ends) for name, ends in result.intervals.items()}
    return fields
