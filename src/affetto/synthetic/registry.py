"""All corpora that can be made of synthetic speech, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affetto.registry import Registry
from affetto.synthetic.maker import Maker

MAKERS = Registry(
    kind="kind of synthetic corpus",
    record=Maker,
    packages=("affetto.synthetic.layouts",),
    group="affetto.synthetic_corpora",
)
"""Makers by name; plug-ins register by the entry points `affetto.synthetic_corpora`."""


def make(kind: str, folder: Path, **settings: Any) -> None:
    """Write a synthetic corpus of `kind` (a key of `MAKERS`) into `folder`, which must be new or empty.

    `settings` are speakers, clips, seed and progress, as in `Layout.make`. Raises UserError.
    """
    MAKERS.find(kind).make(folder, **settings)


def miniatures() -> dict[str, tuple[int, int]]:
    """Speakers and clips of each corpus that a grid's miniature can hold."""
    return {name: maker.miniature for name, maker in MAKERS.items() if maker.miniature}
