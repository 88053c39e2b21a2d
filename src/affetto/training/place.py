"""Place of a fold in its run, while it is fitted."""

from __future__ import annotations

from dataclasses import dataclass

from affetto.training.display import Display
from affetto.training.runs import RunFolder


@dataclass(frozen=True)
class Place:
    """A fold's folder, its display, and its slot of the builder."""

    folder: RunFolder
    display: Display
    slot: int
