"""`POST /v1/audio/transcriptions`: emotions in the shape of OpenAI's transcriptions, for clients that send those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, Query, Request

from affetto import audio
from affetto.inference.predictor import Prediction
from affetto.serving import schemas
from affetto.serving.answers import prediction_answer, timeline_answer
from affetto.serving.catalogue import Model
from affetto.serving.processing import Options, process_upload, segment
from affetto.serving.refusals import RefusalError, no_detector
from affetto.serving.schemas import TranscriptionAnswer, TranscriptionSegment
from affetto.serving.service import Job, Service

if TYPE_CHECKING:
    from affetto.inference.timeline import Segment

FORMATS = ("json", "verbose_json")
"""Values of `response_format`; OpenAI's others are texts, and there is no transcript here."""
_TEXTS = ("language", "prompt", "temperature", "timestamp_granularities[]")
_PROPERTIES: dict[str, Any] = {
    "file": {"type": "string", "format": "binary", "description": "wav, flac, mp3, ogg …"},
    "model": {"type": "string", "description": "name from /v1/models; default: the first of them"},
    "response_format": {
        "type": "string",
        "enum": FORMATS,
        "default": "json",
        "description": "`json`: the emotion of the recording; `verbose_json`: that of each segment",
    },
    "timeout": {"type": "number", "description": "seconds from the upload's end to the answer"},
    "stream": {"type": "string", "enum": ["false"], "description": "answers come whole"},
} | {name: {"type": "string", "description": "accepted, without effect on the emotions"} for name in _TEXTS}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": _PROPERTIES}}
        },
    }
}
_REFUSALS = (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 501, 503)


class Transcription:
    """A request: its form, the job that the form calls for, and the answer."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.is_verbose, self.language = False, ""

    def read_fields(self, fields: Mapping[str, str]) -> None:
        """Take the options from the form. Raises RefusalError (422) for a format or a stream that there is not."""
        response_format = fields.get("response_format", "json")
        if response_format not in FORMATS:
            message = f"form.response_format: {response_format[:40]!r} is not available; use {' or '.join(FORMATS)}"
            raise RefusalError(422, "invalid_parameter", message)
        if fields.get("stream", "false").lower() not in ("false", "0"):
            raise RefusalError(422, "invalid_parameter", "form.stream: answers come whole; leave it out")
        self.is_verbose, self.language = response_format == "verbose_json", fields.get("language", "")

    def check(self, model: Model) -> None:
        """Raise RefusalError (501) for segments of a server or a model that makes none."""
        if self.is_verbose:
            if not self._service.makes_timelines:
                raise no_detector()
            self._service.refuse_timeline(model)

    def run(self, job: Job) -> tuple[float, Prediction | list[Segment]]:
        """Compute the recording's length in seconds, and its segments or its prediction."""
        result = segment(job) if self.is_verbose else job.predictor.classify([job.wave])[0]
        return len(job.wave) / audio.RATE_HZ, result

    def answer(self, model: Model, seconds: float, result: Prediction | list[Segment]) -> TranscriptionAnswer:
        """Compose the answer from what `run` has computed."""
        if not isinstance(result, list):
            prediction = prediction_answer(model.name, model.predictor, result)
            return TranscriptionAnswer(text="", **prediction.model_dump(exclude_unset=True))
        timeline = timeline_answer(model.name, model.predictor, seconds, result).model_dump(exclude_unset=True)
        segments = [TranscriptionSegment(id=n, text="", **fields) for n, fields in enumerate(timeline.pop("segments"))]
        return TranscriptionAnswer(
            text="", task="transcribe", language=self.language, duration=seconds, segments=segments, **timeline
        )


def add_transcriptions(app: FastAPI, service: Service, dependencies: Sequence[Any]) -> None:
    """Add the route to the application."""

    @app.post(
        "/v1/audio/transcriptions",
        summary="Emotions in the shape of OpenAI's transcriptions; the text is empty",
        openapi_extra=_BODY,
        response_model_exclude_unset=True,
        dependencies=dependencies,
        responses=schemas.refused(*_REFUSALS),
    )
    async def transcriptions(
        request: Request,
        model: Annotated[str | None, Query(description="as in the form", max_length=200)] = None,
        timeout: Annotated[float | None, Query(description="as in the form", gt=0)] = None,
    ) -> TranscriptionAnswer:
        transcription = Transcription(service)
        served, (seconds, result) = await process_upload(
            request=request,
            service=service,
            options=Options(model, timeout=timeout),
            task=transcription.run,
            check=transcription.check,
            read_fields=transcription.read_fields,
        )
        return transcription.answer(served, seconds, result)
