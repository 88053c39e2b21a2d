"""Requests of honest clients in the load test (`load.py`), and their answers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from load_models import Clip, Talk

STREAMS = {"stream": "/v1/stream", "stream of the page": "/en/live/stream"}
"""Paths of the kinds that are streams."""


@dataclass(frozen=True)
class Case:
    """Request: its kind, its recordings, and the model that it names ("": none)."""

    kind: str
    recordings: tuple[Clip | Talk, ...] = ()
    model: str = ""
    path: str = ""
    """Path of a request without a recording."""
    seed: int = 0
    is_spoken: bool = False
    """True for a stream at the pace of speech."""


@dataclass
class Answer:
    """Answer to an attempt. `body`: object, lines of a batch, or messages of a stream."""

    status: int
    body: Any
    code: str = ""
    """Code of a refusal."""
    close: int | None = None
    """Close code of a stream."""
    retry_after: str | None = None
    began: float = 0.0
    ended: float = field(default_factory=time.monotonic)
