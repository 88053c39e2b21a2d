"""Columns of a table as values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from affetto.corpora.delimited import Table

_V = TypeVar("_V")


class CellColumn(Generic[_V]):
    """A column as values; a distinct cell is converted once. Without the column, every row has `default`."""

    def __init__(
        self, table: Table, column: int | None, convert: Callable[[str, str], _V | None], default: _V | None = None
    ) -> None:
        self._table, self._column, self._convert, self._default = table, column, convert, default
        self._values: dict[str, _V | None] = {}

    def __call__(self, row: list[str], line: int) -> _V | None:
        if self._column is None:
            return self._default
        raw = row[self._column]
        if raw not in self._values:
            self._values[raw] = self._convert(raw.strip(), self._table.where(line))
        return self._values[raw]
