"""`POST /v1/audio/transcriptions`: emotions in the shape of OpenAI's transcriptions, for clients that send those.

With a transcriber (`--asr`) there is a text too: of a whole recording, or of each segment by itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse, Response

from affetto import audio
from affetto.inference.predictor import Prediction
from affetto.serving import schemas
from affetto.serving.answers import prediction_answer, timeline_answer
from affetto.serving.app_parameters import PARAMETERS, RecordingOptions
from affetto.serving.catalogue import Model
from affetto.serving.description import FILE, RECORDINGS, form
from affetto.serving.processing import NAMES, process_upload, refuse_recording_options, segment
from affetto.serving.refusals import RefusalError, no_detector
from affetto.serving.schemas import TranscriptionAnswer, TranscriptionSegment
from affetto.serving.service import Job, Service

if TYPE_CHECKING:
    from affetto.inference.timeline import Segment

FORMATS = ("json", "verbose_json")
"""Values of `response_format` that have emotions."""
TEXT_FORMATS = ("text", "srt", "vtt")
"""Values of `response_format` that need a transcript."""
_TEXTS = ("prompt", "temperature", "timestamp_granularities[]")
_PROPERTIES: dict[str, Any] = {
    "file": FILE,
    "response_format": {
        "type": "string",
        "enum": (*FORMATS, *TEXT_FORMATS),
        "default": "json",
        "description": "`json`: the emotion of the recording; `verbose_json`: that of each segment; the others: its "
        "transcript alone, of a server with --asr",
    },
    "language": {
        "type": "string",
        "description": "code of the language for the transcript, as `it`; default: it is detected",
    },
    "stream": {"type": "string", "enum": ["false"], "description": "answers come whole"},
} | {name: {"type": "string", "description": "accepted, without effect on the emotions"} for name in _TEXTS}
_FORM_NAMES = {*NAMES, *_PROPERTIES} - {"file"}
_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": form(_PROPERTIES, PARAMETERS)}}
_TEXT_TYPES = ("text/plain", "text/vtt", "application/x-subrip")
_TEXT_CONTENT = {kind: {"schema": {"type": "string", "description": "the transcript alone"}} for kind in _TEXT_TYPES}
_REFUSALS = (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 501, 503)


@dataclass
class Recognised:
    """Result of a request: emotions of a recording or of its segments, and texts, empty without a transcriber."""

    seconds: float
    language: str = ""
    prediction: Prediction | None = None
    segments: list[Segment] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """Text of each segment, or of the recording."""

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.texts))


class Transcription:
    """A request: its form, the job that the form calls for, and the answer. `query`: names of its parameters."""

    def __init__(self, service: Service, query: Collection[str]) -> None:
        self._service, self._query = service, query
        self.format, self.language = "json", ""

    def read_fields(self, fields: Mapping[str, str]) -> None:
        """Take the options from the form. Raises RefusalError (422) for a format, a language or a stream that there is
        not."""
        transcriber = self._service.transcriber
        self.format, self.language = fields.get("response_format", "json"), fields.get("language", "")
        formats = FORMATS if transcriber is None else (*FORMATS, *TEXT_FORMATS)
        if self.format not in formats:
            reason = " without a transcript (--asr)" if self.format in TEXT_FORMATS else ""
            message = f"form.response_format: {self.format[:40]!r} is not available{reason}; use {' or '.join(formats)}"
            raise RefusalError(422, "invalid_parameter", message)
        if self.has_segments or self.format in TEXT_FORMATS:
            refuse_recording_options([*self._query, *fields])
        if fields.get("stream", "false").lower() not in ("false", "0"):
            raise RefusalError(422, "invalid_parameter", "form.stream: answers come whole; leave it out")
        if transcriber is not None and self.language and transcriber.languages:
            self.language = self.language.lower()
            if self.language not in transcriber.languages:
                allowed = f"{transcriber.name} knows {', '.join(transcriber.languages)}"
                message = f"form.language: {self.language[:40]!r} cannot be transcribed; {allowed}"
                raise RefusalError(422, "invalid_parameter", message)

    @property
    def has_segments(self) -> bool:
        """True for a format whose texts have times."""
        return self.format in ("verbose_json", "srt", "vtt")

    def check(self, model: Model) -> None:
        """Raise RefusalError (501) for segments of a server or a model that makes none."""
        if self.has_segments:
            if not self._service.makes_timelines:
                raise no_detector()
            self._service.refuse_timeline(model)

    def run(self, job: Job) -> Recognised:
        """Compute the emotions, then the texts."""
        result = Recognised(len(job.wave) / audio.RATE_HZ, self.language)
        if self.has_segments:
            result.segments = segment(job)
        elif self.format in FORMATS:
            result.prediction = job.predictor.classify([job.wave])[0]
        self._transcribe(job, result)
        return result

    def _transcribe(self, job: Job, result: Recognised) -> None:
        """Fill texts and language, in the transcriber's turns."""
        transcriber = self._service.transcriber
        if transcriber is None:
            return
        language = result.language = self.language or transcriber.detect_language(job.wave, job.check)
        ends = [(part.start, part.end) for part in result.segments] if self.has_segments else [(0.0, result.seconds)]
        for start, end in ends:
            piece = job.wave[round(start * audio.RATE_HZ) : round(end * audio.RATE_HZ)]
            result.texts.append(transcriber.transcribe(piece, language, job.check))

    def answer(self, model: Model, result: Recognised) -> TranscriptionAnswer | Response:
        """Compose the answer from what `run` has computed."""
        if self.format in TEXT_FORMATS:
            return _text(self.format, result)
        if result.prediction is not None:
            prediction = prediction_answer(model, result.prediction)
            return TranscriptionAnswer(text=result.text, **prediction.model_dump(exclude_unset=True))
        answer = timeline_answer(model, result.seconds, result.segments)
        timeline = answer.model_dump(exclude_unset=True)
        texts = result.texts or [""] * len(result.segments)
        segments = [
            TranscriptionSegment(id=number, text=text, **fields)
            for number, (text, fields) in enumerate(zip(texts, timeline.pop("segments"), strict=True))
        ]
        return TranscriptionAnswer(
            text=result.text,
            task="transcribe",
            language=result.language,
            duration=result.seconds,
            segments=segments,
            **timeline,
        )


