"""Picture: a figure of a report before it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Picture:
    """Figure of a report: the stem of its files, its title, its words for those who cannot see it, and its drawing."""

    name: str
    title: str
    alt: str
    draw: Callable[[Path], Path]
    """Writes the figure to a path, as PNG or SVG by its suffix, and returns the path."""


def slug(text: str) -> str:
    """Text as part of a file's name: small letters, digits and hyphens."""
    words = "".join(c if c.isalnum() and c.isascii() else " " for c in text.lower()).split()
    return "-".join(words) or "one"
