"""Trace of a request: its span and those of its parts, for OpenTelemetry.

Nothing is imported from there: where no collector is set, there is no trace, and all of this does nothing. A span holds
counts, times, codes and names of models; never audio, a query, the name of a file, a token or a message.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from affetto.serving.batching import Turns

Value = str | bool | int | float
Start = Callable[[str, "Span", float | None], "Span"]
"""Starts a span of this name below another, at a time of `time.monotonic`; None: now."""
PREFIX = "affetto."
"""Prefix of the names of attributes that are ours."""


def nanoseconds(moment: float | None) -> int | None:
    """Time of a span from one of `time.monotonic`; None stays None.

    >>> abs(nanoseconds(time.monotonic()) - time.time_ns()) < 1e9
    True
    """
    return None if moment is None else time.time_ns() - round((time.monotonic() - moment) * 1e9)


@dataclass(frozen=True)
class Trace:
    """A span that goes on, below which others may be put by any thread."""

    span: Span
    start: Start

    @property
    def id(self) -> str:
        """Number of the trace, 32 digits in hexadecimal."""
        return format(self.span.get_span_context().trace_id, "032x")

    def note(self, **values: Value) -> None:
        """Set attributes of the span."""
        for name, value in values.items():
            self.span.set_attribute(PREFIX + name, value)

    def add(self, name: str, began: float, ended: float, **values: Value) -> None:
        """Put a span below this one, from times of `time.monotonic`."""
        part = Trace(self.start(name, self.span, began), self.start)
        part.note(**values)
        part.span.end(nanoseconds(ended))


CURRENT: ContextVar[Trace | None] = ContextVar("affetto_trace", default=None)
"""Trace of the request that is handled; None: there is none."""


@contextlib.contextmanager
def part(name: str, **values: Value) -> Iterator[Trace | None]:
    """Put a span of what is done within it below the present one. An error leaves its code or class there."""
    above = CURRENT.get()
    if above is None:
        yield None
        return
    trace = Trace(above.start(name, above.span, None), above.start)
    trace.note(**values)
    token = CURRENT.set(trace)
    try:
        yield trace
    except BaseException as problem:
        code = getattr(problem, "code", None)  # that of a refusal
        trace.span.set_attribute("error.type", code if isinstance(code, str) else type(problem).__name__)
        raise
    finally:
        CURRENT.reset(token)
        trace.span.end()


def add_turns(turns: Turns) -> None:
    """Put the spans `wait` and `compute` of a recording below the present one: to its first batch, and to its last."""
    trace = CURRENT.get()
    if trace is None or not turns.batches:
        return
    trace.add("wait", turns.arrived, turns.began)
    trace.add(
        name="compute",
        began=turns.began,
        ended=turns.ended,
        windows=turns.items,
        batches=turns.batches,
        batch_windows=turns.largest,
        computing_seconds=round(turns.computed, 4),
    )
