"""A sheet on the terminal, drawn by rich."""

from __future__ import annotations

import textwrap
from typing import IO, TYPE_CHECKING

from affetto.reporting.render.sheet import Sheet

if TYPE_CHECKING:
    from rich.table import Table

LEAST_NAME = 12
"""Characters of a line of the first column: where a table is wider, other columns lose their ends before it."""
RULES = 3
"""Characters between two columns."""


def print_sheet(sheet: Sheet, file: IO[str] | None = None, width: int | None = None) -> None:
    """Print a sheet to `file` (None: standard output), `width` characters wide (None: as wide as the terminal)."""
    from rich.console import Console

    console = Console(file=file, width=width)
    console.print(rich_table(sheet, console.width))


def rich_table(sheet: Sheet, width: int) -> Table:
    """A sheet as a rich table: its stamp above, its caption below; only cells of the first column are broken."""
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(sheet.stamp.upper(), style="bold reverse") if sheet.stamp else None,
        title_justify="left",
        caption=Text(sheet.caption) if sheet.caption else None,
        caption_justify="left",
    )
    for column in sheet.columns:
        table.add_column(
            Text(column.name), justify="right" if column.is_number else "left", no_wrap=True, overflow="ellipsis"
        )
    room = max(LEAST_NAME, width - sum(longest + RULES for longest in _longest(sheet)[1:]) - RULES - 1)
    for row in sheet.rows:
        # Text, not str: a name such as "lora[r=8]" is no markup.
        name = textwrap.fill(row[0].text, room, break_on_hyphens=False)
        table.add_row(Text(name), *(Text(cell.text) for cell in row[1:]))
    return table


def _longest(sheet: Sheet) -> list[int]:
    """Characters of the longest text of each column."""
    texts = ([column.name, *(row[n].text for row in sheet.rows)] for n, column in enumerate(sheet.columns))
    return [max(map(len, column)) for column in texts]
