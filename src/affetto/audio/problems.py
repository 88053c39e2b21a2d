"""Errors of files and sections that cannot be used as a clip."""

from __future__ import annotations

from pathlib import Path

from affetto.errors import UserError


class AudioError(UserError):
    """A file, or a section of one, that cannot be used as a clip."""


class UnknownFormatError(AudioError):
    """What is there is no audio that can be read."""


class TooLongError(AudioError):
    """A recording is longer than it may be."""


class Cancelled(AudioError):  # noqa: N818 (it is no mistake: who asked does not wait any more)
    """Decoding was given up because its result is not wanted any more."""


def too_long(name: str, seconds: float, longest_seconds: float) -> TooLongError:
    return TooLongError(f"{name}: {seconds:.1f} s long, at most {longest_seconds:g} s are taken; cut it")


def outside(name: str | Path, start: float | None, end: float | None, seconds: float) -> AudioError:
    """The error for a section from `start` to `end` of a recording that lasts `seconds`."""
    span = f"{start or 0:g}–{seconds if end is None else end:g} s"
    return AudioError(f"{name}: section {span} lies outside its {seconds:.2f} s; give a start and an end within")


def broken_off(name: str, missing: str) -> AudioError:
    return AudioError(f"{name}: broken off: {missing}; copy or convert it again from its source")


def undecodable(name: str, problem: Exception) -> AudioError:
    return AudioError(f"{name}: cannot be decoded ({reason(problem)}); copy it again from its source")


def reason(problem: Exception) -> str:
    """The words of libsndfile's or FFmpeg's error."""
    return str(getattr(problem, "error_string", problem)).strip().rstrip(".")
