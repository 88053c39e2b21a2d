"""Writing of labels as they come: CSV, JSON and JSON Lines, to a stream or to a file that a later call resumes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from affetto.errors import UserError, unknown
from affetto.files import replacing
from affetto.inference.batch.columns import Columns

Row = dict[str, Any]
"""`file`; for a section `start` and `end`; the fields of `decision.answer_fields`, or `error`; `protocol` where it is
not the model's own (`Predictor.protocol`)."""
Key = tuple[str, float | None, float | None]
FORMATS = ("json", "jsonl", "csv")
TIMELINE_FORMATS = ("json", "csv", "vtt")
GOES_ON = ("jsonl", "csv")
"""Formats whose files a killed call leaves whole up to its last line."""
NAMES = "surrogateescape"
"""Error handler for file names that are no UTF-8: they are read and written byte for byte."""
HEADER, CUT_OFF, NOT_OURS = "header", "cut off", "not ours"
"""Kinds of lines that are no row; the last line that a killed call wrote may be cut off."""


def row_key(row: Row) -> Key:
    return (row["file"], row.get("start"), row.get("end"))


class Writer:
    """Writes rows to `stream` in a format of FORMATS; `close` ends it. `columns` are those of the model's target.

    `sections`: a CSV has `start` and `end`; `protocol`: and `protocol`, last. A row that has an `error` has no
    answer.
    """

    def __init__(
        self,
        stream: IO[str],
        kind: str,
        columns: Columns,
        *,
        sections: bool,
        protocol: bool = False,
        begun: bool = False,
    ) -> None:
        if kind not in FORMATS:
            raise unknown("format", kind, FORMATS)
        self.stream, self.kind, self.columns, self.rows = stream, kind, columns, 0
        self.sections, self.protocol = sections, protocol
        self._csv = csv.writer(stream, lineterminator="\n")
        if kind == "csv" and not begun:
            self._csv.writerow(header(columns, sections, protocol))
        if kind == "json":
            stream.write("[")

    def write(self, row: Row) -> None:
        if self.kind == "csv":
            section = [row.get("start"), row.get("end")] if self.sections else []
            last = [row.get("protocol", "")] if self.protocol else []
            self._csv.writerow([row["file"], *section, *self.columns.cells(row), row.get("error", ""), *last])
        elif self.kind == "jsonl":
            self.stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        else:
            text = json.dumps(row, indent=2, ensure_ascii=False).replace("\n", "\n  ")
            self.stream.write(("," if self.rows else "") + "\n  " + text)
        self.rows += 1
        self.stream.flush()

    def close(self) -> None:
        if self.kind == "json":
            self.stream.write("\n]\n" if self.rows else "]\n")
        self.stream.flush()


def header(columns: Columns, sections: bool, protocol: bool = False) -> list[str]:
    section = ["start", "end"] if sections else []
    return ["file", *section, *columns.header, "error", *(["protocol"] if protocol else [])]


def has_rows(file: Path, kind: str) -> bool:
    """True if a file has lines behind its header, if only a part of one. Raises UserError where it cannot be read."""
    if not file.exists():
        return False
    try:
        with file.open("rb") as lines:
            return sum(1 for _ in zip(lines, range(2), strict=False)) > (kind == "csv")
    except OSError as problem:
        raise _unreadable(file, problem) from None


def resume(file: Path, kind: str, columns: Columns, *, sections: bool, protocol: str | None = None) -> dict[Key, bool]:
    """Read the rows of an earlier call in `file`: {recording: True if it was usable}; removes a half last line.

    `protocol`: that of the rows of this call. Raises UserError for a file that this call would not have written.
    """
    if kind not in GOES_ON:
        raise UserError(f"--resume works with {' and '.join(GOES_ON)}, not with {kind}; choose one of them")
    if not file.exists():
        return {}
    expected = header(columns, sections, protocol is not None)
    done: dict[Key, bool] = {}
    try:
        with replacing(file) as temporary, temporary.open("w", encoding="utf-8", errors=NAMES, newline="") as out:
            writer = Writer(out, kind, columns, sections=sections, protocol=protocol is not None)
            for row in _read(file, kind, expected, columns):
                if row.get("protocol") != protocol:
                    before, after = row.get("protocol", "of the model as it is"), protocol or "not"
                    raise UserError(f"{file}: its rows are {before}, new ones are {after}; give another --out")
                writer.write(row)
                done[row_key(row)] = "error" not in row
    except OSError as problem:
        raise _unreadable(file, problem) from None
    return done


def _unreadable(file: Path, problem: OSError) -> UserError:
    return UserError(f"{file}: cannot be resumed ({problem.strerror}); give another --out")


def _read(file: Path, kind: str, expected: list[str], columns: Columns) -> Iterator[Row]:
    """Read the complete rows of a file. Only the last line may be cut off."""
    with file.open(encoding="utf-8", errors=NAMES, newline="") as lines:
        rows = _json_rows(lines, columns) if kind == "jsonl" else _csv_rows(lines, expected, columns)
        broken: int | None = None
        for number, row in enumerate(rows, 1):
            if broken is None and row is HEADER:
                continue
            if broken is None and isinstance(row, dict):
                yield row
                continue
            broken = broken or number
            if row is not CUT_OFF or number > broken:
                raise UserError(f"{file} line {broken}: not a line of {kind} with {columns.title}; give another --out")


def _json_rows(lines: Iterator[str] | IO[str], columns: Columns) -> Iterator[Row | str]:
    for line in lines:
        if not line.endswith("\n"):
            yield CUT_OFF
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        ours = isinstance(row, dict) and isinstance(row.get("file"), str)
        yield row if ours and ("error" in row or columns.fit(row)) else NOT_OURS


def _csv_rows(lines: Iterator[str] | IO[str], expected: list[str], columns: Columns) -> Iterator[Row | str]:
    ended = True

    def watch_ends() -> Iterator[str]:
        nonlocal ended
        for line in lines:
            ended = line.endswith("\n")
            yield line

    reader = csv.reader(watch_ends())
    first = next(reader, None)
    if first is None:
        return
    if first != expected:
        if expected[-1] == "protocol" and first == expected[:-1]:
            yield from ({"file": row[0]} for row in reader if len(row) == len(first))
        elif first == [*expected, "protocol"]:
            yield from ({"file": row[0], "protocol": row[-1]} for row in reader if len(row) == len(first))
        else:
            yield CUT_OFF if not ended and ",".join(expected).startswith(",".join(first)) else NOT_OURS
        return
    yield HEADER
    for values in reader:
        if len(values) != len(expected) or not ended:
            yield CUT_OFF  # perhaps within a cell that has lines of its own
            continue
        try:
            yield _csv_row(dict(zip(expected, values, strict=True)), columns)
        except ValueError:  # no number where one should be
            yield NOT_OURS


def _csv_row(cells: dict[str, str], columns: Columns) -> Row:
    row: Row = {"file": cells["file"]}
    row |= {name: float(cells[name]) if cells[name] else None for name in ("start", "end") if name in cells}
    row |= {"protocol": cells["protocol"]} if "protocol" in cells else {}
    if cells["error"]:
        return row | {"error": cells["error"]}
    return row | columns.parsed(cells)
