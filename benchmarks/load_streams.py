"""Streams of the load test (`load.py`)."""

from __future__ import annotations

import json
import random
import time
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from load_models import RATE_HZ, Talk
from load_requests import STREAMS, Answer, Case

END = '{"type": "end"}'
STATUSES = {"queue_full": 503, "client_queue_full": 429, "ending": 503, "timed_out": 503, "unknown_model": 404}
"""Statuses that belong to the errors of a stream; of all others 400."""
ANSWER_SECONDS = 120
SHARE_PACED = 0.25
"""Share of the streams that send at the pace of speech, quickened by `PACE`."""
PACE = 4


def open_stream(url: str, kind: str, request_id: str, **options: Any) -> ClientConnection:
    """Open a WebSocket. Raises InvalidStatus where the server refuses it."""
    address = url.replace("http://", "ws://") + STREAMS[kind]
    headers = {"X-Request-ID": request_id} | options.pop("headers", {})
    return connect(
        address, additional_headers=headers, compression=None, proxy=None, open_timeout=ANSWER_SECONDS, **options
    )


def receive(socket: ClientConnection) -> tuple[list[dict[str, Any]], int]:
    """All messages that come, and the close code; 0 where the connection broke."""
    messages = []
    try:
        while True:
            messages.append(json.loads(socket.recv(timeout=ANSWER_SECONDS)))
    except ConnectionClosed as end:
        return messages, 0 if end.rcvd is None else end.rcvd.code


def converse(url: str, case: Case, request_id: str) -> Answer:
    """Stream a recording in messages of any length, and take all answers.

    Raises OSError or WebSocketException where there is no answer.
    """
    talk, chance = case.recordings[0], random.Random(case.seed)
    assert isinstance(talk, Talk)
    hello: dict[str, Any] = {"sample_rate": RATE_HZ, "windows": case.kind != "stream"}
    if case.model:
        hello["model"] = case.model
    try:
        socket = open_stream(url, case.kind, request_id)
    except InvalidStatus as problem:
        body = json.loads(problem.response.body)
        retry_after = problem.response.headers.get("Retry-After")
        return Answer(problem.response.status_code, body, body["error"], retry_after=retry_after)
    with socket:
        try:
            socket.send(json.dumps(hello))
            _speak(socket, talk, chance, is_spoken=case.is_spoken)
            socket.send(END)
        except ConnectionClosed:
            pass  # what the server said before is still to be received
        messages, close = receive(socket)
    if not messages:
        raise ConnectionError(f"a stream without an answer, close code {close}")
    end = messages[-1]
    if end["type"] != "error":
        return Answer(200, messages, close=close)
    retry_after = end.get("retry_after")
    return Answer(
        status=STATUSES.get(end["error"], 400),
        body=end,
        code=end["error"],
        close=close,
        retry_after=None if retry_after is None else str(retry_after),
    )


def _speak(socket: ClientConnection, talk: Talk, chance: random.Random, *, is_spoken: bool) -> None:
    pace = 1 if is_spoken else PACE if chance.random() < SHARE_PACED else 0
    at = 0
    while at < len(talk.samples):
        count = chance.randint(1, 2 * RATE_HZ)
        socket.send(talk.samples[at : at + count].tobytes())
        at += count
        if pace:
            time.sleep(count / RATE_HZ / pace)
