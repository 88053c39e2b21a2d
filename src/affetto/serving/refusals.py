"""Refusals of requests: a status, a code for programs, a message for people."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse

from affetto import audio

LONGEST_RETRY_SECONDS = 60
"""The longest that a client is asked to wait before it comes back."""


class RefusalError(Exception):
    """Refusal of a request. `code` is stable, whatever the message says."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})

    def response(self) -> JSONResponse:
        return JSONResponse({"error": self.code, "message": self.message}, self.status, self.headers)


def too_large(max_megabytes: float) -> RefusalError:
    return RefusalError(
        413, "too_large", f"the upload is larger than {max_megabytes:g} MB, the most that this server takes"
    )


def call_too_large(most_bytes: int) -> RefusalError:
    return RefusalError(413, "too_large", f"the request is larger than {most_bytes:,} bytes, the most that it may be")


def too_slow(seconds: float) -> RefusalError:
    return RefusalError(408, "too_slow", f"the upload was not complete after {seconds:g} s; send it again")


def broken_request() -> RefusalError:
    return RefusalError(400, "broken_request", "the request's line, headers or chunks are no HTTP/1.1; send it again")


def queue_full(retry_seconds: int) -> RefusalError:
    message = f"the server is busy; try again in about {retry_seconds} s"
    return RefusalError(503, "queue_full", message, {"Retry-After": str(retry_seconds)})


def client_queue_full(most: int, retry_seconds: int) -> RefusalError:
    message = f"{most} of your requests are at work or waiting, as many as one client may have; try again later"
    return RefusalError(429, "client_queue_full", message, {"Retry-After": str(retry_seconds)})


def admin_only(is_possible: bool) -> RefusalError:
    reason = "send an admin's token" if is_possible else "the server has no admin's token (AFFETTO_ADMIN_TOKEN)"
    return RefusalError(403, "admin_only", f"only an admin changes the models: {reason}")


def timed_out(seconds: float) -> RefusalError:
    message = f"no answer within {seconds:g} s of the upload's end: send a shorter recording, or try again later"
    return RefusalError(503, "timed_out", message, {"Retry-After": str(LONGEST_RETRY_SECONDS)})


def idle(seconds: float) -> RefusalError:
    return RefusalError(
        408, "too_slow", f"no message for {seconds:.3g} s: send the sound as it is spoken, then the end"
    )


def ending() -> RefusalError:
    message = "the server ends; connect again in a while"
    return RefusalError(503, "ending", message, {"Retry-After": str(LONGEST_RETRY_SECONDS)})


def no_socket() -> RefusalError:
    message = "this path takes a WebSocket (docs/serving.md): send the headers of its handshake"
    return RefusalError(426, "upgrade_required", message, {"Upgrade": "websocket"})


def storage_full(retry_seconds: int) -> RefusalError:
    message = f"the server has no room for more uploads; try again in {retry_seconds} s"
    return RefusalError(507, "storage_full", message, {"Retry-After": str(retry_seconds)})


def defect(request_id: str) -> RefusalError:
    return RefusalError(500, "defect", f"a defect of the server; see its log under {request_id}")


def no_timeline(reason: str) -> RefusalError:
    return RefusalError(501, "no_timeline", reason)


def no_detector() -> RefusalError:
    return no_timeline("this server has no silero-vad, which finds speech in a recording")


def unusable(problem: audio.AudioError) -> RefusalError:
    """415 for what is no audio that can be read here, 413 for what is too long, 422 for what is broken."""
    if isinstance(problem, audio.UnknownFormatError):
        return RefusalError(415, "not_audio", str(problem))
    if isinstance(problem, audio.TooLongError):
        return RefusalError(413, "too_long", str(problem))
    return RefusalError(422, "unusable_audio", str(problem))
