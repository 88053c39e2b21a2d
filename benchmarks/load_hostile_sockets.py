"""Hostile requests of the load test (`load.py`), byte for byte over a connection of their own."""

from __future__ import annotations

import http
import http.client
import socket
import struct

CUT_OFF = "cut off"
"""Word for a connection that the server closed without an answer."""
LEFT = "left"
"""Word for a client that left first."""
ANSWER_SECONDS = 120
RawCase = tuple[str, bytes, int | None, tuple[str, ...]]
"""Name, bytes (REQUEST-ID stands for the request's id), bytes after which the client leaves (None: it waits for the
answer), and the words that may answer."""


def raw_cases(clip: bytes) -> list[RawCase]:
    """Make requests that are no HTTP, lie about their length, never end, or whose client leaves."""
    entire, half = _post(clip), len(clip) // 2
    chunk = f"{half:x}\r\n".encode() + clip[:half] + b"\r\n"
    broken, slow = ("broken_request",), ("too_slow",)
    return [
        ("no HTTP", b"nonsense\r\n\r\n", None, broken),
        ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + bytes(300) + b"\r\n\r\n", None, broken),
        ("a negative length", _post(clip, "Content-Length: -1"), None, broken),
        ("two lengths", _post(clip, f"Content-Length: {len(clip)}", "Content-Length: 5"), None, broken),
        ("a chunk of no size", _post(chunk + b"zz\r\n", "Transfer-Encoding: chunked"), None, broken),
        ("less said than sent", _post(clip, "Content-Length: 1000"), None, ("unusable_audio",)),
        ("far more said", _post(clip, "Content-Length: 1000000000000"), None, ("too_large",)),
        ("more said than sent", _post(clip, f"Content-Length: {len(clip) + 1}"), None, slow),
        ("chunks without an end", _post(chunk, "Transfer-Encoding: chunked"), None, slow),
        ("a head without an end", b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n", None, (CUT_OFF,)),
        ("left in the upload", entire, len(entire) - half, (LEFT,)),
        ("left before the answer", entire, len(entire), (LEFT,)),
        ("left in the head", entire, 30, (LEFT,)),
    ]


def _post(body: bytes, *headers: str) -> bytes:
    lines = ["POST /v1/predict HTTP/1.1", "Host: localhost", "Content-Type: audio/wav", "X-Request-ID: REQUEST-ID"]
    return "\r\n".join([*lines, *(headers or [f"Content-Length: {len(body)}"]), "", ""]).encode() + body


def exchange_bytes(url: str, content: bytes, leaves_after: int | None = None) -> str | tuple[int, str]:
    """Send bytes over a connection of their own. Returns CUT_OFF, LEFT, or the answer's status and text."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS) as client:
        client.sendall(content[:leaves_after])
        if leaves_after is not None:
            reset_on_close(client)
            return LEFT
        answer = http.client.HTTPResponse(client)
        try:
            answer.begin()
        except (http.client.RemoteDisconnected, ConnectionResetError):
            return CUT_OFF
        if answer.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
            while client.recv(65_536):
                pass
            return answer.status, ""
        return answer.status, answer.read().decode()


def reset_on_close(client: socket.socket) -> None:
    """Let the connection end by a reset, as that of a process that was killed."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
