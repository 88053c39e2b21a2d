"""Hostile uploads and requests to a real server: each is answered or named within seconds, and nothing is left."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affetto.inference import timeline as module
from affetto.serving.limits import Limits
from inference.test_predictor import Loudness
from serving.hostile import SOUND, contents
from serving.hostile_requests import (
    ANSWERED,
    CLIP,
    CUT_OFF,
    PREDICT,
    TIMELINE,
    Request,
    file,
    form,
    joined,
    post,
    requests,
)
from serving.served import Serving

LIMITS = Limits(max_megabytes=0.5, max_seconds=5.0, upload_seconds=5.0, queue=32)
ENDS_SECONDS = 30.0
"""The longest that an answer may take: an upload that does not end is waited for, LIMITS.upload_seconds."""
UNUSABLE = ("not_audio", "unusable_audio", "too_long")


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    """A server whose model hears signs and whose detector hears loudness; it writes nothing, and logs no defect."""
    folder = tmp_path / "nothing"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr(module, "silero", lambda: lambda frame: float(np.abs(frame).max() > 0))
    serving = Serving({"a": Loudness()}, LIMITS)
    with serving as url:
        yield url
        _alive(url)
        assert serving.service.batcher.waiting == 0 and serving.service.places == 0
    assert serving.guard.open_answers == 0
    assert list(folder.rglob("*")) == []
    assert not [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


def test_hostile_files_are_each_answered_or_named(url: str) -> None:
    def asked(n: int, content: bytes) -> bytes:
        path = (PREDICT, TIMELINE)[n // 2 % 2]
        return form(joined(file(content=content)), path) if n % 2 else post(path, "audio/wav", content)

    sent = [
        Request(name, asked(n, content), (ANSWERED, *UNUSABLE)) for n, (name, content) in enumerate(contents().items())
    ]
    assert len(sent) >= 300
    seen = _all(url, sent)
    assert set(seen) == {ANSWERED, *UNUSABLE} and seen[ANSWERED] > 10 and seen["unusable_audio"] > 100


def test_hostile_requests_are_each_answered_or_named(url: str) -> None:
    seen = _all(url, list(requests()))
    assert seen.total() > 180 and seen[CUT_OFF] == 3
    assert {"broken_request", "broken_form", "no_file", "too_slow", "too_large", "wrong_content_type"} <= seen.keys()


def _all(url: str, sent: list[Request]) -> Counter[str]:
    """Sends each on a connection of its own; what was answered how often."""
    with ThreadPoolExecutor(8) as clients:
        words = list(clients.map(lambda one: _word(url, one.content), sent))
    wrong = [(one.name, word) for one, word in zip(sent, words, strict=True) if word not in one.allowed]
    assert not wrong, "\n".join(f"{name}: {word!r}" for name, word in wrong)
    return Counter(words)


def _word(url: str, content: bytes) -> str:
    """How the server answers: ANSWERED, CUT_OFF, the word of its refusal, or what is wrong with its answer."""
    started = time.monotonic()
    with socket.create_connection(url.removeprefix("http://").split(":"), timeout=ENDS_SECONDS) as client:
        client.sendall(content)
        answer = http.client.HTTPResponse(client)
        try:
            answer.begin()
        except http.client.RemoteDisconnected:
            return CUT_OFF
        status, body = answer.status, json.loads(answer.read())
    if time.monotonic() - started > ENDS_SECONDS:
        return "too late"
    if status == 200:
        return ANSWERED if "emotion" in body or "segments" in body else f"200 with {body}"
    named = 400 <= status < 500 and set(body) == {"error", "message"}
    told = named and len(body["message"]) > 10 and "\n" not in body["message"]
    return str(body["error"]) if told else f"{status} with {body}"


def _alive(url: str) -> None:
    """The server gives the offline answers to a good clip."""
    for body in (post(PREDICT, "audio/wav", CLIP), form(joined(file()))):
        assert _answer(url, body)["probabilities"] == pytest.approx(Loudness()(SOUND).probabilities)
    for body in (post(TIMELINE, "audio/wav", CLIP), form(joined(file()), TIMELINE)):
        segments = [segment.to_json() for segment in module.Timeline(Loudness())(SOUND)]
        assert segments and _answer(url, body)["segments"] == segments


def _answer(url: str, content: bytes) -> dict[str, Any]:
    with socket.create_connection(url.removeprefix("http://").split(":"), timeout=ENDS_SECONDS) as client:
        client.sendall(content)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        found: dict[str, Any] = json.loads(answer.read())
    return found
