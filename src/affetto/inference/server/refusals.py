"""What a server answers to a request that it does not fulfil: a status, a word for programs, a line for people."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse

from affetto import audio


class RefusalError(Exception):
    """`code` is a word that stays the same whatever the message says."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})

    def response(self) -> JSONResponse:
        return JSONResponse({"error": self.code, "message": self.message}, self.status, self.headers)


def too_large(max_megabytes: float) -> RefusalError:
    return RefusalError(
        413, "too_large", f"the upload is larger than {max_megabytes:g} MB, the most that this server takes"
    )


def too_slow(seconds: float) -> RefusalError:
    return RefusalError(408, "too_slow", f"the upload was not complete after {seconds:g} s; send it again")


def broken_request() -> RefusalError:
    return RefusalError(400, "broken_request", "the request's line, headers or chunks are no HTTP/1.1; send it again")


def queue_full(retry_seconds: int) -> RefusalError:
    message = f"the server is busy; try again in about {retry_seconds} s"
    return RefusalError(503, "queue_full", message, {"Retry-After": str(retry_seconds)})


def unusable(problem: audio.AudioError) -> RefusalError:
    """415 for what is no audio that can be read here, 413 for what is too long, 422 for what is broken."""
    if isinstance(problem, audio.UnknownFormatError):
        return RefusalError(415, "not_audio", str(problem))
    if isinstance(problem, audio.TooLongError):
        return RefusalError(413, "too_long", str(problem))
    return RefusalError(422, "unusable_audio", str(problem))
