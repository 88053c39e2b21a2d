"""Rows to clips: the rules by which any listed row becomes one, whatever format it was listed in.

A collection may have a million rows, so the code that runs per row is lean: each distinct cell is converted once, and
equal cells are one object.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from affetto.corpora.delimited import Table
from affetto.corpora.folders import listed_file
from affetto.corpora.formats import cells
from affetto.corpora.labels import canonical
from affetto.corpora.manifest import Clip
from affetto.corpora.names import abbreviated
from affetto.errors import UserError

EXTRA = "extra:"
_V = TypeVar("_V")


@dataclass(frozen=True)
class Rules:
    """The rules by which rows of one corpus become clips."""

    root: Path
    corpus: str
    label_map: dict[str, str] | None = None
    speaker_pattern: str | None = None


@dataclass(frozen=True)
class Parsed:
    """The clips of one table, notes for people, and True if the table says that its audio is synthetic."""

    clips: list[Clip]
    notes: tuple[str, ...] = ()
    synthetic: bool = False


def parse(table: Table, rules: Rules, *, part: str | None = None, prefix: str = "") -> Parsed:
    """The clips of a table's rows. `part` is for rows that name none; `prefix` precedes relative files."""
    places, notes = cells.find_columns(table.name, table.header, with_speaker=not rules.speaker_pattern)
    to_clip = _row_reader(table, places, rules, part, prefix)
    synthetic_at = places.get("synthetic")
    clips: list[Clip] = []
    lines: dict[object, int] = {}
    dropped, synthetic = 0, False
    for line, row in table.rows:
        clip = to_clip(row, line)
        if clip is None:
            dropped += 1
            continue
        key = clip.file if clip.start is None and clip.end is None else (clip.file, clip.start or 0.0, clip.end)
        if key in lines:
            raise UserError(
                f"{table.where(line)} lists {clip.name} again (first: line {lines[key]}); each clip may be listed once"
            )
        lines[key] = line
        clips.append(clip)
        synthetic = synthetic or (synthetic_at is not None and row[synthetic_at].casefold() == "true")
    if not clips and not dropped:
        raise UserError(
            f"{table.name} lists no clips: below its header ({abbreviated(table.header)}) is nothing; "
            "add a line for each clip"
        )
    if dropped:
        notes = (*notes, f"{table.name}: {dropped} clips are left out by the label map")
    return Parsed(clips, notes, synthetic)


def check_files(root: Path, clips: Sequence[Clip], *, strict: bool, looked_at: int = 20) -> tuple[str, ...]:
    """Notes on files that are not there: by their backslashes, or none of the first; a UserError under `strict`."""
    windows = [clip.file for clip in clips if "\\" in clip.file and not os.path.exists(root / clip.file)]
    if windows and os.sep == "/":
        note = (
            f"{len(windows)} files listed are not there and are written with backslashes, as Windows does: "
            f"{windows[0]!r}; write paths from {root} on with slashes, as in f1/a.wav"
        )
        if strict:
            raise UserError(note)
        return (note,)
    first = [clip.file for clip in islice(clips, looked_at)]
    if not first or any(os.path.exists(root / file) for file in first):
        return ()
    listed = "the one file listed is not" if len(first) == 1 else f"none of the first {len(first)} files listed is"
    note = f"{listed} there ({root / first[0]}{', …' * (len(first) > 1)}); relative paths start in {root}"
    if strict:
        raise UserError(f"{note}. Move the table, or give --option audio_root=FOLDER")
    return (note,)


def _row_reader(
    table: Table, places: dict[str, int], rules: Rules, part: str | None, prefix: str
) -> Callable[[list[str], int], Clip | None]:
    emotion_of = _Cells(
        table, places["emotion"], lambda cell, where: canonical(cell, where=where, label_map=rules.label_map)
    )
    speaker_of = _speakers(table, places, rules)
    gender_of = _Cells(table, places.get("gender"), cells.gender)
    prompt_of = _Cells(table, places.get("prompt", places.get("sentence")), lambda cell, where: cell or None)
    sentence_of = _Cells(table, places.get("sentence", places.get("prompt")), _sentence(places))
    part_of = _Cells(table, places.get("split"), lambda cell, where: cells.part(cell, where) or part, part)
    extra_of = _extras(table)
    section_of = _sections(table, places)
    file_at, inside, corpus = places["file"], f"{rules.root.as_posix().rstrip('/')}/", rules.corpus

    def to_clip(row: list[str], line: int) -> Clip | None:
        file = row[file_at].strip()
        if not file:
            raise UserError(f"{table.where(line)} names no file; fill it in, or leave the line out")
        if "://" in file:
            raise UserError(f"{table.where(line)}: {file!r} is an address, not a file; download it and name the copy")
        if "//" in file or "./" in file:
            file = Path(file).as_posix()
        file = listed_file(rules.root, file.removeprefix(inside) if file[0] == "/" else prefix + file)
        emotion = emotion_of(row, line)
        if emotion is None:
            return None
        start, end = section_of(row, line) if section_of else (None, None)
        return Clip(
            file=file,
            emotion=emotion,
            speaker=speaker_of(row, line) or "",
            corpus=corpus,
            gender=gender_of(row, line),
            prompt=prompt_of(row, line),
            part=part_of(row, line),
            start=start,
            end=end,
            extra=extra_of(row) if extra_of else (),
            sentence=sentence_of(row, line),
        )

    return to_clip


def _sentence(places: dict[str, int]) -> Callable[[str, str], str | None]:
    """A converter to spoken words: a sentence as it is, and a prompt (which may be an id) if it has several words."""
    if "sentence" in places:
        return lambda cell, where: cell or None
    return lambda cell, where: cell if " " in cell else None


class _Cells(Generic[_V]):
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


def _speakers(table: Table, places: dict[str, int], rules: Rules) -> Callable[[list[str], int], str | None]:
    """A function from a row to its speaker: by the pattern (in EmoBox's key, else the file), or by the column."""
    if not rules.speaker_pattern:
        return _Cells(table, places["speaker"], cells.speaker)
    find, column = cells.speaker_finder(rules.speaker_pattern), places.get("key", places["file"])
    return lambda row, line: find(row[column], table.where(line))


def _sections(
    table: Table, places: dict[str, int]
) -> Callable[[list[str], int], tuple[float | None, float | None]] | None:
    """A function from a row to its start and end; None where the table has no such columns."""
    start_at, end_at = places.get("start"), places.get("end")
    if start_at is None and end_at is None:
        return None

    def section(row: list[str], line: int) -> tuple[float | None, float | None]:
        where = table.where(line)
        return cells.section(row, start_at, end_at, where)

    return section


def _extras(table: Table) -> Callable[[list[str]], tuple[tuple[str, str], ...]] | None:
    """A function from a row to its further facts; None where the table has none."""
    columns = sorted((name[len(EXTRA) :], index) for index, name in enumerate(table.header) if name.startswith(EXTRA))
    if not columns:
        return None
    pool: dict[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = {}

    def extra(row: list[str]) -> tuple[tuple[str, str], ...]:
        pairs = tuple((name, row[index]) for name, index in columns if row[index])
        return pool.setdefault(pairs, pairs)

    return extra
