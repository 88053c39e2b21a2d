"""The server as a process: one address, one signal to end it, every accepted request answered."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from affetto.errors import UserError
from affetto.serving import address, logs
from affetto.serving.middleware import Guard
from affetto.serving.refusals import broken_request
from affetto.serving.routes import takes_socket
from affetto.serving.socket_protocol import LONGEST_MESSAGE_BYTES, SocketProtocol

DRAINING_SECONDS = 0.5
"""Time after the signal in which connected clients get `Connection: close`, and connecting ones are answered."""
LEAVING_SECONDS = 2
"""Time that a page's open stream, which is no request for an answer, then has to close."""


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

    def _should_upgrade(self) -> bool:
        # A request for any other path is answered as if it had not asked for a WebSocket.
        return self.scope["method"] == "GET" and takes_socket(self.scope["path"]) and super()._should_upgrade()

    def send_400_response(self, msg: str) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = broken_request().response()
            headers = [*answer.raw_headers, (b"connection", b"close")]
            response = h11.Response(status_code=answer.status_code, headers=headers, reason=b"Bad Request")
            for event in (response, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, guard: Guard, is_busy: Callable[[], bool], on_start: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self.guard, self.is_busy, self.on_start = guard, is_busy, on_start
        self._renewed: ssl.SSLContext | None = None

    def renew_certificate(self, load: Callable[[], ssl.SSLContext]) -> None:
        """Load the certificate for connections from now on; the former remains where that fails. Both are logged."""
        try:
            self._renewed = load()
        except UserError as problem:
            logs.event("certificate_unreadable", logging.ERROR, message=str(problem))
        else:
            logs.event("certificate_read")

    def _choose_certificate(self, connection: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        if self._renewed is not None:
            connection.context = self._renewed

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self.config.ssl is not None:
            # Loading a pair of which one file is wrong would spoil the context in use; a handshake may take another.
            self.config.ssl.sni_callback = self._choose_certificate
        await super().startup(sockets)
        self.on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.guard.ends.set()
        logs.event("draining", open=self.guard.open_answers)
        await asyncio.sleep(DRAINING_SECONDS)
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Protocol):  # a WebSocket is told by its stream, once that has answered
                connection.shutdown()
        loop = asyncio.get_running_loop()
        until = loop.time() + self.guard.limits.ending_seconds
        while (self.guard.open_answers or self.is_busy()) and not self.force_exit and loop.time() < until:
            await asyncio.sleep(0.02)
        # A page's stream ends by itself once it has brought its result.
        until = min(until, loop.time() + LEAVING_SECONDS)
        while self.server_state.tasks and not self.force_exit and loop.time() < until:
            await asyncio.sleep(0.02)
        # To an application whose client has left, unlike to one whose task is cancelled, this is no error. Whatever has
        # been answered is left to arrive.
        for connection in list(self.server_state.connections):
            cycle = getattr(connection, "cycle", None)  # a WebSocket has none
            if cycle is not None and not cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)
        logs.event("ended", accepted=self.guard.accepted, answered=self.guard.answered)


def server(
    guard: Guard,
    *,
    head_seconds: float,
    is_busy: Callable[[], bool],
    on_start: Callable[[], None],
    proxies: Sequence[str] = (),
    certificate: Path | None = None,
    key: Path | None = None,
) -> _Server:
    """uvicorn around the guarded application. `is_busy`: True while work goes on beside open requests.

    `certificate`, `key`: PEM files for TLS; None: plain HTTP.

    `proxies`: addresses and networks whose `X-Forwarded-For` names the client, beside this machine's.
    """
    protocol = type("Protocol", (_Protocol,), {"head_seconds": head_seconds})
    config = uvicorn.Config(
        guard,
        http=protocol,
        ws=SocketProtocol,
        ws_max_size=LONGEST_MESSAGE_BYTES,
        # Pings would end a client that waits for a slow model: its pongs stand behind the sound that is not read yet.
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=address.proxy_networks(proxies) if proxies else None,
        lifespan="on",
        ssl_certfile=certificate,
        ssl_keyfile=key,
        timeout_graceful_shutdown=LEAVING_SECONDS,
        timeout_keep_alive=15,
        h11_max_incomplete_event_size=32_768,
    )
    return _Server(config, guard, is_busy, on_start)


def run(server: uvicorn.Server, listening: socket.socket, on_hangup: Callable[[], None] | None = None) -> None:
    """Serve until SIGTERM, SIGHUP or SIGINT, answer what was accepted, return. A second SIGINT gives up waiting.

    `on_hangup`: called in a thread of its own at each SIGHUP, which ends nothing then.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        server.should_exit = True
        logging.getLogger("affetto.server").debug("signal %d", number)

    # uvicorn raises the signal again once it has ended, so that its default would kill us: we end by ourselves, with 0.
    def hang_up(number: int, frame: FrameType | None) -> None:
        if on_hangup is None:
            end(number, frame)
        else:
            threading.Thread(target=on_hangup, name="affetto-hangup", daemon=True).start()

    with _handled(end, "SIGTERM", "SIGINT"), _handled(hang_up, "SIGHUP"):
        server.run(sockets=[listening])


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Within it, while models are loaded, SIGTERM and SIGHUP end the process in order, what it wrote removed.

    The first process of a container would not even hear of a signal that it does not handle.
    """

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    with _handled(end, "SIGTERM", "SIGHUP"):
        yield


@contextlib.contextmanager
def _handled(handler: Callable[[int, FrameType | None], None], *names: str) -> Iterator[None]:
    """Signals, where this system has them and they are not ignored (as SIGHUP is by nohup), go to `handler`."""
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: former for number, former in before.items() if former is not signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
