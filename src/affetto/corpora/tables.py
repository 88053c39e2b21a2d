"""Tables of clips: CSV and TSV, read and written, and the rules by which any listed row becomes a clip.

A table has one line per clip and a header. Its columns, in any order, under any name in `cells.COLUMNS`:

    file,emotion,speaker[,gender][,split][,prompt][,start,end]

Relative paths are relative to the table's folder, absolute ones are taken as they are. The delimiter is a comma,
a semicolon or a tab, the encoding UTF-8 with or without a byte order mark. `start` and `end` are in seconds.
Columns `extra:<name>` are facts of the corpus; others are ignored. A table may have a million lines, so the code
that runs per line is lean: each distinct cell is converted once, and equal cells are one object.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Generic, TypeVar

from affetto.corpora import cells
from affetto.corpora.folders import files_of
from affetto.corpora.labels import canonical
from affetto.corpora.manifest import Clip, Manifest, in_root
from affetto.errors import UserError

EXTRA = "extra:"
SUFFIXES = (".csv", ".tsv", ".txt")
WRITTEN = ("file", "emotion", "speaker", "gender", "split", "prompt", "start", "end")
_DELIMITERS = ",;\t"
_V = TypeVar("_V")


@dataclass(frozen=True)
class Table:
    """A header and its rows, each with the line that it ends on (0 where there are no lines)."""

    name: str
    header: list[str]
    rows: Iterator[tuple[int, list[str]]]

    def where(self, line: int) -> str:
        return f"{self.name} line {line}" if line else self.name


@dataclass(frozen=True)
class Rules:
    """How the rows of one corpus become clips."""

    root: Path
    corpus: str
    label_map: dict[str, str] | None = None
    speaker_pattern: str | None = None


@dataclass(frozen=True)
class Parsed:
    clips: list[Clip]
    notes: tuple[str, ...] = ()
    synthetic: bool = False


# -- files -----------------------------------------------------------------------------------------------------


def matches(path: Path) -> bool:
    """Whether `path` is a file that is named as a table, or a folder that holds one."""
    path = found(path)
    return path.is_file() and path.suffix.casefold() in SUFFIXES


def found(path: Path) -> Path:
    """The one table of clips directly in a folder, told by its columns; else `path` itself.

    AudioFolder's metadata.csv, which may lie in several folders, is for its own reader.
    """
    path = Path(path).expanduser().resolve()
    if not path.is_dir():
        return path
    listing = [file for file in files_of(path, SUFFIXES) if file.name != "metadata.csv" and _lists_clips(file)]
    return listing[0] if len(listing) == 1 else path


def _lists_clips(path: Path) -> bool:
    try:
        cells.find_columns(path.name, open_table(path).header, with_speaker=False)
    except UserError:
        return False
    return True


def read(
    path: Path,
    *,
    label_map: dict[str, str] | None = None,
    strict: bool = False,
    name: str = "table",
    speaker_pattern: str | None = None,
    audio_root: str | None = None,
) -> Manifest:
    """The clips that a table lists. Raises UserError with the table's line for every row that cannot be used.

    `speaker_pattern` (a regular expression with one group) finds the speaker in the file's name instead of a
    column; `audio_root` is where relative paths start, if not in the table's folder.
    """
    path = found(path)
    root = Path(audio_root).expanduser().resolve() if audio_root else path.parent
    parsed = parse(open_table(path), Rules(root, name, label_map, speaker_pattern))
    notes = (*parsed.notes, *check_files(root, parsed.clips, strict=strict))
    return Manifest(name, root, tuple(parsed.clips), parsed.synthetic or is_synthetic(root), notes=notes)


def write_table(manifest: Manifest, path: Path) -> None:
    """Write a manifest as a table that reads back equal: in its own root to the same clips, elsewhere to the same
    audio. (Classes of the user's own need a `label_map` when read.)"""
    path = Path(path).expanduser().resolve()
    extras = sorted({name for clip in manifest.clips for name, _ in clip.extra})
    header = [*WRITTEN, *(EXTRA + name for name in extras), *(["synthetic"] if manifest.synthetic else [])]
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix.casefold() == ".tsv" else ",", lineterminator="\n")
        writer.writerow(header)
        for clip in manifest.clips:
            known = dict(clip.extra)
            optional = (clip.gender, clip.part, clip.prompt, clip.start, clip.end)
            row = [in_root(str(manifest.path(clip)), path.parent), clip.emotion, clip.speaker]
            row += ["" if value is None else str(value) for value in optional]
            row += [known.get(name, "") for name in extras]
            writer.writerow(row + ["true"] * manifest.synthetic)


def open_table(path: Path) -> Table:
    """Open a CSV or TSV: its header, and its rows as they are read."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline()
    except OSError as problem:
        raise UserError(f"{path}: the table cannot be read ({problem.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise _not_utf8(path, 1) from None
    if not first.strip():
        raise UserError(f"{path}: an empty table; its first line must name the columns, such as file,emotion,speaker")
    rows = _rows(path, max(_DELIMITERS, key=first.count))
    return Table(path.name, [column.strip() for column in next(rows)[1]], rows)


def check_files(root: Path, clips: Sequence[Clip], *, strict: bool, looked_at: int = 20) -> tuple[str, ...]:
    """A note where none of the first files is there, as with a wrong folder; a UserError under `strict`."""
    first = [clip.file for clip in islice(clips, looked_at)]
    if not first or any(os.path.exists(root / file) for file in first):
        return ()
    said = f"none of the first {len(first)} files listed is there ({root / first[0]}, …); relative ones start in {root}"
    if strict:
        raise UserError(f"{said}. Move the table, or give the option audio_root")
    return (said,)


def is_synthetic(root: Path) -> bool:
    """Whether this project made the audio under `root`."""
    from affetto.corpora import synthetic  # here, as it writes the layouts that the readers describe

    return synthetic.is_synthetic(root)


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The header and the rows, each with its line and as many cells as the header has."""
    line = 0
    header: list[str] = []
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=delimiter)
        try:
            for row in reader:
                line = reader.line_num
                header = header or row
                if len(row) == len(header):
                    yield line, row
                elif row:
                    raise UserError(
                        f"{path.name} line {line} has {len(row)} columns where the header has {len(header)} "
                        f"({', '.join(header)}); cells that hold the delimiter must be quoted"
                    )
        except UnicodeDecodeError:
            raise _not_utf8(path, line + 1) from None
        except csv.Error as problem:
            raise UserError(f"{path.name} line {line + 1} cannot be read ({problem}); is a quote open there?") from None


