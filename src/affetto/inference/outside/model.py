"""`OutsideModel`: a model of others, loaded: a wave in, raw scores out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

CLASSES, SEVERAL, DIMENSIONS = "classes", "several", "dimensions"
"""Kinds of outputs: logits of one label, logits of several that may apply, values of dimensions."""
UNIT = (0.0, 1.0)
"""Range of dimensions that nothing else states: that of audEERING's models."""
TINY = 1e-300
"""Least probability whose logarithm is taken as a logit."""


@dataclass(frozen=True, kw_only=True)
class OutsideModel:
    """A loaded model. It takes one clip at a time, so that nothing beside a clip can change its scores."""

    title: str
    """Class or format, for people."""
    outputs: tuple[str, ...]
    """Names of the outputs, as the model has them."""
    kind: str
    """Kind of the outputs: CLASSES, SEVERAL or DIMENSIONS."""
    score: Callable[[np.ndarray], np.ndarray]
    """Wave (samples,), float32 at 16 kHz → scores (outputs,)."""
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Range of each dimension."""
    range_is_assumed: bool = False
    """True if the model itself states no range of its dimensions."""
    longest_seconds: float | None = None
    """Longest clip that the model takes; None: any length."""
    side_by_side: bool = False
    """True if several threads may call `score` at once, and gain by it."""
    files: tuple[Path, ...] = ()
    """Files that it was loaded from; () of a model that another package loads."""
    decoders: int = 0
    """Threads that may decode recordings meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format of model folders."""

    name: str
    title: str
    matches: Callable[[Path], bool]
    """True for a folder of this format."""
    open: Callable[[Path, str], OutsideModel]
    """Loads a folder on a device (`auto` or its name). Raises UserError for one that cannot be used."""


def digest_of(files: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of files."""
    digest = hashlib.sha256()
    for file in sorted(files):
        with file.open("rb") as stream:
            digest.update(f"{file.name} {hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def as_object(value: Any) -> dict[str, Any]:
    """The value if it is an object of JSON, else {}."""
    return value if isinstance(value, dict) else {}
