"""Speakers of listed clips: from a column, from a pattern over their names, or from a table beside the listing."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from affetto.corpora.delimited import Table, open_table
from affetto.corpora.formats import cells
from affetto.corpora.formats.columns import CellColumn
from affetto.corpora.names import unified
from affetto.errors import UserError

STM = ".stm"
_STM_LINE = re.compile(r"<id=(?P<key>.*?),lang=.*?,spk=(?P<speaker>.*?),emotion=")


def speaker_column(
    table: Table,
    places: Mapping[str, int],
    *,
    pattern: str | None,
    speakers: Mapping[str, str] | None,
    is_lenient: bool,
) -> Callable[[list[str], int], str | None]:
    """A function from a row and its line to the speaker.

    The speaker comes from `speakers` (by the row's key, file or the file's name), else by `pattern` (searched in
    EmoBox's key, else in the file), else from the column. Raises UserError for a row without one, unless `is_lenient`:
    then its speaker is "".
    """
    key_at, file_at = places.get("key", places["file"]), places["file"]
    if speakers is not None:
        return lambda row, line: _listed(speakers, row[key_at], row[file_at], table.where(line), is_lenient)
    if pattern:
        find = cells.speaker_finder(pattern, is_lenient=is_lenient)
        return lambda row, line: find(row[key_at], table.where(line))
    convert = _speaker_or_none if is_lenient else cells.speaker
    return CellColumn(table, places["speaker"] if not is_lenient else places.get("speaker"), convert)


def read_speakers(text: str) -> dict[str, str]:
    """Speaker by the key or the file of each clip, from a table with the columns `file` (or `key`) and `speaker`.

    EmoBox's `data.seg.wrd.stm` is read too. Raises UserError for a file that is neither.
    """
    path = Path(text).expanduser()
    pairs = dict(_stm(path) if path.suffix.casefold() == STM else _rows(path))
    if not pairs:
        raise UserError(f"{path} lists no speakers; give a table with the columns file (or key) and speaker")
    return pairs


def _listed(speakers: Mapping[str, str], key: str, file: str, where: str, is_lenient: bool) -> str:
    for name in (key, file, PurePosixPath(file).name, PurePosixPath(file).stem):
        if name in speakers:
            return speakers[name]
    if is_lenient:
        return ""
    raise UserError(f"{where}: the table of speakers does not list {key!r}; add it, or leave the line out")


def _speaker_or_none(cell: str, where: str) -> str:
    name = unified(cell)
    return "" if name.casefold() in cells.UNKNOWN else name


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    table = open_table(path, such_as="file,speaker")
    key_at = table.column(["key", *cells.COLUMNS["file"]])
    speaker_at = table.column(cells.COLUMNS["speaker"])
    if key_at is None or speaker_at is None:
        raise UserError(
            f"{table.name} is no table of speakers: it needs the columns file (or key) and speaker; "
            f"found: {', '.join(table.header)}"
        )
    for line, row in table.rows:
        yield row[key_at].strip(), sys.intern(cells.speaker(row[speaker_at].strip(), table.where(line)))


def _stm(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                fit = _STM_LINE.search(line)
                if fit:
                    yield fit["key"], sys.intern(unified(fit["speaker"]))
                elif line.strip():
                    raise UserError(f"{path.name} line {number} has no <id=…,lang=…,spk=…,emotion=…>; mend it")
    except (OSError, UnicodeDecodeError) as problem:
        raise UserError(f"{path}: the speakers cannot be read ({problem}); check the path") from None
