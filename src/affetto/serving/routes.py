"""Paths that are let through, each with its methods and the kind of its body; everything else is 404.

A web framework adds routes with every version (Gradio's read files, fetch addresses, run programs): what is not named
here does not exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from affetto.serving import policies
from affetto.serving.model_list import NAME
from affetto.serving.refusals import RefusalError

CALL_BYTES = 65_536
"""The most that a request may send which brings no recording."""

STREAM = "/v1/stream"
"""Path of the API's WebSocket."""


@dataclass(frozen=True)
class Route:
    """Paths that are let through. `path` is a regular expression of a whole path, as decoded."""

    path: str
    methods: Collection[str] = ("GET",)
    takes_recording: bool = False
    """True if its body is an upload, which the route reads itself within the limits; else it is a short message."""
    is_stream: bool = False
    """True if it takes a WebSocket, and nothing else."""
    check: Callable[[bytes], bytes] | None = None
    """Reduces a message to what the application may see; raises RefusalError."""
    is_open: bool = False
    """True if it is answered without a token."""
    is_document: bool = False
    """True for a page with scripts, for a browser."""
    head: bytes = b""
    """HTML put first into the head of a document."""
    is_static: bool = False
    """True if a browser may cache its answers."""
    is_logged: bool = False
    """True if it is logged even when all went well."""
    is_admin: bool = False
    """True if it requires an admin's token."""
    counted_as: str = ""
    """Path under which its requests are counted; "": `path`."""
    policy: str = policies.ANSWER


API = (
    Route("/v1/predict", ("POST",), takes_recording=True, is_logged=True),
    Route("/v1/timeline", ("POST",), takes_recording=True, is_logged=True),
    Route("/v1/batch", ("POST",), takes_recording=True, is_logged=True),
    Route("/v1/audio/transcriptions", ("POST",), takes_recording=True, is_logged=True),
    Route(STREAM, is_stream=True, is_logged=True),
    Route("/v1/models", ("GET", "HEAD"), is_logged=True),
    Route("/v1/models", ("POST",), is_admin=True, is_logged=True),
    Route(f"/v1/models/{NAME}", ("DELETE",), is_admin=True, is_logged=True, counted_as="/v1/models/NAME"),
    Route("/notice", ("GET", "HEAD"), is_open=True),
    Route("/healthz", ("GET", "HEAD"), is_open=True),
    Route("/readyz", ("GET", "HEAD"), is_open=True),
    Route("/metrics", ("GET", "HEAD")),
    Route("/openapi.json", ("GET", "HEAD")),
)
ELSEWHERE = "other"
"""Path under which requests for paths that are none of the API's are counted, so that the paths stay few."""


def page(language: str, check_call: Callable[[bytes], bytes]) -> tuple[Route, ...]:
    """The routes of the page in a language: all that a browser asks of Gradio, and two of ours in its place."""
    root, inner = f"/{language}", f"/{language}/gradio_api"
    file = r"/[\w-][\w.-]*"
    # The browser's language is what Gradio's own words follow; here it is the page's.
    head = (
        "<script>for (const name of ['language', 'languages']) Object.defineProperty(navigator, name, "
        f"{{get: () => name === 'language' ? '{language}' : ['{language}']}})</script>"
    )
    return (
        Route(root),  # which leads to the next
        Route(f"{root}/", is_document=True, head=head.encode()),
        Route(rf"{root}/(?:assets|static)(?:{file})+", is_static=True),
        Route(f"{root}/theme\\.css", is_static=True),
        Route(f"{inner}/upload", ("POST",), takes_recording=True, is_logged=True),
        Route(rf"{inner}/file={file[1:]}", policy=policies.RECORDING),
        Route(f"{inner}/queue/join", ("POST",), check=check_call),
        Route(f"{inner}/queue/data"),
    )


def counted(path: str) -> str:
    """The path under which a request is counted."""
    return next((route.counted_as or route.path for route in API if re.fullmatch(route.path, path)), ELSEWHERE)


def takes_socket(path: str) -> bool:
    """True if a request for this path, as it came, may open a WebSocket: at `/v1/stream`, or at the page's own."""
    return path.endswith("/stream")


def find(routes: Collection[Route], path: str, method: str) -> Route:
    """The route of a path. Raises RefusalError: 404 where there is none, 405 where it takes another method."""
    allowed: list[str] = []
    for route in routes:
        if re.fullmatch(route.path, path):
            if method in route.methods:
                return route
            allowed += route.methods
    if allowed:
        message = f"{method[:20]} is not taken here; /openapi.json describes what is"
        raise RefusalError(405, "wrong_method", message, {"Allow": ", ".join(allowed)})
    raise RefusalError(404, "not_found", "no such path; /openapi.json describes what there is")
