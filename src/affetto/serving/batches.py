"""`POST /v1/batch`: many recordings in one form, a line of JSON for each as it is done."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from affetto.inference.predictor import Prediction
from affetto.serving import logs, schemas, tracing
from affetto.serving.answers import prediction_answer
from affetto.serving.app_parameters import RecordingOptions
from affetto.serving.catalogue import Model
from affetto.serving.processing import Options, refuse_unknown
from affetto.serving.refusals import RefusalError, defect, timed_out
from affetto.serving.service import Job, Service
from affetto.serving.uploads import MOST_FILES, receive_files

TYPE = "application/x-ndjson"
AT_ONCE = 4
"""Recordings of a batch that are at work at once, where there are places for them."""
_LINE: dict[str, Any] = {
    "type": "object",
    "required": ["index"],
    "description": "the fields of `POST /v1/predict`, or `error` and `message`",
    "properties": {
        "index": {"type": "integer", "description": "number of the part `file`, from 0"},
        "error": {"type": "string", "description": "code of the refusal of this recording"},
        "message": {"type": "string"},
    },
}
_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {
            "type": "array",
            "maxItems": MOST_FILES,
            "items": {"type": "string", "format": "binary"},
            "description": "parts of this name, together no larger than one upload may be",
        },
    },
}
_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}}
_REFUSALS = (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503)


class BatchAnswer(Response):
    """Lines of JSON, each sent when its recording is done. It ends early where the client leaves.

    `places` has the place of the request, which one recording at a time uses; further ones take places of their own
    where the client has some. `seconds`: time limit of the whole.
    """

    def __init__(
        self,
        service: Service,
        request: Request,
        model: Model,
        *,
        options: Options,
        contents: Sequence[bytes],
        places: contextlib.ExitStack,
    ) -> None:
        super().__init__(media_type=TYPE)
        del self.headers["content-length"]
        self._service, self._model, self._options, self._places = service, model, options, places
        self._client: str = request.state.client
        self._facts, self._id = request.state.facts, request.state.id
        self._waiting = deque(enumerate(contents))
        self._lines: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._seconds = service.limits.compute_seconds if options.timeout is None else options.timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._end = asyncio.get_running_loop().time() + self._seconds
        with self._places:
            count = len(self._waiting)
            tasks = [asyncio.create_task(self._work(n > 0)) for n in range(min(AT_ONCE, count))]
            leaving = asyncio.create_task(_departure(receive))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                for _ in range(count):
                    line = asyncio.ensure_future(self._lines.get())
                    await asyncio.wait({line, leaving}, return_when=asyncio.FIRST_COMPLETED)
                    if not line.done():
                        line.cancel()
                        self._facts["client_left"] = True
                        return
                    content = json.dumps(line.result(), ensure_ascii=False) + "\n"
                    await send({"type": "http.response.body", "body": content.encode(), "more_body": True})
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
                    fields = await self._fields(content)
                self._lines.put_nowait({"index": index, **fields})

    async def _fields(self, content: bytes) -> dict[str, Any]:
        """Fields of one recording's line."""

        def run_task(job: Job) -> Prediction:
            self._options.apply(job.predictor)
            return job.predictor.classify([job.wave])[0]

        remaining = self._end - asyncio.get_running_loop().time()
        try:
            if remaining <= 0:
                raise timed_out(self._seconds)
            model = self._model
            prediction = await self._service.process(model, content, run_task, self._client, timeout=remaining)
            answer = prediction_answer(model.name, model.predictor, prediction)
            return answer.model_dump(mode="json", exclude_unset=True, by_alias=True)
        except RefusalError as problem:
            return _refused(timed_out(self._seconds) if problem.code == "timed_out" else problem)
        except Exception as problem:
            logs.failure("defect", problem, id=self._id, path="/v1/batch")
            return _refused(defect(self._id))


def _refused(problem: RefusalError) -> dict[str, Any]:
    return {"error": problem.code, "message": problem.message}


async def _departure(receive: Receive) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def add_batches(app: FastAPI, service: Service, dependencies: Sequence[Any]) -> None:
    """Add the route to the application."""

    @app.post(
        "/v1/batch",
        summary="The emotions of many recordings, a line of JSON each as they are done",
        openapi_extra=_BODY,
        response_class=Response,
        response_model=None,
        dependencies=dependencies,
        responses=schemas.refused(*_REFUSALS)
        | {200: {"description": "lines of JSON", "content": {TYPE: {"schema": _LINE}}}},
    )
    async def batch(request: Request, options: RecordingOptions) -> BatchAnswer:
        refuse_unknown("query", request.query_params)
        service.catalogue.find(options.model)
        with contextlib.ExitStack() as stack:
            stack.enter_context(service.take_place(request.state.client))
            with tracing.part("upload"):
                contents, fields = await receive_files(request, service.limits)
            refuse_unknown("form", fields)
            options = options.completed(fields)
            served = options.check(service.catalogue, service.limits)
            request.state.facts |= {
                "model": served.name,
                "bytes": sum(len(content) for content in contents),
                "files": len(contents),
            }
            return BatchAnswer(service, request, served, options=options, contents=contents, places=stack.pop_all())
