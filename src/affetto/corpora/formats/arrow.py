"""Parquet and Arrow files as rows, a batch at a time. They take pyarrow: `pip install 'affetto[datasets]'`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from affetto.corpora.delimited import Table
from affetto.errors import UserError

BATCH_ROWS = 64
"""Rows that are in memory at a time: rows may hold audio."""


def pyarrow() -> Any:
    """The library pyarrow; UserError where it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError("Parquet and Arrow files take pyarrow: pip install 'affetto[datasets]'") from None
    return pyarrow


def open_batches(path: Path) -> tuple[Any, Iterator[Any]]:
    """The schema of a Parquet or Arrow file, and its record batches as they are read. Raises UserError."""
    arrow = pyarrow()
    try:
        if path.suffix.casefold() == ".parquet":
            file = arrow.parquet.ParquetFile(path)
            return file.schema_arrow, _read(path, lambda: file.iter_batches(batch_size=BATCH_ROWS))
        source = arrow.memory_map(str(path))
        try:
            reader = arrow.ipc.open_stream(source)
        except arrow.ArrowInvalid:
            file = arrow.ipc.open_file(source)
            return file.schema, _read(path, lambda: map(file.get_batch, range(file.num_record_batches)))
        return reader.schema, _read(path, lambda: iter(reader))
    except (OSError, arrow.ArrowException) as problem:
        raise _unreadable(path, problem) from None


def _read(path: Path, batches: Any) -> Iterator[Any]:
    arrow = pyarrow()
    try:
        for batch in batches():
            for first in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(first, BATCH_ROWS)
    except (OSError, arrow.ArrowException) as problem:
        raise _unreadable(path, problem) from None


def _unreadable(path: Path, problem: Exception) -> UserError:
    return UserError(f"{path} cannot be read as Parquet or Arrow ({problem}); copy or make it again")


def parquet_table(path: Path) -> Table:
    """A Parquet file as a table of texts; durations in seconds, missing values empty."""
    schema, batches = open_batches(path)

    def rows() -> Iterator[tuple[int, list[str]]]:
        for batch in batches:
            for values in zip(*(as_values(column) for column in batch.columns), strict=True):
                yield 0, [as_text(value) for value in values]

    return Table(path.name, list(schema.names), rows())


def as_values(column: Any) -> list[Any]:
    """The values of a column; durations as seconds, codes of a dictionary as what they stand for."""
    arrow = pyarrow()
    if arrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if arrow.types.is_duration(column.type):
        nanoseconds = column.cast(arrow.duration("ns")).cast(arrow.int64()).to_pylist()
        return [None if value is None else value / 1e9 for value in nanoseconds]
    values: list[Any] = column.to_pylist()
    return values


def as_text(value: Any) -> str:
    """A value as a cell of a table."""
    if value is None or value != value:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
