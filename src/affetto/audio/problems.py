"""Errors of files and sections that cannot be used as a clip."""

from __future__ import annotations

from pathlib import Path

from affetto.errors import UserError


class AudioError(UserError):
    """A file, or a section of one, that cannot be used as a clip."""


class UnknownFormatError(AudioError):
    """A file or bytes that are no audio which can be read."""


class TooLongError(AudioError):
    """A recording is longer than it may be."""


class BrokenOffError(AudioError):
    """A recording ends before its header says; `missing` is what it lacks."""

    def __init__(self, name: str, missing: str) -> None:
        super().__init__(f"{name}: broken off: {missing}; copy or convert it again from its source")
        self.missing = missing


class UndecodableError(AudioError):
    """A recording's sound cannot be decoded, though its header can be read."""

    def __init__(self, name: str, problem: Exception) -> None:
        super().__init__(f"{name}: cannot be decoded ({reason(problem)}); copy it again from its source")
        self.reason = reason(problem)


class Cancelled(AudioError):  # noqa: N818 (it is no mistake of the user)
    """Decoding was given up because nobody waits for its result."""


def too_long(name: str, seconds: float, longest_seconds: float) -> TooLongError:
    return TooLongError(f"{name}: {seconds:.1f} s long, at most {longest_seconds:g} s are allowed; cut it")


def outside(name: str | Path, start: float | None, end: float | None, seconds: float) -> AudioError:
    """The error for a section from `start` to `end` of a recording that lasts `seconds`."""
    span = f"{start or 0:g}–{seconds if end is None else end:g} s"
    return AudioError(f"{name}: section {span} lies outside its {seconds:.2f} s; give a start and an end within")


def reason(problem: Exception) -> str:
    """The words of libsndfile's or FFmpeg's error."""
    return str(getattr(problem, "error_string", problem)).strip().rstrip(".")
