"""Records of the API's answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from affetto.serving import examples

_NOTICE = "notice for the people whose voice this is about; `GET /notice` has it in more languages"
_CONTEXT = "context of use that the operator has stated by `--context`; absent for none"
_REASON = "medical or safety reason for a context that European law prohibits otherwise; absent for none"
_VERSION = (
    "identity of what the model was loaded from, 12 hexadecimal digits: another after a replacement by other weights; "
    "absent for a model of another package"
)
_DIMENSIONS = "value of each dimension that the model predicts, within its range; absent where it predicts none"


class PredictionAnswer(BaseModel):
    """Emotion and probabilities of a recording, its labels, its dimensions: what the model's target has."""

    model_config = ConfigDict(
        protected_namespaces=(),
        json_schema_extra={"examples": [examples.PREDICTION, examples.DIMENSIONS]},
    )

    model: str = Field(description="the name of the model that answered")
    model_version: str = Field(default="", description=_VERSION)
    emotion: str | None = Field(
        default=None,
        description="the most probable emotion; null where the model abstains, absent where it predicts no single one",
    )
    probabilities: dict[str, float] = Field(
        default_factory=dict,
        description="probability of each emotion that the model knows; they sum to 1, except where several may apply",
    )
    labels: list[str] = Field(
        default_factory=list,
        description="emotions that apply, of a model by which several may; absent for all other models",
    )
    set: list[str] = Field(
        default_factory=list,
        description="emotions that hold the true one of as many clips as `coverage` says; absent without it",
    )
    dimensions: dict[str, float] = Field(default_factory=dict, description=_DIMENSIONS)
    intervals: dict[str, tuple[float, float]] = Field(
        default_factory=dict,
        description="interval around each dimension's value, of the level that `GET /v1/models` gives; absent for none",
    )
    novelty: float | None = Field(
        default=None,
        description="share of held-out clips that are less strange to the model; absent without `refuse_novel`",
    )
    speech_seconds: float | None = Field(
        default=None, description="seconds of speech in the recording; absent without `require_speech`"
    )
    refused: str | None = Field(
        default=None,
        description="reason why there is no answer: `novel` or `no speech`; absent where there is one",
    )
    seconds: float = Field(description="length of the recording in seconds")
    seconds_heard: float = Field(description="seconds of it that the model processed")
    windows: int = Field(description="number of windows that the probabilities are averaged over")
    synthetic: bool = Field(description="true if the model was trained on synthetic speech")
    notice: str = Field(default="", description=_NOTICE)


class SegmentAnswer(BaseModel):
    """A stretch of speech: of one emotion, or with the mean of each dimension."""

    start: float = Field(description="seconds from the recording's start")
    end: float = Field(description="seconds from the recording's start")
    emotion: str | None = Field(
        default=None,
        description="the most probable emotion; null where the model abstains, absent where it predicts none",
    )
    probabilities: dict[str, float] = Field(default_factory=dict, description="probability of each emotion")
    dimensions: dict[str, float] = Field(default_factory=dict, description=_DIMENSIONS)


class TimelineAnswer(BaseModel):
    """Stretches of speech in a recording, each with its emotion, its dimensions, or both."""

    model_config = ConfigDict(protected_namespaces=(), json_schema_extra={"examples": examples.TIMELINE})

    model: str = Field(description="the name of the model that answered")
    model_version: str = Field(default="", description=_VERSION)
    seconds: float = Field(description="length of the recording in seconds")
    segments: list[SegmentAnswer] = Field(description="stretches of speech in the order of time")
    synthetic: bool = Field(description="true if the model was trained on synthetic speech")
    notice: str = Field(default="", description=_NOTICE)


class TranscriptionSegment(SegmentAnswer):
    """A stretch of speech, in OpenAI's shape."""

    id: int = Field(description="number of the segment, from 0")
    text: str = Field(description="transcript; empty where the server has no --asr")


class TranscriptionAnswer(PredictionAnswer):
    """Emotion of a recording in the shape of OpenAI's transcriptions: `json`, or `verbose_json` with its segments."""

    model_config = ConfigDict(protected_namespaces=(), json_schema_extra={"examples": examples.TRANSCRIPTIONS})

    text: str = Field(description="transcript; empty where the server has no --asr")
    seconds_heard: float = Field(default=0.0, description="seconds of it that the model processed; of `json` only")
    windows: int = Field(default=0, description="number of windows that are averaged over; of `json` only")
    task: str = Field(default="transcribe", description="`transcribe`; of `verbose_json` only, as all that follow")
    language: str = Field(default="", description="language that the request names, or that --asr detected")
    duration: float = Field(default=0.0, description="length of the recording in seconds")
    segments: list[TranscriptionSegment] = Field(
        default_factory=list, description="stretches of speech in the order of time"
    )


class TargetAnswer(BaseModel):
    """Target of a model that predicts more or else than one label."""

    kind: str = Field(description="name that `affetto train --target` takes")
    dimensions: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="least and largest value of each dimension; absent where there is none"
    )
    interval_level: float = Field(
        default=0.0,
        description="share of the validation clips whose true values lay within the intervals; absent for no intervals",
    )


