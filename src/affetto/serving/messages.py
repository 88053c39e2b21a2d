"""Messages of `/v1/stream`: what a client may send, and what it gets."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from affetto.audio.samples import HIGHEST_RATE_HZ, LOWEST_RATE_HZ
from affetto.serving.refusals import RefusalError
from affetto.serving.sounds import SOUNDS

MESSAGE_BYTES = 262_144
"""The most that one message may have."""
HELLO_CHARACTERS = 4096
CLOSED_WELL, GOING, POLICY, TOO_BIG, DEFECT, LATER = 1000, 1012, 1008, 1009, 1011, 1013
"""Close codes (RFC 6455 and the registry of IANA)."""
_CODES = {413: TOO_BIG, 429: LATER, 500: DEFECT, 503: LATER}
"""Close code by the status of a refusal; all others are `POLICY`."""


class Hello(BaseModel):
    """First message of a client."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["hello"] = "hello"
    sample_rate: int | None = Field(default=None, ge=LOWEST_RATE_HZ, le=HIGHEST_RATE_HZ)
    """Samples in a second, of a format that does not state them."""
    format: Literal["pcm16", "webm-opus"] = "pcm16"
    """`pcm16`: samples of one channel, 16 bits each, little-endian; `webm-opus`: WebM as browsers record it."""
    model: str | None = Field(default=None, max_length=200)
    abstain_below: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    windows: bool = False
    """True if the answer of each window is wanted, as soon as it is computed."""
    token: str | None = Field(default=None, max_length=1024)
    """The server's token, of a client that cannot set headers, as scripts in a browser."""


class _End(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["end"]


def read_hello(message: str | bytes) -> Hello:
    """Read the first message. Raises RefusalError: 400 for none of JSON, 422 for a field that is wrong."""
    if isinstance(message, bytes):
        raise invalid("the first message is binary: send the hello before the sound, as a text of JSON")
    try:
        if len(message) > HELLO_CHARACTERS:
            raise invalid(f"the hello has more than {HELLO_CHARACTERS:,} characters")
        hello = Hello.model_validate_json(message)
    except ValidationError as problem:
        error = problem.errors()[0]
        if not error["loc"]:
            raise invalid('the first message is no hello: send {"sample_rate": 16000, "format": "pcm16"}') from None
        field = ".".join(str(part) for part in error["loc"])[:80]
        raise RefusalError(422, "invalid_parameter", f"hello.{field}: {error['msg']}") from None
    sound = SOUNDS[hello.format]
    if sound.needs_rate and hello.sample_rate is None:
        raise RefusalError(422, "invalid_parameter", f"hello.sample_rate: {hello.format} needs it, as 16000")
    if not sound.is_available:
        reason = f"this server lacks {sound.needs_module}, which decodes {hello.format}: send pcm16"
        raise RefusalError(422, "invalid_parameter", f"hello.format: {reason}")
    return hello


def check_end(message: str) -> None:
    """Raise RefusalError (400) for a text behind the hello that is not the end."""
    try:
        _End.model_validate_json(message[:HELLO_CHARACTERS])
    except ValidationError:
        raise invalid(
            'a text that is not {"type": "end"}: behind the hello send binary messages, then the end'
        ) from None


def invalid(reason: str) -> RefusalError:
    return RefusalError(400, "invalid_message", reason)


def error(problem: RefusalError) -> dict[str, Any]:
    """Message for a refusal; `retry_after` are seconds, where another try may do."""
    retry = problem.headers.get("Retry-After")
    message = {"type": "error", "error": problem.code, "message": problem.message}
    return message | ({} if retry is None else {"retry_after": int(retry)})


def close_code(problem: RefusalError) -> int:
    return _CODES.get(problem.status, POLICY)
