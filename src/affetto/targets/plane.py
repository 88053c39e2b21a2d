"""The plane of valence and arousal, in which emotions are drawn (Russell, 1980)."""

from __future__ import annotations

from collections.abc import Collection

PLANE = ("valence", "arousal")
"""Dimension of the horizontal axis, and of the vertical one."""


def spans_plane(names: Collection[str]) -> bool:
    """True if both axes of the plane are among these dimensions."""
    return all(name in names for name in PLANE)
