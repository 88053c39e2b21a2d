"""Early ends of a command: its user stops it, its reader leaves, or its output cannot be written."""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

from typer.core import TyperGroup

from affetto.errors import UserError

RESUMES = "run the same command again to resume"
"""Advice for commands that resume."""
_P = ParamSpec("_P")
_R = TypeVar("_R")


class Interrupted(BaseException):
    """Interruption of a command by a signal; `advice`: what its user may do next. The exit status is the shell's."""

    def __init__(self, number: int = signal.SIGINT, advice: str = "") -> None:
        self.number, self.advice = number, advice
        super().__init__(str(self))

    def __str__(self) -> str:
        return "interrupted" + (f"; {self.advice}" if self.advice else "")

    @property
    def status(self) -> int:
        return 128 + self.number


class ReaderLeft(Exception):  # noqa: N818 (it is no mistake: `| head -1` has what it wanted)
    """End of a command whose standard output nobody reads any more."""

    status = 128 + 13
    """Status of a program that SIGPIPE ends."""


class Commands(TyperGroup):
    """Group of commands with our endings; typer's own are silent, or give status 1."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _endings():
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        with _endings():
            return super().invoke(ctx)


@contextlib.contextmanager
def _endings() -> Iterator[None]:
    """Translate exceptions that typer would handle itself into those that say how a command ended."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted from None
    except BrokenPipeError:
        raise (_output_problem() or ReaderLeft()) from None
    except FileNotFoundError:
        check_temporary()
        raise


@contextlib.contextmanager
def advising(advice: str) -> Iterator[None]:
    """Advise what to do next if the commands within are interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(advice=advice) from None
    except Interrupted as stopped:
        raise Interrupted(stopped.number, stopped.advice or advice) from None


def resumable(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Wrap a command so that, interrupted, it says that it resumes when it is run again."""

    @functools.wraps(command)
    def run(*arguments: _P.args, **options: _P.kwargs) -> _R:
        with advising(RESUMES):
            return command(*arguments, **options)

    return run


@contextlib.contextmanager
def signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, unless they are ignored or handled, unwind the command as Ctrl-C does.

    What it was writing is tidied up. A second signal ends the process at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    free = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]

    def stop(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Interrupted(number)

    for number in free:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in free:
            signal.signal(number, signal.SIG_DFL)


def check_temporary() -> None:
    """Raise UserError if no folder can take temporary files."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        raise UserError("no folder for temporary files can be written: set TMPDIR to one that can") from None


@contextlib.contextmanager
def output() -> Iterator[None]:
    """Buffer standard output, and make sure that all of it has arrived at the end.

    Raises ReaderLeft where nobody reads it any more, UserError where it is closed or cannot be written.
    """
    before = sys.stdout
    if before is None:
        raise UserError("standard output is closed; give it a file, or > /dev/null")
    # Unbuffered (python -u), what could not be written would be gone, and the error might be of any file.
    is_unbuffered = before is sys.__stdout__ and isinstance(getattr(before, "buffer", None), io.RawIOBase)
    if is_unbuffered:
        raw = io.FileIO(before.fileno(), "wb", closefd=False)
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=before.encoding, errors=before.errors, line_buffering=True
        )
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as problem:
        raise (_output_problem() or problem) from None
    finally:
        sys.stdout = before


def _output_problem() -> Exception | None:
    """Find the reason why standard output cannot be flushed; None if it can."""
    try:
        sys.stdout.flush()
    except OSError as problem:
        # Python writes what is left at its end, and would fail again.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.stdout.flush()
        if problem.errno == errno.EPIPE:
            return ReaderLeft()
        reason = f"standard output cannot be written ({problem.strerror})"
        return UserError(f"{reason}; make room, or send it elsewhere")
    return None
