"""ASGI middleware: token, allowed routes, limits on bodies, security headers, access log, count of open requests."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from affetto.serving import logs, origins, routes, tracing
from affetto.serving.address import PREFIX
from affetto.serving.bodies import Body
from affetto.serving.exchange import Exchange
from affetto.serving.limits import Limits
from affetto.serving.refusals import RefusalError, admin_only, call_too_large, defect, ending, no_socket, too_large
from affetto.serving.routes import Route
from affetto.serving.sockets import Socket
from affetto.serving.tokens import Tokens
from affetto.serving.uploads import ENVELOPE_BYTES

if TYPE_CHECKING:
    from affetto.serving.telemetry import Telemetry


class Guard:
    """ASGI middleware. `routes` are the paths that there are; more may be added before it serves.

    `names`: allowed values of a request's `Host`; None: any. `accepted`, `answered`, `open_answers` count the API's
    requests; `ends` is set when the server is told to end. `stream` gets each WebSocket that is let through, and a
    check of the token in its hello, which raises RefusalError. `count` gets each request at its end. `root_path`: path
    under which a proxy shows the server; requests come with it or without, as proxies remove it or not. `telemetry`:
    spans of the API's requests; None: there are none.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        names: Collection[str] | None = None,
        count: Callable[[Exchange], None] = lambda exchange: None,
        root_path: str = "",
    ) -> None:
        self.app, self.limits, self.names, self.count = app, limits, names, count
        self.root_path = root_path
        self.tokens = Tokens(limits.token, limits.token_file)
        self.admin_tokens = Tokens(limits.admin_token, limits.admin_token_file, "--admin-token-file")
        self.routes: tuple[Route, ...] = routes.API
        self.open_answers = self.accepted = self.answered = 0
        self.stream: Callable[[Socket, Callable[[str | None], None]], Awaitable[None]] | None = None
        self.ends = asyncio.Event()
        self.telemetry: Telemetry | None = None

    @property
    def draining(self) -> bool:
        """True once the server has been told to end."""
        return self.ends.is_set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        scope = {**scope, "path": self._inner_path(scope["path"])}
        body = Body(receive, Headers(scope=scope), self.limits.upload_seconds)
        exchange = Exchange(scope, body, send, closing=lambda: self.draining)
        if scope["type"] == "websocket":
            await self._converse(exchange, scope, receive)
            return
        with self._counted(exchange):
            try:
                exchange.route = self._route(exchange)
                await self.app(*await self._admitted(exchange, exchange.route, scope))
            except RefusalError as problem:
                exchange.facts["error"] = problem.code
                if not exchange.status:
                    await problem.response()(scope, receive, exchange.send)
            except ClientDisconnect:
                exchange.facts["client_left"] = True
            except Exception as problem:
                # The application has answered it already.
                if isinstance(problem.__cause__, HTTPException) and problem.__cause__.status_code < 500:
                    # A refusal that came within an answer: a stream of the page's, of a session that there is none of.
                    exchange.facts["error"] = f"refused_{problem.__cause__.status_code}"
                    await exchange.send({"type": "http.response.body", "body": b""})
                    return
                logs.failure("defect", problem, id=exchange.id, path=exchange.path[:200])

    async def _converse(self, exchange: Exchange, scope: Scope, receive: Receive) -> None:
        """Let a WebSocket through to `stream`, under the rules of all requests."""
        socket = Socket(exchange, receive)
        with self._counted(exchange):
            try:
                try:
                    check_token = self._admit_socket(exchange)
                    assert self.stream is not None
                    await socket.accept()
                    await self.stream(socket, check_token)
                except RefusalError as problem:
                    await socket.refuse(problem, scope)
                except ClientDisconnect:
                    raise
                except Exception as problem:
                    logs.failure("defect", problem, id=exchange.id, path=exchange.path[:200])
                    await socket.refuse(defect(exchange.id), scope)
            except ClientDisconnect:
                exchange.status, exchange.facts["client_left"] = 0, True

    def _inner_path(self, path: str) -> str:
        """The path of a request without `root_path`."""
        inner = path.removeprefix(self.root_path)
        if self.root_path and not inner:
            return "/"
        return inner if inner.startswith("/") else path

    @contextlib.contextmanager
    def _counted(self, exchange: Exchange) -> Iterator[None]:
        counts = exchange.path.startswith(PREFIX)
        self.open_answers += counts
        self.accepted += counts
        with self._traced(exchange) if counts else contextlib.nullcontext():
            try:
                yield
            finally:
                self.open_answers -= counts
                self.answered += counts and exchange.is_complete
                self.count(exchange)
                exchange.log()

    @contextlib.contextmanager
    def _traced(self, exchange: Exchange) -> Iterator[None]:
        """Within it the request has a trace, where there is telemetry."""
        if self.telemetry is None:
            yield
            return
        trace = self.telemetry.begin(exchange)
        token = tracing.CURRENT.set(trace)
        try:
            yield
        finally:
            tracing.CURRENT.reset(token)
            self.telemetry.end(trace, exchange)

    # Admission --------------------------------------------------------------------------

    def _route(self, exchange: Exchange) -> Route:
        """Find the request's route. Raises RefusalError: 403, 401, 404, 405, in this order."""
        origins.check_host(exchange.headers, self.names)
        open_paths = [route.path for route in self.routes if route.is_open]
        if exchange.path not in open_paths and not self._has_token(exchange):
            raise self._unauthorised(exchange.path)
        route = routes.find(self.routes, exchange.path, exchange.method)
        if route.is_stream:
            raise no_socket()
        if exchange.method in ("POST", "DELETE"):
            origins.check_origin(exchange.headers)
        if route.is_admin and not self._is_admin(exchange):
            raise admin_only(self.admin_tokens.are_required)
        return route

    def _admit_socket(self, exchange: Exchange) -> Callable[[str | None], None]:
        """Find the route of a WebSocket. Returns the check of the token in its first message.

        A browser sends no header that its script chooses, so that a handshake without one is let through to bring its
        token there; that of the page's own stream has the page's password. Raises RefusalError as
        `_route`, and always for another site's page, which could read the answers.
        """
        origins.check_host(exchange.headers, self.names)
        origins.check_origin(exchange.headers)
        has_token = self._has_token(exchange)
        if not has_token and "authorization" in exchange.headers:
            raise self._unauthorised(exchange.path)
        exchange.route = routes.find([route for route in self.routes if route.is_stream], exchange.path, "GET")
        if self.draining:
            raise ending()

        accepted = self.tokens, self.admin_tokens

        def check_token(token: str | None) -> None:
            is_valid = has_token or (token and any(self._knows(exchange, token, kind) for kind in accepted))
            if not is_valid:
                raise self._unauthorised(exchange.path)

        return check_token

    def _has_token(self, exchange: Exchange) -> bool:
        """True if the request carries one of the tokens or an admin's, or none is required."""
        if not self.tokens.are_required or self._is_admin(exchange):
            return True
        scheme, _, credentials = exchange.headers.get("authorization", "").partition(" ")
        token = credentials.strip()
        if scheme.lower() == "basic" and not exchange.path.startswith(PREFIX):
            # A browser asks for a name and a password: any name, and the token.
            with contextlib.suppress(binascii.Error, UnicodeDecodeError):
                token = base64.b64decode(token, validate=True).decode("utf-8").partition(":")[2]
        elif scheme.lower() != "bearer":
            return False
        return self._knows(exchange, token)

    def _is_admin(self, exchange: Exchange) -> bool:
        """True if the request carries an admin's token, as a bearer's."""
        scheme, _, token = exchange.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self._knows(exchange, token.strip(), self.admin_tokens)

    def _knows(self, exchange: Exchange, token: str, tokens: Tokens | None = None) -> bool:
        """True if this is one of the tokens, by default the ordinary ones; its name goes into the log."""
        name = (tokens or self.tokens).name(token)
        if name:
            exchange.facts["token_name"] = name
            exchange.state["client"] = f"token {name}"
        return name is not None

    def _unauthorised(self, path: str) -> RefusalError:
        scheme = "Bearer" if path.startswith(PREFIX) else "Basic"
        message = "this server needs a token: send the header Authorization: Bearer TOKEN"
        message += " (or the field token of a stream's hello)" * (path == routes.STREAM)
        headers = {"WWW-Authenticate": f'{scheme} realm="affetto"'}
        return RefusalError(401, "unauthorised", message, headers)

    # Bodies   --------------------------------------------------------------------------

    async def _admitted(self, exchange: Exchange, route: Route, scope: Scope) -> tuple[Scope, Receive, Send]:
        """Return the request as the application sees it, a short message read and checked. Raises RefusalError."""
        body, limits = exchange.body, self.limits
        # As ASGI has it: the path begins with the root's.
        scope = {**scope, "path": self.root_path + exchange.path, "root_path": self.root_path}
        if route.takes_recording:
            body.allow(limits.max_bytes + ENVELOPE_BYTES, too_large(limits.max_megabytes))
            return scope, body.receive, exchange.send
        body.allow(routes.CALL_BYTES, call_too_large(routes.CALL_BYTES))
        content = await body.read()
        if route.check is not None:
            content = route.check(content)
        if route.is_document:
            # Gradio takes a state from a query; what is compressed could not be looked at.
            headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
            scope = {**scope, "query_string": b"", "headers": headers}
        return scope, body.replayed(content), exchange.send
