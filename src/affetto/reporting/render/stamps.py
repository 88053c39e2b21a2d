"""Stamp of tables and figures whose speech is synthetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

SYNTHETIC = "synthetic speech"


class HasOrigin(Protocol):
    """Result that knows if its speech is synthetic."""

    @property
    def synthetic(self) -> bool: ...


def stamp(*, synthetic: bool, partly: bool = False) -> str:
    """Stamp of a table or figure: all of its speech is synthetic, some of it, or none (an empty text)."""
    return SYNTHETIC if synthetic else f"partly {SYNTHETIC}" if partly else ""


def stamp_of(results: Sequence[HasOrigin]) -> str:
    """Stamp of a table or figure of these results."""
    origins = [result.synthetic for result in results]
    return stamp(synthetic=bool(origins) and all(origins), partly=any(origins))
