"""Structured logs: a line of JSON an event, on standard error. Never audio, a token, a query or a file's name."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

LOGGER = logging.getLogger("affetto.server")


class JsonLines(logging.Formatter):
    """`{"time": …, "level": …, "event": …, …}`."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        said |= getattr(record, "facts", {})
        if record.exc_info:
            said["traceback"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False)


def event(name: str, level: int = logging.INFO, **facts: Any) -> None:
    LOGGER.log(level, name, extra={"facts": facts})


def failure(name: str, problem: BaseException, **facts: Any) -> None:
    """An event with a traceback: a defect of ours."""
    LOGGER.error(name, exc_info=problem, extra={"facts": facts})


def set_up(level: int = logging.INFO) -> None:
    """Send our own and uvicorn's events to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    for name, least in (("affetto.server", level), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(least)
