"""The server as a process: one address, one signal to end it, nothing accepted that is not answered."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from affetto.errors import UserError
from affetto.inference.server import logs
from affetto.inference.server.guard import Guard
from affetto.inference.server.refusals import broken_request

DRAINING_SECONDS = 0.5
"""After the signal: who is connected learns by `Connection: close` to come no more, who is connecting is answered."""
LEAVING_SECONDS = 2
"""Then what is no request for an answer (a page's open stream) is cut off."""


def bind(host: str, port: int) -> socket.socket:
    """A socket at the address, which nobody can reach yet. Raises UserError where it cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except (OSError, OverflowError, UnicodeError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise UserError(f"cannot serve at {host}:{port} ({reason}): give another --host or --port") from None
    return found


def url(bound: socket.socket) -> str:
    """How a browser on this machine reaches it."""
    host, port = bound.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Protocol(H11Protocol):
    """HTTP/1.1 that waits for a request's head no longer than `head_seconds`: uvicorn itself waits for ever.

    What is no HTTP is refused in JSON, as all else is.
    """

    head_seconds = 10.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.head_seconds, transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = broken_request().response()
            headers = [*answer.raw_headers, (b"connection", b"close")]
            said = h11.Response(status_code=answer.status_code, headers=headers, reason=b"Bad Request")
            for event in (said, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, guard: Guard, busy: Callable[[], bool], started: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self.guard, self.busy, self.tell_started = guard, busy, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.tell_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.guard.draining = True
        logs.event("draining", open=self.guard.open_answers)
        await asyncio.sleep(DRAINING_SECONDS)
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while (self.guard.open_answers or self.busy()) and not self.force_exit:
            await asyncio.sleep(0.02)
        await super().shutdown(sockets)
        logs.event("ended", accepted=self.guard.accepted, answered=self.guard.answered)


def server(
    guard: Guard, *, head_seconds: float, busy: Callable[[], bool], started: Callable[[], None]
) -> uvicorn.Server:  # fmt: skip
    """uvicorn around the guarded application. `busy`: whether work is left beside open requests."""
    protocol = type("Protocol", (_Protocol,), {"head_seconds": head_seconds})
    config = uvicorn.Config(
        guard, http=protocol, ws="none", log_config=None, access_log=False, server_header=False, lifespan="on",
        timeout_graceful_shutdown=LEAVING_SECONDS, timeout_keep_alive=15, h11_max_incomplete_event_size=32_768,
    )  # fmt: skip
    return _Server(config, guard, busy, started)


def run(server: uvicorn.Server, bound: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, answer what was accepted, return. A second SIGINT gives up waiting."""
    # uvicorn raises the signal again once it has ended, so that its default would kill us: we end by ourselves, with 0.
    before: dict[int, Any] = {number: signal.signal(number, _noted) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[bound])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _noted(_number: int, _frame: object) -> None:
    logging.getLogger("affetto.server").debug("signal")
