"""A sheet on the terminal, drawn by rich."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from affetto.reporting.render.sheet import Sheet

if TYPE_CHECKING:
    from rich.table import Table


def print_sheet(sheet: Sheet, file: IO[str] | None = None, width: int | None = None) -> None:
    """Print a sheet to `file` (None: standard output), `width` characters wide (None: as wide as the terminal)."""
    from rich.console import Console

    Console(file=file, width=width).print(rich_table(sheet))


def rich_table(sheet: Sheet) -> Table:
    """A sheet as a rich table: its stamp above, its caption below; only cells of the first column may be broken."""
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(sheet.stamp.upper(), style="bold reverse") if sheet.stamp else None,
        title_justify="left",
        caption=Text(sheet.caption) if sheet.caption else None,
        caption_justify="left",
    )
    for number, column in enumerate(sheet.columns):
        table.add_column(
            Text(column.name),
            justify="right" if column.is_number else "left",
            no_wrap=number > 0,
            overflow="ellipsis" if number > 0 else "fold",
        )
    for row in sheet.rows:
        # Text, not str: a name such as "lora[r=8]" is no markup.
        table.add_row(*(Text(cell.text) for cell in row))
    return table
