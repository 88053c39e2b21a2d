"""Traits of heads, for whoever must know them before torch is there: settings, grids, estimates.

The heads of `affetto.models.head` are what the rows here describe; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HeadTraits:
    """Layers of one head, as far as settings depend on them."""

    takes_frames: bool = True
    """Whether it has layers on frames, before the mean over time; else it sees a clip's statistics alone."""
    has_hidden: bool = True
    """Whether it has layers of a width that can be chosen."""
    has_dropout: bool = True


HEADS: dict[str, HeadTraits] = {
    "paper": HeadTraits(),
    "short": HeadTraits(),
    "linear": HeadTraits(has_dropout=False),
    "statistics": HeadTraits(takes_frames=False, has_hidden=False),
}


def head_traits(name: str) -> HeadTraits:
    """A head's row; one without a row has all that a head can have."""
    return HEADS.get(name, HeadTraits())