def _text(kind: str, result: Recognised) -> Response:
    """Compose a transcript as plain text or as subtitles; subtitles in WebVTT have the emotion as their class."""
    if kind == "text":
        return PlainTextResponse(result.text + "\n")
    cues: list[str] = []
    for part, text in zip(result.segments, result.texts, strict=True):
        if not text:
            continue
        mark = "." if kind == "vtt" else ","
        times = f"{_clock(part.start, mark)} --> {_clock(part.end, mark)}"
        if kind == "srt":
            cues.append(f"{len(cues) + 1}\n{times}\n{text}\n")
        else:
            line = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            kind_of_cue = re.sub(r"[^\w-]", "-", part.emotion or "")  # a label of others may have any letters
            cues.append(f"{times}\n" + (f"<c.{kind_of_cue}>{line}</c>\n" if kind_of_cue else f"{line}\n"))
    if kind == "vtt":
        return PlainTextResponse("\n".join(["WEBVTT\n", *cues]), media_type="text/vtt")
    return PlainTextResponse("\n".join(cues), media_type="application/x-subrip")


def _clock(seconds: float, mark: str) -> str:
    """Write a time as hours, minutes, seconds and, behind `mark`, milliseconds."""
    clock, milliseconds = divmod(round(1000 * seconds), 1000)
    return f"{clock // 3600:02}:{clock // 60 % 60:02}:{clock % 60:02}{mark}{milliseconds:03}"


def add_transcriptions(app: FastAPI, service: Service, dependencies: Sequence[Any]) -> None:
    """Add the route to the application."""

    @app.post(
        "/v1/audio/transcriptions",
        summary="Emotions in the shape of OpenAI's transcriptions; the text is empty without --asr",
        tags=[RECORDINGS],
        openapi_extra=_BODY,
        response_model=TranscriptionAnswer,
        response_model_exclude_unset=True,
        dependencies=dependencies,
        responses=schemas.refused(*_REFUSALS)
        | {
            200: {
                "description": "emotions, or the transcript in the format that was asked for",
                "content": _TEXT_CONTENT,
            }
        },
    )
    async def transcribe(request: Request, options: RecordingOptions) -> TranscriptionAnswer | Response:
        transcription = Transcription(service, request.query_params.keys())
        served, result = await process_upload(
            request=request,
            service=service,
            options=options,
            task=transcription.run,
            check=transcription.check,
            read_fields=transcription.read_fields,
            form_names=_FORM_NAMES,
        )
        return transcription.answer(served, result)
