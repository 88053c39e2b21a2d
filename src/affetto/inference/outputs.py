"""Labels written as they come: CSV, JSON and JSON Lines, to a stream or to a file that a later call goes on with."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from affetto.errors import UserError, unknown

Row = dict[str, Any]
"""`file`; for a section `start` and `end`; `emotion` and `probabilities`, or `error`; `protocol` where it is not the
model's own (`Predictor.protocol`)."""
Key = tuple[str, float | None, float | None]
FORMATS = ("json", "jsonl", "csv")
TIMELINE_FORMATS = ("json", "csv", "vtt")
GOES_ON = ("jsonl", "csv")
"""Formats whose files a killed call leaves whole up to its last line."""


def row_key(row: Row) -> Key:
    return (row["file"], row.get("start"), row.get("end"))


class Writer:
    """Writes rows to `stream` in a format of FORMATS; `close` ends it. `labels` are the columns of a CSV.

    `sections`: a CSV has `start` and `end`; `protocol`: and `protocol`, last. A row that has an `error` has neither
    emotion nor probabilities.
    """

    def __init__(
        self, stream: IO[str], kind: str, labels: Sequence[str], *, sections: bool, protocol: bool = False,
        begun: bool = False,
    ) -> None:  # fmt: skip
        if kind not in FORMATS:
            raise unknown("format", kind, FORMATS)
        self.stream, self.kind, self.labels, self.rows = stream, kind, tuple(labels), 0
        self.sections, self.protocol = sections, protocol
        self._csv = csv.writer(stream, lineterminator="\n")
        if kind == "csv" and not begun:
            self._csv.writerow(header(self.labels, sections, protocol))
        if kind == "json":
            stream.write("[")

    def write(self, row: Row) -> None:
        if self.kind == "csv":
            section = [row.get("start"), row.get("end")] if self.sections else []
            probabilities = row.get("probabilities") or {}
            shown = [f"{probabilities[label]:.6f}" if label in probabilities else "" for label in self.labels]
            last = [row.get("protocol", "")] if self.protocol else []
            self._csv.writerow([row["file"], *section, row.get("emotion") or "", *shown, row.get("error", ""), *last])
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


def header(labels: Sequence[str], sections: bool, protocol: bool = False) -> list[str]:
    section = ["start", "end"] if sections else []
    return ["file", *section, "emotion", *labels, "error", *(["protocol"] if protocol else [])]


def resume(file: Path, kind: str, labels: Sequence[str], *, sections: bool) -> dict[Key, bool]:
    """What an earlier call has written to `file`: {recording: whether it could be used}; a half last line goes.

    Raises UserError for a file that this call would not have written.
    """
    if kind not in GOES_ON:
        raise UserError(f"--resume goes on with {' and '.join(GOES_ON)}, not with {kind}; choose one of them")
    if not file.exists():
        return {}
    expected = header(labels, sections)
    done: dict[Key, bool] = {}
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as out:
            writer = Writer(out, kind, labels, sections=sections)
            for row in _read(file, kind, expected):
                if "protocol" in row:
                    raise UserError(f"{file}: its rows are {row['protocol']}, new ones are not; give another --out")
                writer.write(row)
                done[row_key(row)] = "error" not in row
        os.replace(temporary, file)
    except OSError as problem:
        raise UserError(f"{file}: cannot be gone on with ({problem.strerror}); give another --out") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return done


def _read(file: Path, kind: str, expected: list[str]) -> Iterator[Row]:
    """The whole rows of a file. The last line may be cut off anywhere, others may not."""
    with file.open(encoding="utf-8", errors="replace", newline="") as lines:
        rows = _json_rows(lines) if kind == "jsonl" else _csv_rows(lines, expected)
        before: Any = None
        for number, row in enumerate(rows, 1):
            if number > 1:
                if before is None:
                    raise UserError(
                        f"{file} line {number - 1}: not a line of {kind} with these labels; give another --out"
                    )
                yield before
            before = row
        if before is not None:
            yield before


def _json_rows(lines: Iterator[str] | IO[str]) -> Iterator[Row | None]:
    for line in lines:
        try:
            row = json.loads(line) if line.endswith("\n") else None
        except ValueError:
            row = None
        yield row if isinstance(row, dict) and isinstance(row.get("file"), str) else None


def _csv_rows(lines: Iterator[str] | IO[str], expected: list[str]) -> Iterator[Row | None]:
    ended = True

    def watched() -> Iterator[str]:
        nonlocal ended
        for line in lines:
            ended = line.endswith("\n")
            yield line

    reader = csv.reader(watched())
    first = next(reader, None)
    if first is None:
        return
    if first != expected:
        if first == [*expected, "protocol"]:
            yield from ({"file": row[0], "protocol": row[-1]} for row in reader if len(row) == len(first))
            return
        # A header that was cut off: there is nothing behind it.
        yield None
        yield from (None for _ in reader)
        return
    for values in reader:
        if len(values) != len(expected) or not ended:
            yield None
            continue
        cells = dict(zip(expected, values, strict=True))
        row: Row = {"file": cells["file"]}
        row |= {name: float(cells[name]) if cells[name] else None for name in ("start", "end") if name in cells}
        if cells["error"]:
            yield row | {"error": cells["error"]}
        else:
            labels = expected[expected.index("emotion") + 1 : -1]
            yield row | {
                "emotion": cells["emotion"] or None, "probabilities": {label: float(cells[label]) for label in labels}
            }  # fmt: skip
