"""Answers of the API from predictions and segments: the fields that a model's target has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from affetto.inference.decision import answer_fields, refusal_fields
from affetto.inference.notices import SHORT_NOTICE
from affetto.inference.predictor import Prediction
from affetto.serving.schemas import PredictionAnswer, SegmentAnswer, TimelineAnswer

if TYPE_CHECKING:
    from affetto.inference.timeline import Segment
    from affetto.serving.catalogue import Model


def prediction_answer(model: Model, prediction: Prediction) -> PredictionAnswer:
    """Compose the answer of `POST /v1/predict`."""
    return PredictionAnswer(
        model=model.name,
        **model.version_field,
        **answer_fields(prediction),
        **refusal_fields(prediction),
        seconds=prediction.seconds,
        seconds_heard=prediction.seconds_heard,
        windows=prediction.windows,
        synthetic=bool(model.predictor.card.get("synthetic")),
        notice=SHORT_NOTICE,
    )


def timeline_answer(model: Model, seconds: float, segments: Sequence[Segment]) -> TimelineAnswer:
    """Compose the answer of `POST /v1/timeline`."""
    return TimelineAnswer(
        model=model.name,
        **model.version_field,
        seconds=seconds,
        segments=[SegmentAnswer(**segment.to_json()) for segment in segments],
        synthetic=bool(model.predictor.card.get("synthetic")),
        notice=SHORT_NOTICE,
    )
