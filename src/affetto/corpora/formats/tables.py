"""Tables of clips: CSV and TSV, read and written.

A table has one line per clip and a header. Its columns, in any order, under any name in `cells.COLUMNS`:

    file,emotion,speaker[,gender][,split][,prompt][,sentence][,start,end]

Relative paths are relative to the table's folder, `..` in them included; absolute ones are taken as they are: a table
is its user's own, and may name any file that the user may read. The delimiter is a comma, a semicolon or a tab, the
encoding UTF-8 with or without a byte order mark. `start` and `end` are in seconds. Columns `extra:<name>` are facts
of the corpus; others are ignored. `rows.py` makes clips of the lines.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from affetto.corpora.corpus import Corpus, Option
from affetto.corpora.folders import existing, files_of, found_in, is_synthetic
from affetto.corpora.formats import cells
from affetto.corpora.formats.rows import EXTRA, Rules, Table, check_files, parse
from affetto.corpora.manifest import Manifest, in_root
from affetto.errors import UserError

SUFFIXES = (".csv", ".tsv", ".txt")
WRITTEN = ("file", "emotion", "speaker", "gender", "split", "prompt", "sentence", "start", "end")
_DELIMITERS = ",;\t"
_LONGEST_HEADER = 1 << 20
"""Characters of a first line that are looked at; one that is longer belongs to no table."""


def matches(path: Path) -> bool:
    """Whether `path` is a file that is named as a table, or a folder that holds one."""
    path = only_listing(path)
    return path.is_file() and path.suffix.casefold() in SUFFIXES


def only_listing(path: Path) -> Path:
    """The only table of clips directly in a folder, recognised by its columns; `path` itself where there is none."""
    path = Path(path).expanduser().resolve()
    if not path.is_dir():
        return path
    listings = _listings(path)
    return listings[0] if len(listings) == 1 else path


def refuse_several(folder: Path) -> None:
    """Raise a UserError that names them where a folder holds several tables of clips."""
    listings = _listings(folder)
    if len(listings) > 1:
        names = ", ".join(file.name for file in listings)
        raise UserError(f"{folder} holds {len(listings)} tables of clips: {names}; give one of them, or join them")


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
    column; `audio_root` is where relative paths start, if not in the table's folder. With `strict`, files that are
    not there are an error too.
    """
    path = _only_table(path)
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
            optional = (clip.gender, clip.part, clip.prompt, clip.sentence, clip.start, clip.end)
            row = [in_root(str(manifest.path(clip)), path.parent), clip.emotion, clip.speaker]
            row += ["" if value is None else str(value) for value in optional]
            row += [known.get(name, "") for name in extras]
            writer.writerow(row + ["true"] * manifest.synthetic)


def open_table(path: Path, *, such_as: str = "file,emotion,speaker") -> Table:
    """Open a CSV or TSV: its header, and its rows as they are read. Raises UserError, then and at each row, for what
    is no such text; `such_as` is the header that it advises."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            first = file.readline(_LONGEST_HEADER)
    except OSError as problem:
        raise UserError(f"{path}: the table cannot be read ({problem.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise _not_utf8(path, 1) from None
    if not first.strip():
        raise UserError(f"{path}: an empty table; its first line must name the columns, such as {such_as}")
    rows = _rows(path, max(_DELIMITERS, key=first.count))
    return Table(path.name, [column.strip() for column in next(rows)[1]], rows)


def _only_table(path: Path) -> Path:
    """The table that `path` means; a UserError where it is a folder with none or several, an archive or nothing."""
    path = existing(only_listing(path), "a table of clips")
    if not path.is_dir():
        return path
    refuse_several(path)
    tables = files_of(path, SUFFIXES)
    if len(tables) == 1:
        return tables[0]  # whose columns are not a table's: reading it tells which are missing
    raise UserError(
        f"{path}: no table of clips here. Looked for a {', '.join(SUFFIXES)} with the columns file, emotion and "
        f"speaker; found {found_in(path)}. Give the table itself"
    )


def _listings(folder: Path) -> list[Path]:
    """The tables of clips directly in a folder. AudioFolder's metadata.csv, which may lie in several folders, is for
    its own reader."""
    return [file for file in files_of(folder, SUFFIXES) if file.name != "metadata.csv" and _lists_clips(file)]


def _lists_clips(path: Path) -> bool:
    try:
        cells.find_columns(path.name, open_table(path).header, with_speaker=False)
    except UserError:
        return False
    return True


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The header and the rows, each with its line and as many cells as the header has."""
    line = 0
    header: list[str] = []
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(_texts(path, file), delimiter=delimiter)
        try:
            for row in reader:
                line = reader.line_num
                header = header or row
                if len(row) == len(header):
                    yield line, row
                elif row:
                    raise UserError(
                        f"{path.name} line {line} has {len(row)} columns where the header has {len(header)} "
                        f"({cells.shown(header)}); cells that hold the delimiter must be quoted, and quotes closed"
                    )
        except UnicodeDecodeError:
            raise _not_utf8(path, line + 1) from None
        except csv.Error as problem:
            raise UserError(f"{path.name} line {line + 1} cannot be read ({problem}); is a quote open there?") from None


def _texts(path: Path, lines: Iterable[str]) -> Iterator[str]:
    """The lines as they are; a UserError at one that no text has."""
    for number, line in enumerate(lines, start=1):
        if "\0" in line:
            raise UserError(f"{path.name} line {number} holds zero bytes: no text; save the table as CSV in UTF-8")
        yield line


def _not_utf8(path: Path, line: int) -> UserError:
    return UserError(f"{path.name} is not UTF-8 text (line {line} or just after); save the table as CSV in UTF-8")


SPEAKER_PATTERN = Option("regular expression with one group that finds the speaker in the file's name")
AUDIO_ROOT = Option("folder in which relative paths start; by default the folder of the table")
CORPUS = Corpus(
    name="table",
    title="table (CSV or TSV)",
    matches=matches,
    read=read,
    options={"speaker_pattern": SPEAKER_PATTERN, "audio_root": AUDIO_ROOT},
    protocol_reason="`column` where the table names each clip's part, else `paper`",
    is_format=True,
    rank=1,
)
