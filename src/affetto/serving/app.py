"""The API: recordings in, emotions and probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from affetto import audio
from affetto._version import __version__
from affetto.inference.predictor import Prediction
from affetto.serving import answers
from affetto.serving.guard import Guard
from affetto.serving.refusals import RefusalError
from affetto.serving.service import Hearing, Service
from affetto.serving.uploads import RAW_TYPES, receive

if TYPE_CHECKING:
    from affetto.inference.timeline import Segment

T = TypeVar("T")
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


def create_app(service: Service, names: Collection[str] | None = None) -> tuple[FastAPI, Guard]:
    """The application without its guard, for more to be mounted on, and the guard around it, which is to be served.

    `names`: what a request's `Host` may be; None: anything.
    """
    bearer = HTTPBearer(auto_error=False, scheme_name="token", description="the server's token")
    app = FastAPI(
        title="affetto",
        version=__version__,
        # Their usual pages fetch scripts from a CDN; /openapi.json is there for any tool that shows it.
        docs_url=None,
        redoc_url=None,
        description="Speech emotion recognition: a recording in, emotions and their probabilities out.",
    )
    guard = Guard(app, service.limits, names)
    # The guard asks for the token; here it is only described.
    described = [] if service.limits.token is None else [Security(bearer)]
    _add_handlers(app)
    _add_state(app, service, guard, described)
    _add_predict(app, service, described)
    _add_timeline(app, service, described)
    return app, guard


def _add_predict(app: FastAPI, service: Service, described: Sequence[Any]) -> None:
    def predicted(hearing: Hearing) -> Prediction:
        return hearing.predictor.classify([hearing.wave])[0]

    @app.post(
        "/v1/predict",
        summary="The emotion of a recording",
        openapi_extra=BODY,
        dependencies=described,
        responses=answers.refused(400, 401, 403, 404, 408, 413, 415, 422, 500, 503),
    )
    async def predict(request: Request, model: Model = None) -> answers.PredictionAnswer:
        name, prediction = await _heard(request, service, model, predicted)
        return answers.PredictionAnswer(
            model=name,
            emotion=prediction.emotion,
            probabilities=prediction.probabilities,
            seconds=prediction.seconds,
            seconds_heard=prediction.seconds_heard,
            windows=prediction.windows,
            synthetic=bool(service.catalogue.predictors[name].card.get("synthetic")),
        )


def segmented(hearing: Hearing) -> list[Segment]:
    """The timeline of a recording."""
    from affetto.inference.timeline import Timeline

    return list(Timeline(hearing.predictor).stream(hearing.blocks()))


def _add_timeline(app: FastAPI, service: Service, described: Sequence[Any]) -> None:
    def timed(hearing: Hearing) -> tuple[float, list[Segment]]:
        return len(hearing.wave) / audio.RATE_HZ, segmented(hearing)

    @app.post(
        "/v1/timeline",
        summary="Emotions over the time of a long recording",
        openapi_extra=BODY,
        dependencies=described,
        responses=answers.refused(400, 401, 403, 404, 408, 413, 415, 422, 500, 501, 503),
    )
    async def timeline(request: Request, model: Model = None) -> answers.TimelineAnswer:
        if not service.makes_timelines:
            raise RefusalError(501, "no_timeline", "this server has no silero-vad, which finds speech in a recording")
        name, (seconds, segments) = await _heard(request, service, model, timed)
        return answers.TimelineAnswer(
            model=name,
            seconds=seconds,
            segments=[answers.SegmentAnswer(**asdict(segment)) for segment in segments],
            synthetic=bool(service.catalogue.predictors[name].card.get("synthetic")),
        )


async def _heard(request: Request, service: Service, model: str | None, task: Callable[[Hearing], T]) -> tuple[str, T]:
    """The way of every request with a recording: a place, the upload, `task`. The model's name, and the result."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    def heard(hearing: Hearing) -> T:
        facts["audio_seconds"] = round(len(hearing.wave) / audio.RATE_HZ, 3)
        return task(hearing)

    name = service.catalogue.resolve(model)
    facts: dict[str, Any] = request.state.facts
    with service.place():
        upload = await receive(request, service.limits)
        if model is None:
            name = service.catalogue.resolve(upload.fields.get("model"))
        facts |= {"model": name, "bytes": len(upload.audio)}
        hearing = service.hear(name, upload.audio, heard, gone)
        del upload  # whose bytes are not needed once they are decoded
        return name, await hearing


def _add_state(app: FastAPI, service: Service, guard: Guard, described: Sequence[Any]) -> None:
    @app.get(
        "/v1/models",
        summary="The models that are served",
        dependencies=described,
        responses=answers.refused(401, 403, 500),
    )
    async def models() -> answers.ModelsAnswer:
        return answers.ModelsAnswer(models=service.catalogue.describe())

    unwell: dict[int | str, dict[str, Any]] = {503: {"model": answers.StateAnswer, "description": "it does not"}}

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", summary="Whether the server lives, its computing thread too", responses=unwell)
    async def healthz(response: Response) -> answers.StateAnswer:
        status = "stalled" if service.is_stalled() else "ok"
        response.status_code = 200 if status == "ok" else 503
        return answers.StateAnswer(status=status)

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", summary="Whether it takes requests", responses=unwell)
    async def readyz(response: Response) -> answers.StateAnswer:
        status = "draining" if guard.draining else "stalled" if service.is_stalled() else "ready"
        response.status_code = 200 if status == "ready" else 503
        return answers.StateAnswer(status=status)


def _add_handlers(app: FastAPI) -> None:
    @app.exception_handler(RefusalError)
    async def refuse(request: Request, problem: RefusalError) -> JSONResponse:
        request.state.facts["error"] = problem.code
        return problem.response()

    @app.exception_handler(HTTPException)
    async def missed(request: Request, problem: HTTPException) -> JSONResponse:
        # Behind the guard only what a route itself misses comes here: a file of the page's.
        code = "not_found" if problem.status_code == 404 else "refused"
        return RefusalError(problem.status_code, code, str(problem.detail), problem.headers).response()

    @app.exception_handler(ClientDisconnect)
    async def left(request: Request, _problem: ClientDisconnect) -> Response:
        request.state.facts["client_left"] = True
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
