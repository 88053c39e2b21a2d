"""The API: recordings in, emotions and probabilities out."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import numpy as np
from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from affetto import __version__, audio
from affetto.inference.predictor import Prediction, Predictor
from affetto.inference.server import answers
from affetto.inference.server.batching import Batcher, ClosedError, QueueFullError, Work
from affetto.inference.server.catalogue import Catalogue
from affetto.inference.server.guard import Guard
from affetto.inference.server.limits import Limits
from affetto.inference.server.refusals import RefusalError, queue_full, unusable
from affetto.inference.server.uploads import RAW_TYPES, Upload, receive
from affetto.models.parallel import cores

if TYPE_CHECKING:
    from affetto.inference.timeline import Segment

T = TypeVar("T")
Gone = Callable[[], Coroutine[Any, Any, None]]
"""Returns once the client has left."""
RECORDING = "the recording"
"""What messages call an upload: the name that the client gave it is never used."""
Model = Annotated[str | None, Query(description="one of /v1/models; the first, if none is given", max_length=200)]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object", "required": ["file"],
        "properties": {
            "file": {"type": "string", "format": "binary", "description": "wav, flac, mp3, ogg …"},
            "model": {"type": "string", "description": "as the parameter of that name"},
        },
    }
}  # fmt: skip
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True, "description": "a form with the recording in its part `file`, or the recording alone",
        "content": {"multipart/form-data": _FORM, "audio/*": _BINARY}
        | dict.fromkeys(RAW_TYPES, _BINARY),
    }
}  # fmt: skip


class Service:
    """The models at work: what is uploaded is decoded, waits in the queue and is answered, within the limits."""

    def __init__(self, catalogue: Catalogue, limits: Limits) -> None:
        self.catalogue, self.limits = catalogue, limits
        kinds: dict[str, Work] = {name: predictor.classify for name, predictor in catalogue.predictors.items()}
        for name, predictor in catalogue.predictors.items():
            kinds[_timelines(name)] = partial(segments, predictor)
        self.batcher = Batcher(kinds, capacity=limits.queue)
        self._decoding = ThreadPoolExecutor(cores(), thread_name_prefix="affetto-decoding")
        self._places = 0
        self.makes_timelines = importlib.util.find_spec("silero_vad") is not None

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A place among those who are served at once. Raises RefusalError (503) if there is none."""
        if self._places >= self.limits.queue:
            raise queue_full(self.batcher.retry_seconds())
        self._places += 1
        try:
            yield
        finally:
            self._places -= 1

    async def decode(self, content: bytes) -> np.ndarray:
        """The wave (samples,) of an upload. Raises RefusalError for one that cannot be used."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._decoding, self._decode, content)
        except audio.AudioError as problem:
            raise unusable(problem) from None

    def _decode(self, content: bytes) -> np.ndarray:
        return audio.decode(content, name=RECORDING, longest_seconds=self.limits.max_seconds)

    async def predict(self, model: str, wave: np.ndarray, gone: Gone | None = None) -> Prediction:
        """Raises RefusalError, and ClientDisconnect where `gone` returns while the work still waits for its turn."""
        found: Prediction = await self._computed(model, wave, gone)
        return found

    async def timeline(self, model: str, wave: np.ndarray, gone: Gone | None = None) -> list[Segment]:
        """As `predict`."""
        found: list[Segment] = await self._computed(_timelines(model), wave, gone)
        return found

    async def _computed(self, kind: str, wave: np.ndarray, gone: Gone | None) -> Any:
        try:
            future = self.batcher.submit(kind, wave)
            answer = asyncio.wrap_future(future)
            if gone is not None and await _is_first(gone, answer) and self.batcher.drop(future):
                raise ClientDisconnect
            # What is at work is finished for nobody, so that its place is kept as long as it takes one.
            return await answer
        except QueueFullError as problem:
            raise queue_full(problem.retry_seconds) from None
        except ClosedError:
            raise queue_full(self.batcher.retry_seconds()) from None
        except audio.AudioError as problem:
            raise unusable(problem) from None

    def busy(self) -> bool:
        return self.batcher.load > 0

    def close(self) -> None:
        """Finish what was taken."""
        self.batcher.close()
        self._decoding.shutdown()


async def _is_first(gone: Gone, answer: asyncio.Future[Any]) -> bool:
    """Whether the client goes before the answer comes."""
    leaving = asyncio.ensure_future(gone())
    try:
        await asyncio.wait({leaving, answer}, return_when=asyncio.FIRST_COMPLETED)
        return not answer.done()
    finally:
        leaving.cancel()


def _timelines(model: str) -> str:
    """The kind of work that makes timelines: a slash is in no model's name."""
    return f"timeline/{model}"


def segments(predictor: Predictor, waves: Sequence[np.ndarray]) -> list[list[Segment]]:
    """Each wave's timeline, one after the other: each is many windows by itself."""
    from affetto.inference.timeline import Timeline

    timeline = Timeline(predictor)
    return [list(timeline(wave)) for wave in waves]


