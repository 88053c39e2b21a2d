"""Traits of methods and heads, for whoever must know them before torch is there: settings, grids, estimates.

The classes of `affetto.models.methods` and the heads of `affetto.models.head` are what the rows here describe; a test
holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MethodTraits:
    """Training of one method, as far as settings depend on it."""

    section: str | None = None
    """The section of the settings that belongs to the method alone."""
    takes_steps: bool = True
    """Whether an optimiser trains it; the probe is solved for instead."""
    changes_blocks: bool = False
    """Whether blocks of the backbone change, so that what lies above the lowest of them cannot be stored."""
    trains_backbone: bool = False
    """Whether what trains are the backbone's own weights."""


@dataclass(frozen=True)
class HeadTraits:
    """Layers of one head, as far as settings depend on them."""

    takes_frames: bool = True
    """Whether it has layers on frames, before the mean over time; else it sees a clip's statistics alone."""
    has_hidden: bool = True
    """Whether it has layers of a width that can be chosen."""
    has_dropout: bool = True


METHODS: dict[str, MethodTraits] = {
    "probe": MethodTraits(takes_steps=False),
    "frozen": MethodTraits(),
    "adapter": MethodTraits(section="adapter", changes_blocks=True),
    "lora": MethodTraits(section="lora", changes_blocks=True),
    "full": MethodTraits(changes_blocks=True, trains_backbone=True),
}
HEADS: dict[str, HeadTraits] = {
    "paper": HeadTraits(),
    "short": HeadTraits(),
    "linear": HeadTraits(has_dropout=False),
    "statistics": HeadTraits(takes_frames=False, has_hidden=False),
}


def method_traits(name: str) -> MethodTraits:
    """A method's row; one without a row trains by steps, changes blocks, and owns the section of its name."""
    return METHODS.get(name, MethodTraits(section=name, changes_blocks=True))


def head_traits(name: str) -> HeadTraits:
    """A head's row; one without a row has all that a head can have."""
    return HEADS.get(name, HeadTraits())


def methods_with(section: str) -> list[str]:
    """The methods that a section of the settings belongs to."""
    return [name for name, traits in METHODS.items() if traits.section == section]
