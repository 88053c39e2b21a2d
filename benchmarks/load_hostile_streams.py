"""Hostile streams of the load test (`load.py`): garbage, too much, too slow, without an end, or left in the middle."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from websockets.exceptions import ConnectionClosed, InvalidStatus

from load_hostile_sockets import CUT_OFF, LEFT, exchange_bytes, reset_on_close
from load_models import RATE_HZ
from load_streams import END, open_stream, receive

HELLO = json.dumps({"sample_rate": RATE_HZ})
SECOND = (8000 * np.sin(np.arange(RATE_HZ) / 5)).astype("<i2").tobytes()
HANDSHAKE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Request-ID: REQUEST-ID\r\n\r\n"
)
StreamCase = tuple[str, Callable[[str, httpx.Client, str], str], tuple[str, ...]]
"""Name, function that sends it, and the words that may answer."""


@dataclass(frozen=True)
class Messages:
    """Stream of these messages. `leaves`: the client then breaks the connection; `pause_seconds`: after each."""

    contents: tuple[str | bytes, ...]
    leaves: bool = False
    pause_seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, url: str, _client: httpx.Client, request_id: str) -> str:
        try:
            socket = open_stream(url, "stream", request_id, headers=self.headers)
        except InvalidStatus as problem:
            return str(json.loads(problem.response.body)["error"])
        with socket:
            with contextlib.suppress(ConnectionClosed):
                for content in self.contents:
                    socket.send(content)
                    time.sleep(self.pause_seconds)
            if self.leaves:
                with contextlib.suppress(OSError):  # the server may have left first
                    reset_on_close(socket.socket)
                    socket.socket.close()
                return LEFT
            messages, close = receive(socket)
        return word_of_stream(messages, close)


def word_of_stream(messages: list[dict[str, Any]], close: int) -> str:
    """Word of a stream's end. Raises AssertionError for a defect, or an error without a line."""
    if not messages or messages[-1]["type"] != "error":
        return f"close code {close}"
    end = messages[-1]
    assert close != 1011 and end["message"] and "\n" not in end["message"], f"{close} {end}"
    return str(end["error"])


def send_frames(frames: bytes) -> Callable[[str, httpx.Client, str], str]:
    """Make a function that sends bytes in the place of frames, and waits for the connection's end."""

    def send(url: str, _client: httpx.Client, request_id: str) -> str:
        answer = exchange_bytes(url, HANDSHAKE.replace(b"REQUEST-ID", request_id.encode()) + frames)
        return answer if isinstance(answer, str) else f"status {answer[0]}"

    return send


def stream_cases(*, has_opus: bool) -> list[StreamCase]:
    """Make the streams. `has_opus`: True if the server decodes WebM."""
    sound, invalid, unusable = (HELLO, SECOND), ("invalid_message",), ("unusable_audio",)
    webm = Messages((json.dumps({"format": "webm-opus"}), b"garbage" * 1000, END))
    garbage = ("status 101", CUT_OFF)
    return [
        ("sound before the hello", Messages((SECOND,)), invalid),
        ("a hello that is none", Messages(("hello",)), invalid),
        ("a hello of too much", Messages((json.dumps({"sample_rate": RATE_HZ, "x": 1}),)), ("invalid_parameter",)),
        ("a stream for no model", Messages((json.dumps({"sample_rate": RATE_HZ, "model": "x"}),)), ("unknown_model",)),
        ("half a sample", Messages((*sound, b"\0")), invalid),
        ("a text in the sound", Messages((*sound, "stop")), invalid),
        ("a message that is too large", Messages((HELLO, bytes(262_146))), ("too_large",)),
        # A client whose send breaks off may have the close code of a refusal for want of room and not its message.
        ("a message without bounds", Messages((HELLO, bytes(1_100_000))), ("close code 1009", "close code 1013")),
        ("a stream that is too long", Messages((HELLO, *[5 * SECOND] * 5)), ("too_long",)),
        ("a stream of nothing", Messages((HELLO, END)), unusable),
        ("sound behind the end", Messages((*sound, END, SECOND)), (*invalid, "close code 1000")),
        ("a stream without an end", Messages(sound), ("too_slow",)),
        ("a stream without a hello", Messages(()), ("too_slow",)),
        ("a stream drop by drop", Messages((HELLO, *[SECOND[:64]] * 40, END), pause_seconds=0.05), unusable),
        ("left in a stream", Messages((*sound, SECOND), leaves=True), (LEFT,)),
        ("left after the end", Messages((*sound, END), leaves=True), (LEFT,)),
        ("left before the hello", Messages((), leaves=True), (LEFT,)),
        ("another site's stream", Messages((), headers={"Origin": "https://evil.example"}), ("cross_site",)),
        ("frames of no kind", send_frames(b"\x8f\x80\0\0\0\0"), garbage),
        ("a frame without a mask", send_frames(b"\x81\x02{}"), garbage),
        ("no frames", send_frames(bytes(range(256)) * 20), garbage),
        ("no WebM", webm, ("not_audio", "unusable_audio") if has_opus else ("invalid_parameter",)),
    ]
