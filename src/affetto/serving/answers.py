"""Answers of the API from predictions and segments: the fields that a model's target has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from affetto.inference.decision import answer_fields, refusal_fields
from affetto.inference.notices import SHORT_NOTICE
from affetto.inference.predictor import Prediction, Predictor
from affetto.serving.schemas import PredictionAnswer, SegmentAnswer, TimelineAnswer

if TYPE_CHECKING:
    from affetto.inference.timeline import Segment


def prediction_answer(model: str, predictor: Predictor, prediction: Prediction) -> PredictionAnswer:
    """Compose the answer of `POST /v1/predict`."""
    return PredictionAnswer(
        model=model,
        **answer_fields(prediction),
        **refusal_fields(prediction),
        seconds=prediction.seconds,
        seconds_heard=prediction.seconds_heard,
        windows=prediction.windows,
        synthetic=bool(predictor.card.get("synthetic")),
        notice=SHORT_NOTICE,
    )


def timeline_answer(model: str, predictor: Predictor, seconds: float, segments: Sequence[Segment]) -> TimelineAnswer:
    """Compose the answer of `POST /v1/timeline`."""
    return TimelineAnswer(
        model=model,
        seconds=seconds,
        segments=[SegmentAnswer(**segment.to_json()) for segment in segments],
        synthetic=bool(predictor.card.get("synthetic")),
        notice=SHORT_NOTICE,
    )
