"""`Prediction`: what a predictor says of one recording."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Prediction:
    """Emotion, labels and dimensions of one recording: what the model's target has of these."""

    file: str
    emotion: str | None
    """The most probable label; None where the model abstains, or predicts no single label."""
    probabilities: dict[str, float]
    """Probability of each label of the model, in its order; empty for a model without labels."""
    seconds: float
    """Length of the recording."""
    seconds_heard: float
    """Length of what the model processed."""
    windows: int = 1
    """Number of windows that the values are averaged over."""
    labels: tuple[str, ...] | None = None
    """Labels that apply, of a model by which several may; None for all other models."""
    dimensions: dict[str, float] = field(default_factory=dict)
    """Value of each dimension, within its range; empty for a model without dimensions."""
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Conformal interval around each dimension's value, within its range."""
    label_set: tuple[str, ...] | None = None
    """Labels that hold the true one as often as `cover` promises, the most probable first; None without a promise."""

    novelty: float | None = None
    """Share of held-out clips of the training corpus that are less strange to the model, where it `watches`."""
    refused: str | None = None
    """Reason why there is no answer, however sure the model is: NOVEL or NO_SPEECH; None: there is an answer."""
    speech_seconds: float | None = None
    """Seconds of speech in it; None where they are not measured (`require_speech`)."""

    @property
    def abstained(self) -> bool:
        """True if the model could name one label, and is not sure enough."""
        return self.refused is None and self.emotion is None and bool(self.probabilities) and self.labels is None

    @property
    def cropped(self) -> bool:
        return self.seconds_heard < self.seconds
