"""Requests of the load test (`load.py`) that no honest client sends, with the words that may answer each."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import soundfile

from load_hostile_sockets import CUT_OFF, LEFT, exchange_bytes, raw_cases
from load_hostile_streams import stream_cases
from load_models import RATE_HZ, encode

ANSWERED = "answered"
LARGE_BYTES = 3_000_000
BATCH_FILES = 65
"""One more than a batch may have."""
Send = Callable[[str, httpx.Client, str], str]
"""Takes the server's address, a connection and the request's id. Returns the word of the answer: a refusal's code,
ANSWERED, CUT_OFF, LEFT, or the close code of a stream. Raises AssertionError for an answer without a clear refusal."""


@dataclass(frozen=True)
class Hostile:
    """Request with the words that may answer it."""

    name: str
    send: Send
    words: tuple[str, ...]

    @property
    def leaves(self) -> bool:
        """True if its client may be gone before the answer."""
        return LEFT in self.words or CUT_OFF in self.words


@dataclass(frozen=True)
class Body:
    """Request by HTTP that is well-formed."""

    content: bytes = b""
    media_type: str = "audio/wav"
    path: str = "/v1/predict"
    method: str = "POST"
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    files: int = 0
    """Number of parts of a form that have the content; 0: the content alone."""
    is_chunked: bool = False

    def __call__(self, _url: str, client: httpx.Client, request_id: str) -> str:
        headers = dict(self.headers) | {"X-Request-ID": request_id}
        body: dict[str, Any] = {"files": [("file", ("x.wav", self.content))] * self.files}
        if not self.files:
            headers["Content-Type"] = self.media_type
            chunks = (self.content[at : at + 65_536] for at in range(0, len(self.content), 65_536))
            body = {"content": chunks if self.is_chunked else self.content}
        response = client.request(self.method, self.path, params=dict(self.params), headers=headers, **body)
        return word_of(response.status_code, response.text)


def word_of(status: int, text: str) -> str:
    """Word of an answer by HTTP. Raises AssertionError for a refusal that is not a code and a line, and for defects."""
    if status == 200 and text.startswith("{") and "\n" in text.strip():
        codes = [json.loads(line).get("error", ANSWERED) for line in text.splitlines()]
        return codes[0] if len(set(codes)) == 1 else ANSWERED
    answer = json.loads(text)
    if status == 200:
        return str(answer.get("error", ANSWERED))
    is_clear = answer.keys() == {"error", "message"} and len(answer["message"]) > 10 and "\n" not in answer["message"]
    assert is_clear and (status < 500 or answer["error"] in ("queue_full", "ending")), f"{status} {text[:200]}"
    return str(answer["error"])


def hostile_cases(draw: np.random.Generator, *, has_opus: bool) -> list[Hostile]:
    """Make requests that are broken, too large, too long, too slow, forbidden, or given up in the middle."""
    noise = (0.1 * draw.standard_normal(RATE_HZ)).astype(np.float32)
    clip = encode(noise, subtype="PCM_16")
    cases = [Hostile(name, body, words) for name, body, words in (*_broken(noise), *_forms(clip), *_forbidden(clip))]
    cases += [
        Hostile(name, _Raw(content, leaves_after=leaves_after), words)
        for name, content, leaves_after, words in raw_cases(clip)
    ]
    return cases + [Hostile(name, send, words) for name, send, words in stream_cases(has_opus=has_opus)]


@dataclass(frozen=True)
class _Raw:
    """Bytes over a connection of their own; `leaves_after`: bytes after which the client leaves, None: it waits."""

    content: bytes
    leaves_after: int | None

    def __call__(self, url: str, _client: httpx.Client, request_id: str) -> str:
        content = self.content.replace(b"REQUEST-ID", request_id.encode())
        answer = exchange_bytes(url, content, self.leaves_after)
        return answer if isinstance(answer, str) else word_of(*answer)


def _broken(noise: np.ndarray) -> list[tuple[str, Body, tuple[str, ...]]]:
    nan = noise.copy()
    nan[100] = np.nan
    flac = encode(noise, format="FLAC", subtype="PCM_16")
    not_audio, unusable, large = ("not_audio",), ("unusable_audio",), ("too_large",)
    return [
        ("text", Body(b"not a sound"), not_audio),
        ("nothing", Body(), unusable),
        ("text as a form", Body(b"not a sound", files=1), not_audio),
        ("truncated wav", Body(encode(noise)[:3000]), unusable),
        ("truncated flac", Body(flac[:9000], path="/v1/timeline"), unusable),
        ("samples that are no numbers", Body(encode(nan)), unusable),
        ("a sample", Body(encode(noise[:1])), unusable),
        ("8 hours in a header", Body(_hours()), ("too_long",)),
        ("too large", Body(bytes(LARGE_BYTES)), large),
        ("too large, form", Body(bytes(LARGE_BYTES), files=1), large),
        ("too large, unannounced", Body(bytes(LARGE_BYTES), is_chunked=True), large),
    ]


def _forms(clip: bytes) -> list[tuple[str, Body, tuple[str, ...]]]:
    form = "multipart/form-data"
    return [
        ("json", Body(b"{}", "application/json"), ("wrong_content_type",)),
        ("no form", Body(b"--x", form), ("broken_form",)),
        ("no batch", Body(clip, path="/v1/batch"), ("wrong_content_type",)),
        ("a batch without an end", Body(b"--x\r\n", f"{form}; boundary=x", "/v1/batch"), ("broken_form", "no_file")),
        ("a batch of too many", Body(clip[:100], path="/v1/batch", files=BATCH_FILES), ("broken_form",)),
        ("a broken batch", Body(b"not a sound", path="/v1/batch", files=3), ("not_audio",)),
        ("no such model", Body(clip, params={"model": "nobody"}), ("unknown_model",)),
        ("no number", Body(clip, params={"abstain_below": "nan"}), ("invalid_parameter",)),
        ("subtitles without a transcript", _transcription(clip, "vtt"), ("invalid_parameter",)),
    ]


def _transcription(clip: bytes, kind: str) -> Body:
    boundary = "x"
    parts = [
        b'Content-Disposition: form-data; name="response_format"\r\n\r\n' + kind.encode(),
        b'Content-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n' + clip,
    ]
    content = b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + b"--x--\r\n"
    return Body(content, f"multipart/form-data; boundary={boundary}", "/v1/audio/transcriptions")


def _forbidden(clip: bytes) -> list[tuple[str, Body, tuple[str, ...]]]:
    model = json.dumps({"name": "lora", "path": "../../etc"}).encode()
    return [
        ("a model of nobody's", Body(model, "application/json", "/v1/models"), ("admin_only",)),
        ("a model taken away", Body(path="/v1/models/lora", method="DELETE"), ("admin_only",)),
        ("another site's page", Body(clip, headers={"Origin": "https://evil.example"}), ("cross_site",)),
        ("another host", Body(clip, headers={"Host": "evil.example"}), ("wrong_host",)),
        ("another method", Body(clip, method="PUT"), ("wrong_method",)),
        ("no such path", Body(path="/v1/../etc/passwd", method="GET"), ("not_found",)),
        ("a stream by HTTP", Body(path="/v1/stream", method="GET"), ("upgrade_required",)),
    ]


def _hours() -> bytes:
    """Silence of 8 hours, which packs into 400 kB."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 1000, 1, format="FLAC", subtype="PCM_16") as sound:
        for _ in range(8):
            sound.write(np.zeros(3_600_000, np.int16))
    return file.getvalue()
