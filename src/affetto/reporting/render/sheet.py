"""A table as a record, from which Markdown, LaTeX, CSV, the page and the terminal are written.

People read the `text` of a cell, with `under` in small print below it; programs read its `values`, each a column of
the CSV file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from affetto.reporting.render.text import signed_text

MISSING = "—"
"""Stands for a result that is missing; a shorter dash (`text.DASH`) for a value that cannot be."""
Value = float | int | str | bool | None


@dataclass(frozen=True)
class Column:
    """Column of a table; numbers stand at the right."""

    name: str
    is_number: bool = True


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    key: Value = None
    """Value by which the column is sorted."""
    _: KW_ONLY
    under: str = ""
    """Lines below the text."""
    values: tuple[tuple[str, Value], ...] = ()
    """Values in the CSV file, by the suffix of their column's name ("": the name alone); by default the key."""
    is_bold: bool = False
    recording: str = ""
    """Path of a recording that the page can play, with its section as a media fragment; empty for none."""

    @property
    def is_missing(self) -> bool:
        return self.text.startswith(MISSING)


@dataclass(frozen=True, kw_only=True)
class Slim:
    """Form of a table for an article: the texts of the cells alone, with the paper's values in rows of their own."""

    caption: str
    """Sentences behind the title, as short as an article needs them."""
    without: tuple[str, ...] = ()
    """Names of the columns that are left to the whole table."""
    has_notes: bool = False
    """True if marks in the cells need the footnotes."""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """One table."""

    name: str
    """Stem of its files."""
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    notes: tuple[str, ...] = ()
    stamp: str = ""
    """Stamp on the table itself: its speech is synthetic."""
    breaks: frozenset[int] = frozenset()
    """Numbers of the rows before which a rule is drawn."""
    leading: tuple[str, ...] = ()
    """Names of the columns that the page shows directly after the words of a row; files keep their order."""
    below: tuple[tuple[str, str], ...] = ()
    """Pairs of names of columns: the page shows the second in small print below the first; files keep both."""
    lists: tuple[str, ...] = ()
    """Names of the columns whose cells are lists of parts, with commas between them."""
    is_sortable: bool = True
    """False if the page offers no other order of the rows."""

    slim: Slim | None = None
    """Form for an article; None for a table that is no main one."""

    def __post_init__(self) -> None:
        for row in self.rows:
            assert len(row) == len(self.columns), f"{self.name}: a row of {len(row)} cells"

    def suffixes(self, index: int) -> tuple[str, ...]:
        """Suffixes of a column's names in the CSV file, in the order of their first appearance."""
        suffixes = (suffix for row in self.rows for suffix, _ in row[index].values or (("", None),))
        return tuple(dict.fromkeys(suffixes)) or ("",)


def text_cell(text: object, *, is_bold: bool = False) -> Cell:
    """A cell of words; None and the empty text are missing."""
    if text is None or text == "":
        return Cell(MISSING)
    return Cell(str(text), str(text), is_bold=is_bold)


def count_cell(value: int | None) -> Cell:
    """A count: `1,234`."""
    return Cell(MISSING if value is None else f"{value:,}", value)


def percent_cell(value: float | None, digits: int = 1, *, is_bold: bool = False) -> Cell:
    """A fraction ×100; programs read it ×100 too, unrounded."""
    if value is None:
        return Cell(MISSING)
    return Cell(f"{100 * value:.{digits}f}", 100 * value, is_bold=is_bold)


def difference_cell(value: float | None, digits: int = 1) -> Cell:
    """A difference of fractions, ×100, with its sign."""
    if value is None:
        return Cell(MISSING)
    return Cell(signed_text(100 * value, digits), 100 * value)


def columns(*names: str, texts: Sequence[str] = ()) -> tuple[Column, ...]:
    """Columns of numbers, but for those in `texts`, which are columns of words."""
    return tuple(Column(name, is_number=name not in texts) for name in names)
