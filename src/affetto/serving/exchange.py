"""A request and its answer: the headers that every answer has, and the line in the log."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Scope, Send

from affetto.inference.notices import SHORT_NOTICE
from affetto.serving import logs, policies
from affetto.serving.address import PREFIX, client_network
from affetto.serving.bodies import Body
from affetto.serving.routes import Route

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Exchange:
    """Replacement of the server's `send`. `route` is set once the request is let through."""

    def __init__(self, scope: Scope, body: Body, send: Send, closing: Callable[[], bool]) -> None:
        self.headers = Headers(scope=scope)
        self.path: str = scope["path"]
        self.method: str = scope.get("method", "GET")  # that of a WebSocket's handshake
        self.client: str | None = (scope.get("client") or (None,))[0]
        request_id = self.headers.get("x-request-id", "")
        self.id = request_id if _REQUEST_ID.fullmatch(request_id) else secrets.token_hex(8)
        self.state: dict[str, Any] = scope.setdefault("state", {})
        self.state.update(facts={}, id=self.id, client=client_network(self.client))
        self.facts: dict[str, Any] = self.state["facts"]
        self.route: Route | None = None
        self.body = body
        self.status, self.is_complete = 0, False
        self._send, self._closing = send, closing
        self._held: tuple[Message, list[bytes]] | None = None
        self._started = time.monotonic()

    async def send(self, message: Message) -> None:
        kind = message["type"].removeprefix("websocket.")
        if kind == "http.response.start":
            await self._start(message)
            return
        if kind == "accept":
            self.status = 101
            MutableHeaders(scope=message)["X-Request-ID"] = self.id
        if self._held is not None:
            start, parts = self._held
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            self._held = None
            assert self.route is not None
            document = b"".join(parts).replace(b"<head>", b"<head>" + self.route.head, 1)
            MutableHeaders(scope=start).update(
                {"Content-Security-Policy": policies.page(document), "Content-Length": str(len(document))}
            )
            await self._send(start)
            message = {"type": "http.response.body", "body": document}
        await self._send(message)
        self.is_complete = kind == "close" or (kind == "http.response.body" and not message.get("more_body"))

    async def _start(self, message: Message) -> None:
        self.status = message["status"]
        if self.status >= 400 and self.status != 408:
            await self.body.discard()
        self._decorate(MutableHeaders(scope=message))
        if self.status == 200 and self.route is not None and self.route.is_document:
            self._held = message, []  # its policy depends on its whole text
            return
        await self._send(message)

    def _decorate(self, headers: MutableHeaders) -> None:
        # Nothing is shared with other origins; Gradio would.
        for name in [name for name in headers if name.lower().startswith("access-control-")]:
            del headers[name]
        headers["X-Request-ID"] = self.id
        headers.update(HEADERS)
        headers["Content-Security-Policy"] = policies.ANSWER if self.route is None else self.route.policy
        if self.route is None or not self.route.is_static or self.status >= 400:
            headers["Cache-Control"] = "no-store"
        if self.path.startswith(PREFIX):
            headers["X-Affetto-Notice"] = SHORT_NOTICE
        if self.body.unread or self._closing():
            headers["Connection"] = "close"

    def log(self) -> None:
        """Write the log line if the route has one or the request was refused."""
        is_ordinary = self.status < 400 and "error" not in self.facts
        if is_ordinary and not (self.route is not None and self.route.is_logged):
            return
        logs.event(
            "request",
            id=self.id,
            client=self.client,
            method=self.method[:20],
            path=self.path[:200],
            status=self.status or None,
            seconds=round(time.monotonic() - self._started, 4),
            **self.facts,
        )
