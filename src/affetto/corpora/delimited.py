"""Delimited text: CSV and TSV opened by one rule, and rows of any listing as a table.

The delimiter is a comma, a semicolon or a tab, whichever the first line has most of; the encoding is UTF-8 with or
without a byte order mark.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from affetto.corpora.names import abbreviated
from affetto.errors import UserError

SUFFIXES = (".csv", ".tsv", ".txt")
DELIMITERS = ",;\t"
LONGEST_HEADER = 1 << 20
"""Most characters of a first line; a longer one belongs to no table."""


@dataclass(frozen=True)
class Table:
    """A header and its rows, each with the line that it ends on (0 where there are no lines)."""

    name: str
    header: list[str]
    rows: Iterator[tuple[int, list[str]]]

    def where(self, line: int) -> str:
        """Name of a line in error messages."""
        return f"{self.name} line {line}" if line else self.name

    def column(self, names: Sequence[str]) -> int | None:
        """Index of the first of these columns that the header has, in any capitals; None where it has none."""
        folded = [name.casefold() for name in self.header]
        return next((folded.index(name) for name in names if name in folded), None)


def open_table(path: Path, *, such_as: str = "file,emotion,speaker") -> Table:
    """Open a CSV or TSV: its header, and its rows as they are read.

    Raises UserError, at once or while rows are read, for a file that is no such text; `such_as` is the header that the
    error advises.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline(LONGEST_HEADER)
    except OSError as problem:
        raise UserError(f"{path}: the table cannot be read ({problem.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise _not_utf8(path, 1) from None
    if not first.strip():
        raise UserError(f"{path}: an empty table; its first line must name the columns, such as {such_as}")
    rows = _rows(path, max(DELIMITERS, key=first.count))
    return Table(path.name, [column.strip() for column in next(rows)[1]], rows)


def named_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a table of a published corpus, each with its line: the stripped cells by the named columns.

    Raises UserError where a column is missing.
    """
    table = open_table(path, such_as=",".join(columns))
    missing = [column or "(unnamed)" for column in columns if column not in table.header]
    if missing:
        raise UserError(
            f"{path} has no column {', '.join(missing)}; found: {abbreviated(table.header)}; "
            f"expected: {', '.join(columns)}. Get the file again from its source"
        )
    indices = {column: table.header.index(column) for column in columns}
    for line, row in table.rows:
        yield line, {column: row[index].strip() for column, index in indices.items()}


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The header and the rows, each with its line and as many cells as the header has."""
    line = 0
    header: list[str] = []
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(_text_lines(path, file), delimiter=delimiter)
        try:
            for row in reader:
                line = reader.line_num
                header = header or row
                if len(row) == len(header):
                    yield line, row
                elif row:
                    raise UserError(
                        f"{path.name} line {line} has {len(row)} columns where the header has {len(header)} "
                        f"({abbreviated(header)}); cells that hold the delimiter must be quoted, and quotes closed"
                    )
        except UnicodeDecodeError:
            raise _not_utf8(path, line + 1) from None
        except csv.Error as problem:
            raise UserError(f"{path.name} line {line + 1} cannot be read ({problem}); is a quote open there?") from None


def _text_lines(path: Path, lines: Iterable[str]) -> Iterator[str]:
    """The lines as they are; a UserError at one that holds zero bytes."""
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise UserError(f"{path.name} line {number} holds zero bytes: no text; save the table as CSV in UTF-8")
        yield line


def _not_utf8(path: Path, line: int) -> UserError:
    return UserError(f"{path.name} is not UTF-8 text (line {line} or just after); save the table as CSV in UTF-8")
