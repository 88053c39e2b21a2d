"""A table as the page shows it: what all its rows share stands in its caption, and what matters most comes first.

Columns that belong to another, such as an interval to its difference, stand in small print below it.

The files of the table keep all columns in their own order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from affetto.reporting.render.sheet import Cell, Sheet
from affetto.reporting.render.text import DASH

SEPARATOR = ", "
"""Stands between the parts of a list in a cell."""


@dataclass(frozen=True, kw_only=True)
class PageTable:
    """A sheet with the columns of the page."""

    sheet: Sheet
    shared: str
    """Cells that all rows share, for the caption; empty for none."""


def page_table(sheet: Sheet) -> PageTable:
    """The table with shared columns and parts of lists moved to the caption, its leading columns after the names."""
    shared = {index: sheet.rows[0][index].text for index in range(1, len(sheet.columns)) if _is_shared(sheet, index)}
    parts = {index: common for index in range(1, len(sheet.columns)) if (common := _shared_parts(sheet, index))}
    parts = {index: common for index, common in parts.items() if index not in shared}
    order = [index for index in _order(sheet) if index not in shared]
    texts = shared | {index: SEPARATOR.join(common) for index, common in parts.items()}
    words = "; ".join(f"{sheet.columns[index].name}: {texts[index]}" for index in sorted(texts))
    reordered = replace(
        sheet,
        columns=tuple(sheet.columns[index] for index in order),
        rows=tuple(tuple(_without(row[index], parts.get(index, [])) for index in order) for row in sheet.rows),
    )
    return PageTable(sheet=_stacked(reordered), shared=words)


def _stacked(sheet: Sheet) -> Sheet:
    """The table with the columns of `sheet.below` under those that they belong to."""
    names = [column.name for column in sheet.columns]
    below = {names.index(upper): names.index(lower) for upper, lower in sheet.below if {upper, lower} <= set(names)}
    if not below:
        return sheet
    indices = [index for index in range(len(names)) if index not in below.values()]
    titles = {upper: f"{names[upper]} / {names[lower]}" for upper, lower in below.items()}
    columns = tuple(replace(sheet.columns[index], name=titles.get(index, names[index])) for index in indices)
    return replace(
        sheet,
        columns=columns,
        rows=tuple(
            tuple(_with_below(row[index], row[below[index]]) if index in below else row[index] for index in indices)
            for row in sheet.rows
        ),
    )


def _with_below(cell: Cell, lower: Cell) -> Cell:
    return replace(cell, under="\n".join(filter(None, (lower.text, lower.under, cell.under))))


def _is_shared(sheet: Sheet, index: int) -> bool:
    """True for a column of words that are the same in all of several rows."""
    column = sheet.columns[index]
    cells = [row[index] for row in sheet.rows]
    if column.is_number or column.name in sheet.leading or len(cells) < 2:
        return False
    return not cells[0].is_missing and len({(cell.text, cell.under, cell.is_bold) for cell in cells}) == 1


def _shared_parts(sheet: Sheet, index: int) -> list[str]:
    """Parts that the lists of all rows share, in the order of the first row; [] for a column of other words."""
    if sheet.columns[index].name not in sheet.lists or len(sheet.rows) < 2:
        return []
    lists = [row[index].text.split(SEPARATOR) for row in sheet.rows]
    return [part for part in lists[0] if all(part in parts for parts in lists)]


def _without(cell: Cell, shared: Sequence[str]) -> Cell:
    """The cell without parts that stand in the caption."""
    if not shared:
        return cell
    parts = [part for part in cell.text.split(SEPARATOR) if part not in shared]
    return replace(cell, text=SEPARATOR.join(parts) or DASH)


def _order(sheet: Sheet) -> list[int]:
    """Numbers of the columns: words up to the first other column, then the leading columns, then the rest."""
    names = [column.name for column in sheet.columns]
    leading = [names.index(name) for name in sheet.leading]
    if not leading:
        return list(range(len(names)))
    start = next((index for index, column in enumerate(sheet.columns) if column.is_number), len(names))
    head = [index for index in range(start) if index not in leading]
    return head + leading + [index for index in range(start, len(names)) if index not in leading]
