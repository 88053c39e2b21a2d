"""Spans of the parts of a request, without OpenTelemetry."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from affetto.serving import tracing
from affetto.serving.batching import Turns
from affetto.serving.refusals import RefusalError
from affetto.serving.tracing import CURRENT, Trace


class Span:
    """A span that keeps what is set."""

    def __init__(self, name: str, above: Span | None = None, began: float | None = None) -> None:
        self.name, self.above, self.began = name, above, began
        self.values: dict[str, Any] = {}
        self.ends: list[int | None] = []

    def set_attribute(self, name: str, value: Any) -> None:
        self.values[name] = value

    def end(self, moment: int | None = None) -> None:
        self.ends.append(moment)


@contextlib.contextmanager
def request() -> Iterator[list[Span]]:
    """Within it a request is handled; its span, and then those that are started, in order."""
    started = [Span("request")]

    def start(name: str, above: Any, began: float | None) -> Any:
        started.append(Span(name, above, began))
        return started[-1]

    token = CURRENT.set(Trace(started[0], start))  # type: ignore[arg-type]
    try:
        yield started
    finally:
        CURRENT.reset(token)


def test_a_moment_of_the_past_is_before_now() -> None:
    ago = tracing.nanoseconds(time.monotonic() - 1000)
    assert ago is not None and 500e9 < time.time_ns() - ago < 1500e9
    assert tracing.nanoseconds(None) is None


def test_a_part_is_below_that_within_which_it_is_done() -> None:
    with request() as spans:
        with tracing.part("recording", index=1), tracing.part("decode"):
            pass
        with tracing.part("recording", index=2):
            pass
    assert [(span.name, span.above) for span in spans[1:]] == [
        ("recording", spans[0]),
        ("decode", spans[1]),
        ("recording", spans[0]),
    ]
    assert [span.ends for span in spans] == [[], [None], [None], [None]]
    assert spans[3].values == {"affetto.index": 2}
    with tracing.part("decode") as trace:
        assert trace is None, "without a request there is nothing to trace"


@pytest.mark.parametrize(
    ("problem", "word"),
    [
        (RefusalError(413, "too_large", "private"), "too_large"),
        (ValueError("private"), "ValueError"),
        (asyncio.CancelledError("private"), "CancelledError"),
        (SystemExit(3), "SystemExit"),
    ],
)
def test_an_error_leaves_its_code_or_class_in_what_it_ends(problem: BaseException, word: str) -> None:
    with request() as spans:
        with pytest.raises(type(problem)), tracing.part("upload"):
            raise problem
        assert (spans[1].values, spans[1].ends) == ({"error.type": word}, [None])
        trace = CURRENT.get()
        assert trace is not None and trace.span is spans[0] and not spans[0].values  # type: ignore[comparison-overlap]


def test_turns_are_a_wait_and_the_time_from_the_first_batch_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "nanoseconds", lambda moment: moment)
    turns = Turns(arrived=10.0, began=12.0, ended=20.0, computed=5.00004, batches=3, items=7, largest=9)
    with request() as spans:
        tracing.add_turns(Turns())
        assert len(spans) == 1, "no batch had a part of it"
        tracing.add_turns(turns)
    _, wait, compute = spans
    assert (wait.name, wait.above, wait.began, wait.ends, wait.values) == ("wait", spans[0], 10.0, [12.0], {})
    assert (compute.name, compute.above, compute.began, compute.ends) == ("compute", spans[0], 12.0, [20.0])
    assert compute.values == {
        "affetto.windows": 7,
        "affetto.batches": 3,
        "affetto.batch_windows": 9,
        "affetto.computing_seconds": 5.0,
    }
