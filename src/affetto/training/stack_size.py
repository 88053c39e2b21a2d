"""Number of fits that train as one, as `--stack` gives it; readable without torch."""

from __future__ import annotations

AUTO = "auto"
MOST_FITS = 8
"""Fits that `auto` lets train as one on a device with memory of its own. On the CPU it lets none: stacked fits take as
long there as one after another."""


def most_fits(stack: str | int, *, own_memory: bool) -> int:
    """Fits that train as one at most: `stack` itself or, where it is `auto`, what suits the device."""
    if not isinstance(stack, str):
        return stack
    return MOST_FITS if own_memory else 1
