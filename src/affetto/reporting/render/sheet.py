"""A table as a record, from which Markdown, LaTeX, CSV, the page and the terminal are written alike.

People read a cell's `shown` text, with `under` in small print below it; programs read `values`, each a column of the
CSV file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from affetto.reporting.render.text import signed_text

MISSING = "—"
"""In place of a result that is not there; `–` (text.DASH) is for what cannot be."""
Value = float | int | str | bool | None


@dataclass(frozen=True)
class Column:
    """`name` heads it; numbers stand at the right."""

    name: str
    number: bool = True


@dataclass(frozen=True)
class Cell:
    """One cell. `key` is what it is sorted by; `values` are its columns in the CSV file, by what is added to the
    column's name, with "" for the cell itself."""

    shown: str
    key: Value = None
    under: str = ""
    values: tuple[tuple[str, Value], ...] = ()
    strong: bool = False

    @property
    def missing(self) -> bool:
        return self.shown.startswith(MISSING)


@dataclass(frozen=True)
class Sheet:
    """One table. `name` is the stem of its files; `breaks` are the rows before which a rule is drawn."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    notes: tuple[str, ...] = ()
    stamp: str = ""
    """Said on the table itself: that the speech is synthetic."""
    breaks: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        for row in self.rows:
            assert len(row) == len(self.columns), f"{self.name}: a row of {len(row)} cells"

    def suffixes(self, index: int) -> tuple[str, ...]:
        """What the cells of a column have for programs, each once, in the order of their first appearance."""
        found: dict[str, None] = {}
        for row in self.rows:
            for suffix, _ in row[index].values or (("", row[index].key),):
                found.setdefault(suffix)
        return tuple(found) or ("",)


def text_cell(text: object, *, strong: bool = False) -> Cell:
    """A cell of words; nothing is shown as missing."""
    shown = MISSING if text is None or text == "" else str(text)
    return Cell(shown, None if shown == MISSING else shown, strong=strong)


def count_cell(value: int | None) -> Cell:
    """A count: `1,234`."""
    return Cell(MISSING if value is None else f"{value:,}", value)


def percent_cell(value: float | None, digits: int = 1, *, strong: bool = False) -> Cell:
    """A fraction, shown ×100; programs read it ×100 too, unrounded."""
    if value is None:
        return Cell(MISSING)
    return Cell(f"{100 * value:.{digits}f}", 100 * value, strong=strong)


def difference_cell(value: float | None, digits: int = 1) -> Cell:
    """A difference of fractions, shown ×100 with its sign (a true minus)."""
    if value is None:
        return Cell(MISSING)
    return Cell(signed_text(100 * value, digits), 100 * value)


def columns(*names: str, left: Sequence[str] = ()) -> tuple[Column, ...]:
    """Columns of numbers, but for those in `left`."""
    return tuple(Column(name, name not in left) for name in names)
