"""Description of the API at /openapi.json: groups of operations, bodies of requests, lines of batches.

Programs make clients of it: each operation has the name of its function, each body its schema, each line a record.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from affetto._version import __version__
from affetto.serving import schemas
from affetto.serving.app_parameters import fields_of

RECORDINGS, MODELS, STATE = "recordings", "models", "state"
"""Groups of operations."""
_TAGS = [
    {"name": RECORDINGS, "description": "recordings in, emotions out"},
    {"name": MODELS, "description": "the models that are served, and changes of them"},
    {"name": STATE, "description": "the server itself"},
]
BINARY: dict[str, Any] = {"type": "string", "format": "binary"}
FILE: dict[str, Any] = BINARY | {"description": "wav, flac, mp3, ogg …"}
_LINES = (schemas.BatchPrediction, schemas.BatchRefusal)
_REFERENCE = "#/components/schemas/{model}"


class Api(FastAPI):
    """Application with its description."""

    def __init__(self) -> None:
        super().__init__(
            title="affetto",
            version=__version__,
            # Their usual pages fetch scripts from a CDN; /openapi.json is there for any tool that shows it.
            docs_url=None,
            redoc_url=None,
            summary="Speech emotion recognition: a recording in, emotions and their probabilities out.",
            description="`GET /v1/stream` is a WebSocket, which has no place in this description: see docs/serving.md.",
            license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
            openapi_tags=_TAGS,
            generate_unique_id_function=_operation,
            # Its own spans would hold queries; `Guard.telemetry` makes ours.
            telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        )

    def openapi(self) -> dict[str, Any]:
        """The document, with the records of lines, which no route returns as such."""
        document = super().openapi()
        _, lines = models_json_schema([(line, "serialization") for line in _LINES], ref_template=_REFERENCE)
        document["components"]["schemas"] |= lines["$defs"]
        return document


def _operation(route: APIRoute) -> str:
    return route.name


def form(parts: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    """Content of a body that is a form: its parts, of which the first is required, and parameters as its fields."""
    properties = parts | fields_of(parameters)
    return {"multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": properties}}}


def recording_body(parameters: dict[str, Any]) -> dict[str, Any]:
    """Body of a request with one recording, in a form with these parameters or alone."""
    description = (
        "a form with the recording in its part `file`, or the recording alone, which may have a type of its own: "
        "`audio/…`, `application/ogg`, `video/mp4` or `video/webm`."
    )
    content = form({"file": FILE}, parameters) | {"application/octet-stream": {"schema": BINARY}}
    return {"requestBody": {"required": True, "description": description, "content": content}}


def lines_content(kind: str) -> dict[str, Any]:
    """Content of an answer whose body is lines of JSON, each with one of the records of lines."""
    records = [{"$ref": _REFERENCE.format(model=line.__name__)} for line in _LINES]
    description = "a line of JSON for each recording: a `BatchPrediction`, or a `BatchRefusal` (it has `error`)"
    schema = {
        "type": "string",
        "description": description,
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": records},
    }
    return {kind: {"schema": schema}}
