"""Structured logs: a line of JSON an event, on standard error. Never audio, a token, a query or a file's name.

While a server runs, whatever is written to standard error comes so: other packages' events, their warnings, and the
tracebacks that they print.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, TextIO

from affetto.serving import tracing

LOGGER = logging.getLogger("affetto.server")


class JsonLines(logging.Formatter):
    """`{"time": …, "level": …, "event": …, …}`; the events of others are called `log`.

    Whatever is logged while a traced request is handled has its `trace_id`.
    """

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
        }
        if record.name == LOGGER.name:
            line["event"] = record.getMessage()
            line |= getattr(record, "facts", {})
        else:
            line |= {"event": "log", "logger": record.name, "message": record.getMessage().strip()}
        trace = tracing.CURRENT.get()
        if trace is not None:
            line["trace_id"] = trace.id
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _Lines(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Nothing: where standard error has gone there is nobody to tell, and telling would come here again."""


class _Printed(io.TextIOBase):
    """Standard error for those who print: each line becomes an event."""

    def __init__(self) -> None:
        self._rest = threading.local()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, rest = (getattr(self._rest, "text", "") + text).split("\n")
        self._rest.text = rest
        for line in filter(str.strip, lines):
            event("printed", logging.WARNING, text=line)
        return len(text)


def event(name: str, level: int = logging.INFO, **facts: Any) -> None:
    LOGGER.log(level, name, extra={"facts": facts})


def failure(name: str, problem: BaseException, **facts: Any) -> None:
    """An event with a traceback: a defect of ours."""
    LOGGER.error(name, exc_info=problem, extra={"facts": facts})


@contextlib.contextmanager
def on_standard_error(level: int = logging.INFO) -> Iterator[None]:
    """Within it all that this process writes to standard error by Python is lines of JSON."""
    root, stream, hook = logging.getLogger(), sys.stderr, threading.excepthook
    handler = _Lines(stream)
    handler.setFormatter(JsonLines())
    handlers, levels = root.handlers[:], (root.level, LOGGER.level)
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    LOGGER.setLevel(level)
    logging.captureWarnings(True)
    threading.excepthook = lambda died: LOGGER.error("thread_died", exc_info=died.exc_value, extra={"facts": {}})
    sys.stderr = _Printed()
    try:
        yield
    finally:
        sys.stderr, threading.excepthook = stream, hook
        logging.captureWarnings(False)
        root.handlers = handlers
        root.setLevel(levels[0])
        LOGGER.setLevel(levels[1])
