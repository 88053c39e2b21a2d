"""Section: the part of a report that a chapter makes of some results."""

from __future__ import annotations

from dataclasses import dataclass

from affetto.reporting.render.picture import Picture
from affetto.reporting.render.reference import Reference
from affetto.reporting.render.sheet import Sheet

Items = tuple[Sheet | Picture, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """Sentences, tables and figures of one chapter."""

    words: str
    """Introduction, one paragraph."""
    items: Items = ()
    folded: Items = ()
    """Items behind a line that opens them."""
    is_first: bool = False
    """True if the section opens the page, before those of a lower order."""
    references: tuple[Reference, ...] = ()
    """Publications that the chapter rests on."""
    headline: Sheet | None = None
    """Table that may stand for the report on a terminal."""
    name: str = ""
    """Anchor on the page; set from the chapter's record, as is `title`."""
    title: str = ""

    @property
    def sheets(self) -> list[Sheet]:
        return [item for item in (*self.items, *self.folded) if isinstance(item, Sheet)]

    @property
    def pictures(self) -> list[Picture]:
        return [item for item in (*self.items, *self.folded) if isinstance(item, Picture)]
