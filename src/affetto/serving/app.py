"""The API: recordings in, emotions and probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from affetto import audio
from affetto.inference.predictor import Prediction
from affetto.serving import meters, routes, schemas
from affetto.serving.answers import prediction_answer, timeline_answer
from affetto.serving.app_parameters import (
    PARAMETERS,
    SEGMENT_PARAMETERS,
    AbstainBelow,
    ModelName,
    RecordingOptions,
    Timeout,
)
from affetto.serving.batches import add_batches
from affetto.serving.description import MODELS, RECORDINGS, STATE, Api, recording_body
from affetto.serving.exchange import Exchange
from affetto.serving.middleware import Guard
from affetto.serving.model_routes import add_model_routes
from affetto.serving.processing import Options, process_upload, refuse_recording_options, segment
from affetto.serving.refusals import RefusalError, defect, no_detector
from affetto.serving.roster import Roster
from affetto.serving.service import Job, Service
from affetto.serving.sockets import Socket
from affetto.serving.stream import Stream
from affetto.serving.transcriptions import add_transcriptions

if TYPE_CHECKING:
    from affetto.inference.timeline import Segment

REFUSALS = (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503)
"""Statuses by which a request with a recording may be refused."""


def create_app(
    service: Service, names: Collection[str] | None = None, root_path: str = "", roster: Roster | None = None
) -> tuple[FastAPI, Guard]:
    """The application without its guard, for more to be mounted on, and the guard around it, which is to be served.

    `names`: what a request's `Host` may be; None: anything. `root_path`: path under which a proxy shows the server.
    `roster`: changes of the models; it may be None where nobody has an admin's token.
    """
    bearer = HTTPBearer(auto_error=False, scheme_name="token", description="the server's token")
    app = Api()

    def count(exchange: Exchange) -> None:
        model = exchange.facts.get("model", "")
        is_page = exchange.route is not None and exchange.route.is_stream and exchange.path != routes.STREAM
        path = "page" if is_page else routes.counted(exchange.path)
        service.meters.count_request(path, exchange.status, model)

    guard = Guard(app, service.limits, names, count, root_path)

    async def stream(socket: Socket, check_token: Callable[[str | None], None]) -> None:
        await Stream(socket, service, check_token, guard.ends).run()

    guard.stream = stream
    # The guard asks for the token; here it is only described.
    dependencies = [Security(bearer)] if service.limits.requires_token else []
    _add_handlers(app)
    _add_facts(app, service, dependencies)
    _add_state(app, service, guard)
    _add_predict(app, service, dependencies)
    _add_timeline(app, service, dependencies)
    add_transcriptions(app, service, dependencies)
    add_batches(app, service, dependencies)
    add_model_routes(app, service, roster, [Security(bearer)] if service.limits.has_admin else dependencies)
    return app, guard


def _add_predict(app: FastAPI, service: Service, dependencies: Sequence[Any]) -> None:
    def predict_job(job: Job) -> Prediction:
        return job.predictor.classify([job.wave])[0]

    @app.post(
        "/v1/predict",
        summary="The emotion of a recording, or its dimensions",
        tags=[RECORDINGS],
        openapi_extra=recording_body(PARAMETERS),
        # A model's answer has the fields that its target has.
        response_model_exclude_unset=True,
        dependencies=dependencies,
        responses=schemas.refused(*REFUSALS),
    )
    async def predict(request: Request, options: RecordingOptions) -> schemas.PredictionAnswer:
        served, prediction = await process_upload(request, service, options, predict_job)
        return prediction_answer(served, prediction)


def _add_timeline(app: FastAPI, service: Service, dependencies: Sequence[Any]) -> None:
    def time_job(job: Job) -> tuple[float, list[Segment]]:
        return len(job.wave) / audio.RATE_HZ, segment(job)

    @app.post(
        "/v1/timeline",
        summary="Emotions, or dimensions, over the time of a long recording",
        tags=[RECORDINGS],
        openapi_extra=recording_body(SEGMENT_PARAMETERS),
        response_model_exclude_unset=True,
        dependencies=dependencies,
        responses=schemas.refused(*REFUSALS, 501),
    )
    async def timeline(
        request: Request, model: ModelName = None, abstain_below: AbstainBelow = None, timeout: Timeout = None
    ) -> schemas.TimelineAnswer:
        if not service.makes_timelines:
            raise no_detector()
        refuse_recording_options(request.query_params)
        served, (seconds, segments) = await process_upload(
            request=request,
            service=service,
            options=Options(model, abstain_below, timeout=timeout),
            task=time_job,
            check=service.refuse_timeline,
            read_fields=refuse_recording_options,
        )
        return timeline_answer(served, seconds, segments)


def _add_facts(app: FastAPI, service: Service, dependencies: Sequence[Any]) -> None:
    @app.head("/v1/models", include_in_schema=False)
    @app.get(
        "/v1/models",
        summary="The models that are served",
        tags=[MODELS],
        response_model_exclude_unset=True,
        dependencies=dependencies,
        responses=schemas.refused(401, 403, 500),
    )
    async def list_models() -> schemas.ModelsAnswer:
        return schemas.ModelsAnswer(models=service.catalogue.describe(), **service.disclosure.use_fields())

    @app.head("/notice", include_in_schema=False)
    @app.get(
        "/notice",
        summary="Notice for the people whose voices are analysed, in five languages",
        tags=[STATE],
        response_model_exclude_unset=True,
        responses=schemas.refused(403, 500),
    )
    async def read_notice() -> schemas.NoticeAnswer:
        return service.disclosure.answer()

    @app.head("/metrics", include_in_schema=False)
    @app.get(
        "/metrics",
        summary="Measurements of the server, for Prometheus",
        tags=[STATE],
        dependencies=dependencies,
        response_class=PlainTextResponse,
        responses=schemas.refused(401, 403, 500),
    )
    async def read_metrics() -> Response:
        return Response(service.meters.text(), media_type=meters.CONTENT_TYPE)


def _add_state(app: FastAPI, service: Service, guard: Guard) -> None:
    unhealthy: dict[int | str, dict[str, Any]] = {503: {"model": schemas.StateAnswer, "description": "it is not"}}

    @app.head("/healthz", include_in_schema=False)
    @app.get("/healthz", summary="Liveness of the server and its computing thread", tags=[STATE], responses=unhealthy)
    async def read_health(response: Response) -> schemas.StateAnswer:
        status = "stalled" if service.is_stalled() else "ok"
        response.status_code = 200 if status == "ok" else 503
        return schemas.StateAnswer(status=status)

    @app.head("/readyz", include_in_schema=False)
    @app.get("/readyz", summary="Readiness for requests", tags=[STATE], responses=unhealthy)
    async def read_readiness(response: Response) -> schemas.StateAnswer:
        status = "draining" if guard.draining else "stalled" if service.is_stalled() else "ready"
        response.status_code = 200 if status == "ready" else 503
        return schemas.StateAnswer(status=status)


def _add_handlers(app: FastAPI) -> None:
    @app.exception_handler(RefusalError)
    async def refuse(request: Request, problem: RefusalError) -> JSONResponse:
        request.state.facts["error"] = problem.code
        return problem.response()

    @app.exception_handler(HTTPException)
    async def refuse_missing(request: Request, problem: HTTPException) -> JSONResponse:
        # Behind the guard only what a route itself misses comes here: a file of the page's.
        code = "not_found" if problem.status_code == 404 else "refused"
        return RefusalError(problem.status_code, code, str(problem.detail), problem.headers).response()

    @app.exception_handler(ClientDisconnect)
    async def ignore_departure(request: Request, _problem: ClientDisconnect) -> Response:
        request.state.facts["client_left"] = True
        return _NoAnswer()

    @app.exception_handler(Exception)
    async def report_defect(request: Request, _problem: Exception) -> JSONResponse:
        return defect(request.state.id).response()

    @app.exception_handler(RequestValidationError)
    async def refuse_invalid(_request: Request, problem: RequestValidationError) -> JSONResponse:
        return RefusalError(422, "invalid_parameter", _first(problem.errors())).response()


class _NoAnswer(Response):
    """Answer to a client who has left: nothing is sent, so that nothing counts as answered."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        return


def _first(errors: Sequence[Any]) -> str:
    # Behind the place and the name pydantic names the type by which it read the value.
    where = ".".join(str(part) for part in errors[0].get("loc", ())[:2])
    return f"{where}: {errors[0].get('msg', 'invalid')}"
