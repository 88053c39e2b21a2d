"""What stands before every request: the token, the headers of every answer, the log, the count of what is open."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from affetto.inference.server import logs
from affetto.inference.server.refusals import RefusalError

OPEN_PATHS = ("/healthz", "/readyz")
"""Answered without a token: they tell nothing but how the server is."""
API = "/v1/"
LOGGED = re.compile(r"/v1/|/(?:en|it)/gradio_api/upload$")
"""The rest (the page's own files, health) is logged only where it fails."""
DISCARDING_SECONDS = 2.0
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
}
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""Gradio's own scripts are inline and compile; none of them, and nothing else, may come from or talk to elsewhere."""


class Guard:
    """ASGI middleware. `accepted`, `answered`, `open_answers` count the API's requests; `draining`: it ends."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self.app, self.token = app, token
        self.open_answers = self.accepted = self.answered = 0
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body = _Body(receive, Headers(scope=scope))
        receive = body.receive
        answer = _Answer(scope, send, body, closing=lambda: self.draining)
        with self._counted(answer):
            try:
                if self._allowed(answer.path, answer.asked):
                    await self.app(scope, receive, answer.send)
                else:
                    await self._unauthorised(answer.path).response()(scope, receive, answer.send)
            except ClientDisconnect:
                answer.gone = True
            except Exception as problem:
                # The application has answered it already.
                logs.failure("defect", problem, id=answer.id, path=answer.path[:200])

    @contextlib.contextmanager
    def _counted(self, answer: _Answer) -> Iterator[None]:
        counts = answer.path.startswith(API)
        self.open_answers += counts
        self.accepted += counts
        try:
            yield
        finally:
            self.open_answers -= counts
            self.answered += counts and answer.complete
            answer.log()

    # The token -----------------------------------------------------------------------------------

    def _allowed(self, path: str, headers: Headers) -> bool:
        if self.token is None or path in OPEN_PATHS:
            return True
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        given = credentials.strip()
        if scheme.lower() == "basic" and not path.startswith(API):
            # A browser asks for a name and a password: any name, and the token.
            with contextlib.suppress(binascii.Error, UnicodeDecodeError):
                given = base64.b64decode(given, validate=True).decode("utf-8").partition(":")[2]
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.encode(), self.token.encode())

    def _unauthorised(self, path: str) -> RefusalError:
        scheme = "Bearer" if path.startswith(API) else "Basic"
        message = "this server wants a token: send the header Authorization: Bearer TOKEN"
        headers = {"WWW-Authenticate": f'{scheme} realm="affetto"'}
        return RefusalError(401, "unauthorised", message, headers)


class _Body:
    """A request's body on its way in; knows whether all of it has come."""

    def __init__(self, receive: Receive, headers: Headers) -> None:
        self._receive = receive
        self.unread = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        self._unasked = headers.get("expect", "").lower() == "100-continue"

    async def receive(self) -> Message:
        self._unasked = False
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            self.unread = False
        return message

    async def discard(self) -> None:
        """Read the rest and throw it away: a client that still writes would miss the answer."""
        if self._unasked:  # it waits for our word to send anything
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DISCARDING_SECONDS):
                while self.unread:
                    await self.receive()


class _Answer:
    """One request and what becomes of it."""

    def __init__(self, scope: Scope, send: Send, body: _Body, closing: Callable[[], bool]) -> None:
        self.asked = Headers(scope=scope)
        self.path: str = scope["path"]
        self.method: str = scope["method"]
        named = self.asked.get("x-request-id", "")
        self.id = named if _REQUEST_ID.fullmatch(named) else secrets.token_hex(8)
        scope.setdefault("state", {}).update(facts={}, id=self.id)
        self.facts: dict[str, Any] = scope["state"]["facts"]
        self.status, self.complete, self.gone = 0, False, False
        self._send, self._body, self._closing = send, body, closing
        self._started = time.monotonic()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self.status >= 400 and self.status != 408:
                await self._body.discard()
            self._decorate(MutableHeaders(scope=message))
        await self._send(message)
        self.complete = message["type"] == "http.response.body" and not message.get("more_body")

    def _decorate(self, headers: MutableHeaders) -> None:
        # Nothing is shared with other origins; Gradio would.
        for name in [name for name in headers if name.lower().startswith("access-control-")]:
            del headers[name]
        headers["X-Request-ID"] = self.id
        headers.update(HEADERS)
        page = self.path.startswith(("/en/", "/it/"))
        headers["Content-Security-Policy"] = PAGE_POLICY if page else API_POLICY
        if not page:
            headers["Cache-Control"] = "no-store"
        if self._body.unread or self._closing():
            headers["Connection"] = "close"

    def log(self) -> None:
        if not (LOGGED.match(self.path) or self.status >= 500 or (self.gone and self.path.startswith(API))):
            return
        logs.event(
            "request", id=self.id, method=self.method, path=self.path[:200], status=self.status or None,
            seconds=round(time.monotonic() - self._started, 4), **({"client_left": True} if self.gone else {}),
            **self.facts,
        )  # fmt: skip
