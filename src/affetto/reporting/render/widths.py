"""Widths of text in LaTeX's standard fonts, and of a table's columns within a line: estimated, without LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from affetto.reporting.render.sheet import Cell, Sheet

BOLD = 1.15
"""Width of bold text over that of upright text."""
SHORT_WORDS = 8.0
"""Width in em to which a column of words may always grow before it is broken into lines."""
_GROUPS = {
    "il'": 0.28,
    ".,:;!|": 0.28,
    " jIf": 0.34,
    "trs()[]-": 0.4,
    "_": 0.4,
    "†": 0.45,
    "mw": 0.83,
    "MW": 1.03,
    "%&+−±×=<>≥≤≈→Δ√": 0.84,
    "—…": 1.0,
}
_WIDTHS = {character: width for characters, width in _GROUPS.items() for character in characters}
_BREAKS = re.compile(r"(?<=[ _/.,-])")


@dataclass(frozen=True)
class Size:
    """Size of print: LaTeX's command, the em of the font in points, and the command of the smaller print in it."""

    command: str
    em: float
    smaller: str


SIZES = {
    size.command: size
    for size in (
        Size("small", 9.25, "scriptsize"),
        Size("footnotesize", 8.5, "scriptsize"),
        Size("scriptsize", 8.0, "tiny"),
        Size("tiny", 6.8, "tiny"),
    )
}
"""Sizes of a document of 10 points; the em grows relative to the letters as the print gets smaller."""


@dataclass(frozen=True)
class Need:
    """Width of a column in points: without any break, and at least."""

    natural: float
    least: float


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Sizes with which a table fits a line."""

    size: Size
    line: float
    """Width of the line in points."""
    needs: Sequence[Need]
    widths: Sequence[float | None]
    """Width in points of each column that is broken into lines; None for one of its natural width."""


def em_width(text: str) -> float:
    """Width of text in em of Computer Modern.

    >>> round(em_width("53.4 ± 2.1"), 2)
    4.73
    """
    return sum(_WIDTHS.get(character) or _usual(character) for character in text)


def needs(sheet: Sheet, size: Size, *, is_full: bool) -> list[Need]:
    """Width that each column needs at a size; `is_full` counts the lines below the texts too.

    Words can be broken into lines, numbers cannot. A header is broken into lines of a word.
    """
    shares = SIZES[size.smaller].em / size.em
    result = []
    for index, column in enumerate(sheet.columns):
        head = max(em_width(word) for word in column.name.split() or [""])
        natural = least = head
        for row in sheet.rows:
            cell = row[index]
            texts = [(cell.text, BOLD if cell.is_bold else 1.0)]
            texts += [(line, shares) for line in cell.under.split("\n")] if is_full else []
            widest = max(scale * em_width(text) for text, scale in texts)
            pieces = [(piece, scale) for text, scale in texts[column.is_number :] for piece in _BREAKS.split(text)]
            longest = max((scale * em_width(piece.strip()) for piece, scale in pieces), default=0.0)
            number = texts[0][1] * em_width(cell.text) if column.is_number else min(widest, SHORT_WORDS)
            natural, least = max(natural, widest), max(least, longest, number)
        result.append(Need(size.em * natural, size.em * min(least, natural)))
    return result


def fit(columns: Sequence[Need], room: float) -> list[float | None] | None:
    """Widths of the columns that are broken into lines so that all of them fit into `room` points.

    None in the list is a column of its natural width; None in its place says that the columns cannot fit.
    """
    if sum(column.natural for column in columns) <= room:
        return [None] * len(columns)
    if sum(column.least for column in columns) > room:
        return None
    low, high = 0.0, max(column.natural for column in columns)
    for _ in range(40):
        cap = (low + high) / 2
        is_within = sum(max(column.least, min(column.natural, cap)) for column in columns) <= room
        low, high = (cap, high) if is_within else (low, cap)
    return [None if column.natural <= max(column.least, low) else max(column.least, low) for column in columns]


def choose_layout(sheet: Sheet, choices: Sequence[tuple[str, float]], gap: float, *, is_full: bool) -> Layout:
    """The first of (size, width of the line) that the table fits, with `gap` points at each side of a column.

    Where it fits none, the last one, its columns as narrow as they can be.
    """
    layout: Layout | None = None
    for name, line in choices:
        columns = needs(sheet, SIZES[name], is_full=is_full)
        widths = fit(columns, line - 2 * gap * (len(columns) - 1))
        if widths is not None:
            return Layout(size=SIZES[name], line=line, needs=columns, widths=widths)
        narrow = [need.least if need.least < need.natural else None for need in columns]
        layout = Layout(size=SIZES[name], line=line, needs=columns, widths=narrow)
    assert layout is not None
    return layout


def line_count(cell: Cell, width: float | None, size: Size) -> int:
    """Number of lines of a cell's text in a column of `width` points."""
    return 1 if width is None else max(1, ceil(1.1 * size.em * em_width(cell.text) / width))


def wrap(text: str, width: float) -> list[str]:
    """Lines of words, each at most `width` em wide where its words allow it."""
    lines: list[str] = []
    for word in text.split():
        if lines and em_width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]


def _usual(character: str) -> float:
    return 0.74 if character.isupper() else 0.53