def create_app(service: Service) -> tuple[FastAPI, Guard]:
    """The application without its guard, for more to be mounted on, and the guard around it, which is to be served."""
    # Their usual pages fetch scripts from a CDN; /openapi.json is there for any tool that shows it.
    app = FastAPI(
        title="affetto", version=__version__, docs_url=None, redoc_url=None,
        description="Speech emotion recognition: a recording in, emotions and their probabilities out.",
    )  # fmt: skip
    guard = Guard(app, service.limits.token)
    _add_handlers(app)
    _add_state(app, service, guard)
    _add_predict(app, service)
    _add_timeline(app, service)
    return app, guard


def _add_predict(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/predict", summary="The emotion of a recording", openapi_extra=BODY,
        responses=answers.refused(400, 401, 404, 408, 413, 415, 422, 503),
    )  # fmt: skip
    async def predict(request: Request, model: Model = None) -> answers.PredictionAnswer:
        async def work(name: str, wave: np.ndarray, gone: Gone) -> answers.PredictionAnswer:
            found = await service.predict(name, wave, gone)
            return answers.PredictionAnswer(
                model=name, emotion=found.emotion, probabilities=found.probabilities, seconds=found.seconds,
                seconds_heard=found.seconds_heard, windows=getattr(found, "windows", 1),
                synthetic=bool(service.catalogue.predictors[name].card.get("synthetic")),
            )  # fmt: skip

        return await _heard(request, service, model, work)


def _add_timeline(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/timeline", summary="Emotions over the time of a long recording", openapi_extra=BODY,
        responses=answers.refused(400, 401, 404, 408, 413, 415, 422, 501, 503),
    )  # fmt: skip
    async def timeline(request: Request, model: Model = None) -> answers.TimelineAnswer:
        async def work(name: str, wave: np.ndarray, gone: Gone) -> answers.TimelineAnswer:
            found = await service.timeline(name, wave, gone)
            return answers.TimelineAnswer(
                model=name, seconds=len(wave) / audio.RATE_HZ,
                segments=[answers.SegmentAnswer(**asdict(segment)) for segment in found],
                synthetic=bool(service.catalogue.predictors[name].card.get("synthetic")),
            )  # fmt: skip

        if not service.makes_timelines:
            raise RefusalError(501, "no_timeline", "this server has no silero-vad, which finds speech in a recording")
        return await _heard(request, service, model, work)


async def _heard(
    request: Request, service: Service, model: str | None, work: Callable[[str, np.ndarray, Gone], Awaitable[T]]
) -> T:
    """What every request with a recording goes through: a place, the upload, decoding, `work(model, wave, gone)`."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    name = service.catalogue.resolve(model)
    facts: dict[str, Any] = request.state.facts
    with service.place():
        upload: Upload = await receive(request, service.limits)
        if model is None:
            name = service.catalogue.resolve(upload.fields.get("model"))
        facts |= {"model": name, "bytes": len(upload.audio)}
        wave = await service.decode(upload.audio)
        del upload
        facts["audio_seconds"] = round(len(wave) / audio.RATE_HZ, 3)
        return await work(name, wave, gone)


def _add_state(app: FastAPI, service: Service, guard: Guard) -> None:
    @app.get("/v1/models", summary="The models that are served", responses=answers.refused(401))
    async def models() -> answers.ModelsAnswer:
        return answers.ModelsAnswer(models=service.catalogue.describe())

    @app.get("/healthz", summary="Whether the server lives")
    async def healthz() -> answers.StateAnswer:
        return answers.StateAnswer(status="ok")

    @app.get(
        "/readyz", summary="Whether it takes requests",
        responses={503: {"model": answers.StateAnswer, "description": "it does not"}},
    )  # fmt: skip
    async def readyz(response: Response) -> answers.StateAnswer:
        status = "draining" if guard.draining else "ready" if service.batcher.alive else "stalled"
        response.status_code = 200 if status == "ready" else 503
        return answers.StateAnswer(status=status)


def _add_handlers(app: FastAPI) -> None:
    @app.exception_handler(RefusalError)
    async def refuse(_request: Request, problem: RefusalError) -> JSONResponse:
        return problem.response()

    @app.exception_handler(HTTPException)
    async def missed(request: Request, problem: HTTPException) -> JSONResponse:
        words = {
            404: ("not_found", "no such path; /openapi.json describes what there is"),
            405: ("wrong_method", f"{request.method} is not taken here; /openapi.json describes what is"),
        }
        code, message = words.get(problem.status_code, ("refused", str(problem.detail)))
        return RefusalError(problem.status_code, code, message, problem.headers).response()

    @app.exception_handler(ClientDisconnect)
    async def left(_request: Request, _problem: ClientDisconnect) -> Response:
        return _NoAnswer()

    @app.exception_handler(Exception)
    async def defect(request: Request, _problem: Exception) -> JSONResponse:
        message = f"a defect of the server; its log tells more under {request.state.id}"
        return RefusalError(500, "defect", message).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, problem: RequestValidationError) -> JSONResponse:
        return RefusalError(422, "invalid_parameter", _first(problem.errors())).response()


class _NoAnswer(Response):
    """To a client who has left: nothing is sent, so that nothing counts as answered."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        return


def _first(errors: Sequence[Any]) -> str:
    where = ".".join(str(part) for part in errors[0].get("loc", ()))
    return f"{where}: {errors[0].get('msg', 'invalid')}"
