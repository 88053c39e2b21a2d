"""Recordings to be labelled: files, folders, patterns, tables, a list on standard input."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from affetto.corpora.delimited import open_table
from affetto.corpora.folders import AUDIO_SUFFIXES, audio_below, listed_file
from affetto.corpora.formats import cells
from affetto.errors import UserError

if TYPE_CHECKING:
    from affetto.models.prefix import Source

STANDARD_INPUT = "-"
TABLE_SUFFIXES = (".csv", ".tsv")


@dataclass(frozen=True)
class Input:
    """A recording, or a section of it; `name` is its name on the command line and in the output."""

    name: str
    start: float | None = None
    end: float | None = None
    file: Path | None = None
    """Path of the file, if it is not `name`."""

    @property
    def source(self) -> Source:
        from affetto.models.prefix import Source

        return Source(self.path, self.start, self.end)

    @property
    def path(self) -> Path:
        return self.file or Path(self.name)


def recordings(arguments: Iterable[str], standard_input: Iterable[str] = ()) -> Iterator[Input]:
    """List the recordings of the arguments, in their order; those of a folder or a pattern are sorted.

    A folder stands for all recordings in and below it, links followed, without hidden ones; a CSV or TSV for its rows
    (`file`, perhaps `start` and `end`, in seconds; relative to the table); `-` for the lines of `standard_input`, each
    a file, taken as they come. A name that is no file is let through: its row will have the error. Raises
    UserError for a folder or a pattern without a recording, and for a table without a column of files.
    """
    for name in arguments:
        if name == STANDARD_INPUT:
            lines = (line.rstrip("\r\n") for line in standard_input)
            yield from (Input(line) for line in lines if line)
        elif os.path.isdir(name):
            yield from _require_any(
                audio_below(name), f"{name}: no recordings in it ({', '.join(sorted(AUDIO_SUFFIXES))})"
            )
        elif name.casefold().endswith(TABLE_SUFFIXES):
            yield from _rows(Path(name))
        elif not os.path.lexists(name) and glob.has_magic(name):
            hits = (path for path in sorted(glob.glob(name, recursive=True)) if os.path.isfile(path))
            yield from _require_any(
                hits, f"{name}: no file fits this pattern; check it, and quote it against the shell"
            )
        else:
            yield Input(name)


def has_sections(arguments: Iterable[str]) -> bool:
    """True if some arguments may be sections of recordings."""
    return any(name.casefold().endswith(TABLE_SUFFIXES) and not os.path.isdir(name) for name in arguments)


def _require_any(paths: Iterable[str], message: str) -> Iterator[Input]:
    none = True
    for path in paths:
        none = False
        yield Input(path)
    if none:
        raise UserError(message)


def _rows(path: Path) -> Iterator[Input]:
    if not path.is_file():
        raise UserError(f"no such table: {path}; check the path")
    table = open_table(path, such_as="file")
    file_at, start_at, end_at = (table.column(cells.COLUMNS[column]) for column in ("file", "start", "end"))
    if file_at is None:
        names = ", ".join(cells.COLUMNS["file"])
        raise UserError(f"{path}: no column of files ({names}); its header is {', '.join(table.header)}")
    for line, row in table.rows:
        where = table.where(line)
        file = row[file_at].strip()
        if not file:
            raise UserError(f"{where} names no file; fill it in, or leave the line out")
        start, end = cells.section(row, start_at, end_at, where)
        yield Input(file, start, end, file=path.parent / listed_file(path.parent, file))