def _not_utf8(path: Path, line: int) -> UserError:
    return UserError(f"{path.name} is not UTF-8 text (line {line} or just after); save the table as CSV in UTF-8")


# -- rows to clips ---------------------------------------------------------------------------------------------


def parse(table: Table, rules: Rules, *, part: str | None = None, prefix: str = "") -> Parsed:
    """The clips of a table's rows. `part` is that of rows without one; `prefix` goes before relative files."""
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
        raise UserError(f"{table.name} lists no clips: below its header ({', '.join(table.header)}) stands nothing")
    if dropped:
        notes = (*notes, f"{table.name}: {dropped} clips are left out, as the label map says")
    return Parsed(clips, notes, synthetic)


def _row_reader(
    table: Table, places: dict[str, int], rules: Rules, part: str | None, prefix: str
) -> Callable[[list[str], int], Clip | None]:
    emotion_of = _Cells(
        table, places["emotion"], lambda cell, where: canonical(cell, where=where, label_map=rules.label_map)
    )
    speaker_of = _speakers(table, places, rules)
    gender_of = _Cells(table, places.get("gender"), cells.gender)
    prompt_of = _Cells(table, places.get("prompt"), lambda cell, where: cell or None)
    part_of = _Cells(table, places.get("split"), lambda cell, where: cells.part(cell, where) or part, part)
    extra_of = _extras(table)
    section_of = _sections(table, places)
    file_at, inside, corpus = places["file"], f"{rules.root.as_posix().rstrip('/')}/", rules.corpus

    def to_clip(row: list[str], line: int) -> Clip | None:
        file = row[file_at].strip()
        if not file:
            raise UserError(f"{table.where(line)} names no file; fill it in, or leave the line out")
        if "//" in file or "./" in file:
            file = Path(file).as_posix()
        file = file.removeprefix(inside) if file[0] == "/" else prefix + file
        emotion = emotion_of(row, line)
        if emotion is None:
            return None
        start, end = section_of(row, line) if section_of else (None, None)
        return Clip(
            file,
            emotion,
            speaker_of(row, line) or "",
            corpus,
            gender_of(row, line),
            prompt_of(row, line),
            part_of(row, line),
            start,
            end,
            extra_of(row) if extra_of else (),
        )

    return to_clip


class _Cells(Generic[_V]):
    """A column as values; a distinct cell is converted once. Without the column, every row has `default`."""

    def __init__(
        self, table: Table, place: int | None, convert: Callable[[str, str], _V | None], default: _V | None = None
    ) -> None:
        self._table, self._place, self._convert, self._default = table, place, convert, default
        self._known: dict[str, _V | None] = {}

    def __call__(self, row: list[str], line: int) -> _V | None:
        if self._place is None:
            return self._default
        raw = row[self._place]
        if raw not in self._known:
            self._known[raw] = self._convert(raw.strip(), self._table.where(line))
        return self._known[raw]


def _speakers(table: Table, places: dict[str, int], rules: Rules) -> Callable[[list[str], int], str | None]:
    """How a row tells its speaker: by the pattern (in EmoBox's key, else the file), or its column."""
    if not rules.speaker_pattern:
        return _Cells(table, places["speaker"], cells.speaker)
    find, place = cells.speaker_finder(rules.speaker_pattern), places.get("key", places["file"])
    return lambda row, line: find(row[place], table.where(line))


def _sections(
    table: Table, places: dict[str, int]
) -> Callable[[list[str], int], tuple[float | None, float | None]] | None:
    """How a row tells its start and end; None where the table has no such columns."""
    start_at, end_at = places.get("start"), places.get("end")
    if start_at is None and end_at is None:
        return None

    def section(row: list[str], line: int) -> tuple[float | None, float | None]:
        where = table.where(line)
        start = None if start_at is None else cells.seconds(row[start_at].strip(), where)
        end = None if end_at is None else cells.seconds(row[end_at].strip(), where)
        if end is not None and end <= (start or 0.0):
            raise UserError(f"{where}: the section ends at {end:g} s, not after its start at {start or 0:g} s")
        return start, end

    return section


def _extras(table: Table) -> Callable[[list[str]], tuple[tuple[str, str], ...]] | None:
    """How a row's facts of the corpus are read; None where the table has none."""
    columns = sorted((name[len(EXTRA) :], place) for place, name in enumerate(table.header) if name.startswith(EXTRA))
    if not columns:
        return None
    known: dict[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = {}

    def extra(row: list[str]) -> tuple[tuple[str, str], ...]:
        pairs = tuple((name, row[place]) for name, place in columns if row[place])
        return known.setdefault(pairs, pairs)

    return extra