class LicenceAnswer(BaseModel):
    """Licence of a corpus that a model learned from."""

    corpus: str = Field(description="name of the corpus; `unknown` where the model does not say")
    licence: str = Field(description="text of the licence; empty where it is not known")
    commercial_use: bool | None = Field(description="true if it allows commercial use; null where that is not known")
    synthetic: bool = Field(description="true if affetto synthesised the corpus: it has no licence to heed")
    role: str = Field(description="`tested`, `auxiliary` (in training alone) or `backbone` (trained further on it)")


class ModelAnswer(BaseModel):
    """A model that is served."""

    model_config = ConfigDict(
        protected_namespaces=(),
        json_schema_extra={"examples": examples.MODELS},
    )

    name: str = Field(description="value for the parameter `model`")
    version: str = Field(default="", description=_VERSION)
    default: bool = Field(description="true if it answers when no model is named")
    labels: list[str] = Field(description="emotions that it knows")
    label_table: dict[str, str | None] = Field(
        default_factory=dict,
        description="labels of a model of others and those of its answers, null where it is left out and the rest "
        "renormalised; absent for affetto's own models",
    )
    target: TargetAnswer = Field(
        default_factory=lambda: TargetAnswer(kind="classes"),
        description="what it predicts; absent where that is one of `labels`",
    )
    method: str | None = Field(description="method by which the backbone was adapted, or the size of an ensemble")
    backbone: str | None = Field(description="the backbone's key, hub id or folder's name")
    precision: str | None = Field(description="number format that it computes in")
    window_seconds: float | None = Field(description="longer recordings are processed in windows of this length")
    shares_backbone_with: list[str] = Field(description="models that use the same backbone in memory")
    synthetic: bool = Field(description="true if it was trained on synthetic speech")
    licences: list[LicenceAnswer] = Field(
        default_factory=list, description="licences of the corpora that it learned from; they may bind its use"
    )


class ModelsAnswer(BaseModel):
    """The models that are served, the default first."""

    models: list[ModelAnswer]
    context: str = Field(default="", description=_CONTEXT)
    context_reason: str = Field(default="", description=_REASON)


class ArticleAnswer(BaseModel):
    """An article of law that speaks of emotion recognition."""

    name: str = Field(description="its number")
    rule: str = Field(description="its content in one sentence")
    since: str = Field(description="first day on which it applies, `YYYY-MM-DD`")


class NoticeAnswer(BaseModel):
    """Notice for the people whose voices the server analyses."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.NOTICE})

    notices: dict[str, str] = Field(description="notice by the code of its language, as `it`")
    operator: str = Field(default="", description="notice of the operator's own; absent for none")
    context: str = Field(default="", description=_CONTEXT)
    context_reason: str = Field(default="", description=_REASON)
    regulation: str = Field(description="name of the law that the articles are of")
    articles: list[ArticleAnswer] = Field(description="articles that speak of emotion recognition")
    disclaimer: str = Field(description="limits of what is written here about the law")


class StateAnswer(BaseModel):
    """State of the server."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ready"}]})

    status: Literal["ok", "ready", "draining", "stalled"] = Field(
        description="`ok`, `ready`, `draining` (shutting down, no new requests) or `stalled`"
    )


class RefusalAnswer(BaseModel):
    """Reason why a request was refused."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": "not_audio",
                    "message": "the recording: not audio that soundfile can read; convert it to wav or flac",
                }
            ]
        }
    )

    error: str = Field(description="stable code, for programs")
    message: str = Field(description="message, for people")


class BatchPrediction(PredictionAnswer):
    """Line of `POST /v1/batch` for a recording that was answered."""

    index: int = Field(description="number of the part `file`, from 0")
    protocol: str = Field(default="", description="`speaker-calibrated (N clips)`; absent without `calibrate`")


class BatchRefusal(RefusalAnswer):
    """Line of `POST /v1/batch` for a recording that cannot be used, or was not done in time."""

    index: int = Field(description="number of the part `file`, from 0")


_REFUSALS = {
    400: "the form cannot be read or holds no file",
    401: "the token is missing or wrong",
    403: "the request comes from another site's page, its Host is not this server, or it needs an admin's token",
    404: "no such model",
    408: "the upload took too long",
    409: "another change of the models is at work, or it is the last model",
    413: "the upload is too large, or the recording too long",
    415: "the upload is no audio that can be read",
    422: "the audio is broken, empty or too short",
    429: "too many requests of this client at once: try again after the seconds in Retry-After",
    500: "a defect of the server; see its log under the X-Request-ID",
    501: "the server cannot find speech in recordings, or the model has no timeline",
    503: "the queue is full, or the computing took too long: try again after the seconds in Retry-After",
}


_RETRIED = (429, 503)
"""Statuses after which another try may do."""


def refused(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe these refusals for FastAPI."""
    answers: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        answers[status] = {"model": RefusalAnswer, "description": _REFUSALS[status]}
        if status in _RETRIED:
            answers[status]["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "integer"}}}
    return answers
