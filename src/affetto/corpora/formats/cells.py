"""The cells of a table, as nkululeko, audformat, Hugging Face and people write them: columns and their values.

Every converter takes a stripped cell and `where`, its place in the table for the error.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence

from affetto.corpora.annotations import DIMENSIONS
from affetto.corpora.manifest import GENDERS, PARTS
from affetto.corpora.names import abbreviated, unified
from affetto.errors import UserError, unknown

COLUMNS: dict[str, tuple[str, ...]] = {
    "file": ("file", "path", "file_name", "filename", "wav", "audio"),
    "emotion": ("emotion", "label", "emo"),
    "speaker": ("speaker", "speaker_id", "spk", "actor"),
    "gender": ("gender", "sex"),
    "split": ("split", "part", "partition", "subset"),
    "prompt": ("prompt",),
    "sentence": ("sentence",),
    "start": ("start", "start_seconds"),
    "end": ("end", "end_seconds"),
    "synthetic": ("synthetic",),
    "key": ("key",),
    "ratings": ("ratings",),
    "rater": ("rater",),
    **{name: (name,) for name in DIMENSIONS},
}
"""The columns of a table by any of their names; of several names in one header the first counts."""
PART_ALIASES = (
    {part: part for part in PARTS}
    | dict.fromkeys(("dev", "val", "valid", "eval", "evaluation", "devel", "development"), "validation")
    | {"training": "train", "testing": "test"}
)
GENDER_ALIASES = (
    {gender: gender for gender in GENDERS}
    | dict.fromkeys(("f", "w", "woman", "femmina", "donna"), "female")
    | dict.fromkeys(("m", "man", "maschio", "uomo"), "male")
    | dict.fromkeys(("o", "x", "d", "diverse", "nonbinary", "non-binary", "altro"), "other")
)
UNKNOWN = frozenset({"", "nan", "nat", "none", "null", "na", "n/a", "unknown"})
"""Cells that stand for a missing value."""
_TIMEDELTA = re.compile(r"(?:(\d+) days? ?)?(?:(\d+):(\d+):(\d+(?:\.\d+)?))?")


def speaker(cell: str, where: str) -> str:
    """The speaker's name, in one writing (`names.unified`)."""
    name = unified(cell)
    if name.casefold() in UNKNOWN:
        raise UserError(f"{where} names no speaker ({cell!r}); each clip needs one: fill it in, or leave the line out")
    return name


def gender(cell: str, where: str) -> str | None:
    folded = cell.casefold()
    if folded in UNKNOWN:
        return None
    if folded not in GENDER_ALIASES:
        raise UserError(f"{where}: unknown gender {cell!r}; known: {', '.join(GENDERS)}, or leave the cell empty")
    return GENDER_ALIASES[folded]


def part(cell: str, where: str) -> str | None:
    folded = cell.casefold()
    if folded in UNKNOWN:
        return None
    if folded not in PART_ALIASES:
        raise UserError(f"{where}: {unknown('split', cell, PARTS, hint='Leave it empty for a clip of no part.')}")
    return PART_ALIASES[folded]


def seconds(cell: str, where: str) -> float | None:
    """A time in seconds; also pandas' timedeltas and its missing values."""
    if cell.casefold() in UNKNOWN:
        return None
    try:
        value = float(cell)
    except ValueError:
        fit = _TIMEDELTA.fullmatch(cell)
        if not fit:
            raise UserError(f"{where}: {cell!r} is no time; start and end are in seconds, such as 1.5") from None
        days, hours, minutes, rest = (float(group or 0) for group in fit.groups())
        value = round(((days * 24 + hours) * 60 + minutes) * 60 + rest, 9)  # pandas counts nanoseconds
    if not math.isfinite(value) or value < 0:
        raise UserError(f"{where}: {cell!r} is no time in a file; start and end are in seconds, 0 or more")
    return value


def section(
    row: Sequence[str], start_at: int | None, end_at: int | None, where: str
) -> tuple[float | None, float | None]:
    """Start and end of a row's section in seconds, by the indexes of their columns; UserError for an empty section."""
    start, end = (None if at is None else seconds(row[at].strip(), where) for at in (start_at, end_at))
    if end is not None and end <= (start or 0.0):
        raise UserError(f"{where}: the section ends at {end:g} s, not after its start at {start or 0:g} s")
    return start, end


def find_columns(
    table: str, header: list[str], *, with_speaker: bool, needs_emotion: bool = True
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Index of each known column in the header, and notes on columns with one meaning.

    Raises UserError where the file, the speaker (`with_speaker`) or the emotion (`needs_emotion`) has no column.
    """
    folded = [column.casefold() for column in header]
    places: dict[str, int] = {}
    notes = []
    for name, aliases in COLUMNS.items():
        present = [alias for alias in aliases if alias in folded]
        if present:
            places[name] = folded.index(present[0])
        if len(present) > 1:
            notes.append(f"{table}: the columns {', '.join(present)} all name the {name}; {present[0]} is read")
    columns = f"found: {abbreviated(header)}; expected: file, emotion, speaker"
    for name in ("file", *["emotion"] * needs_emotion):
        if name not in places:
            raise UserError(f"{table} has no {name} column (one of {', '.join(COLUMNS[name])}); {columns}")
    if with_speaker and "speaker" not in places:
        raise UserError(
            f"{table} has no speaker column (one of {', '.join(COLUMNS['speaker'])}); {columns}. A "
            "speaker-independent split needs one: add it, or give --option speaker_pattern=PATTERN, a regular "
            "expression whose one group finds the speaker in the file's name"
        )
    return places, tuple(notes)


def speaker_finder(expression: str, *, is_lenient: bool = False) -> Callable[[str, str], str]:
    """A converter that finds the speaker in a file's name by a regular expression with one group.

    A name without a speaker is an error, or with `is_lenient` gives "".
    """
    try:
        pattern = re.compile(expression)
    except re.error as problem:
        raise UserError(f"speaker_pattern {expression!r} is no regular expression ({problem}); mend it") from None
    if pattern.groups != 1:
        raise UserError(
            f"speaker_pattern {expression!r} has {pattern.groups} groups; one must hold the speaker, "
            "as in '([fm][0-9]+)-'"
        )

    def find(name: str, where: str) -> str:
        fit = pattern.search(name)
        if not fit or not unified(fit[1] or ""):
            if is_lenient:
                return ""
            raise UserError(f"{where}: speaker_pattern {expression!r} finds no speaker in {name!r}; mend the pattern")
        return sys.intern(unified(fit[1]))

    return find
