"""`POST /v1/batch`: many recordings in one form, a line for each."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from affetto.inference.predictor import Prediction
from affetto.serving import logs, schemas, tracing
from affetto.serving.app_parameters import PARAMETERS, Format, RecordingOptions
from affetto.serving.batch_lines import CSV, FORMATS, JSON_LINES, Lines, lines_of
from affetto.serving.calibration import calibrate, check_adapts
from affetto.serving.catalogue import Model
from affetto.serving.description import FILE, RECORDINGS, form, lines_content
from affetto.serving.processing import NAMES, Options, refuse_unknown
from affetto.serving.refusals import RefusalError, defect, timed_out
from affetto.serving.service import Job, Service
from affetto.serving.uploads import MOST_FILES, receive_batch

_NAMES = {*NAMES, "format"}
_PARTS = {"file", "calibrate"}
AT_ONCE = 4
"""Recordings of a batch that are at work at once, where there are places for them."""
_FILES: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "maxItems": MOST_FILES,
    "items": FILE,
    "description": "recordings, together no larger than one upload may be",
}
_CLIPS: dict[str, Any] = {
    "type": "array",
    "items": FILE,
    "description": "unlabelled clips of the speaker of all recordings, to whom the model is adapted; of mixed emotions",
}
_TABLE = {
    "type": "string",
    "description": "a table with the columns that `affetto predict` writes, in the form's order",
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": form({"file": _FILES, "calibrate": _CLIPS}, PARAMETERS | {"format": Format}),
    }
}
_CONTENT = lines_content(FORMATS[JSON_LINES]) | {FORMATS[CSV]: {"schema": _TABLE}}
_REFUSALS = (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "a line for each recording", "content": _CONTENT},
    **schemas.refused(*_REFUSALS),
}


class BatchAnswer(Response):
    """Lines, each sent as soon as it can be. It ends early where the client leaves.

    `places` has the place of the request, which one recording at a time uses; further ones take places of their own
    where the client has some. `end`: time of the event loop at which all is given up, `seconds` after the upload.
    """

    def __init__(
        self,
        service: Service,
        request: Request,
        model: Model,
        *,
        options: Options,
        lines: Lines,
        media_type: str,
        contents: Sequence[bytes],
        end: float,
        seconds: float,
        places: contextlib.ExitStack,
    ) -> None:
        super().__init__(media_type=media_type)
        del self.headers["content-length"]
        self._service, self._model, self._options, self._places = service, model, options, places
        self._client: str = request.state.client
        self._facts, self._id = request.state.facts, request.state.id
        self._waiting = deque(enumerate(contents))
        self._text, self._done = lines, asyncio.Queue[tuple[int, Prediction | RefusalError]]()
        self._end, self._seconds = end, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._places:
            count = len(self._waiting)
            tasks = [asyncio.create_task(self._work(n > 0)) for n in range(min(AT_ONCE, count))]
            leaving = asyncio.create_task(_departure(receive))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                await _send_text(send, self._text.header())
                for _ in range(count):
                    done = asyncio.ensure_future(self._done.get())
                    await asyncio.wait({done, leaving}, return_when=asyncio.FIRST_COMPLETED)
                    if not done.done():
                        done.cancel()
                        self._facts["client_left"] = True
                        return
                    await _send_text(send, self._text.add(*done.result()))
                await send({"type": "http.response.body", "body": b""})
            finally:
                for task in (*tasks, leaving):
                    task.cancel()
                await asyncio.gather(*tasks, leaving, return_exceptions=True)

    async def _work(self, takes_place: bool) -> None:
        """Process recordings one after another, within a place."""
        with contextlib.ExitStack() as stack:
            if takes_place:
                try:
                    stack.enter_context(self._service.take_place(self._client))
                except RefusalError:
                    return
            while self._waiting:
                index, content = self._waiting.popleft()
                with tracing.part("recording", index=index):
                    result = await self._result(content)
                self._done.put_nowait((index, result))

    async def _result(self, content: bytes) -> Prediction | RefusalError:
        """The answer to one recording, or the reason why there is none."""

        def run_task(job: Job) -> Prediction:
            self._options.apply(job.predictor)
            return job.predictor.classify([job.wave])[0]

        remaining = self._end - asyncio.get_running_loop().time()
        try:
            if remaining <= 0:
                raise timed_out(self._seconds)
            return await self._service.process(self._model, content, run_task, self._client, timeout=remaining)
        except RefusalError as problem:
            return timed_out(self._seconds) if problem.code == "timed_out" else problem
        except Exception as problem:
            logs.failure("defect", problem, id=self._id, path="/v1/batch")
            return defect(self._id)


async def _send_text(send: Send, text: str) -> None:
    if text:
        # The name of a file may hold what UTF-8 cannot: a part of a form may have any charset.
        await send({"type": "http.response.body", "body": text.encode(errors="replace"), "more_body": True})


async def _departure(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def add_batches(app: FastAPI, service: Service, dependencies: Sequence[Any]) -> None:
    """Add the route to the application."""

    @app.post(
        "/v1/batch",
        summary="The emotions of many recordings, a line each",
        tags=[RECORDINGS],
        openapi_extra=_BODY,
        response_class=Response,
        response_model=None,
        dependencies=dependencies,
        responses=_RESPONSES,
    )
    async def batch(request: Request, options: RecordingOptions, format: Format = None) -> BatchAnswer:
        refuse_unknown("query", request.query_params, _NAMES)
        service.catalogue.find(options.model)
        with contextlib.ExitStack() as stack:
            stack.enter_context(service.take_place(request.state.client))
            with tracing.part("upload"):
                received = await receive_batch(request, service.limits)
            refuse_unknown("form", received.fields, _NAMES)
            refuse_unknown("form", received.parts, _PARTS)
            options = options.completed(received.fields)
            kind = _checked_format(format or received.fields.get("format", JSON_LINES))
            served = options.check(service.catalogue, service.limits)
            request.state.facts |= {
                "model": served.name,
                "bytes": sum(map(len, received.contents)),
                "files": len(received.contents),
            }
            seconds = service.limits.compute_seconds if options.timeout is None else options.timeout
            end = asyncio.get_running_loop().time() + seconds
            if received.clips:
                served = await _adapted(request, service, served, received.clips, end=end, seconds=seconds)
            return BatchAnswer(
                service,
                request,
                served,
                options=options,
                lines=lines_of(kind, served, options, received.names),
                media_type=FORMATS[kind],
                contents=received.contents,
                end=end,
                seconds=seconds,
                places=stack.pop_all(),
            )


async def _adapted(
    request: Request, service: Service, model: Model, clips: Sequence[bytes], *, end: float, seconds: float
) -> Model:
    """The model adapted to the speaker of these clips. Raises RefusalError and ClientDisconnect as `calibrate`."""
    request.state.facts["calibration_clips"] = len(clips)
    check_adapts(model)
    return await calibrate(
        service=service,
        model=model,
        clips=clips,
        client=request.state.client,
        gone=lambda: _departure(request.receive),
        end=end,
        seconds=seconds,
    )


def _checked_format(kind: str) -> str:
    """The format. Raises RefusalError (422) for an unknown one."""
    if kind not in FORMATS:
        raise RefusalError(422, "invalid_parameter", f"form.format: give {' or '.join(FORMATS)}")
    return kind
