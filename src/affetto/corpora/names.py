"""Names of speakers and labels: one writing of a name that people take for one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence


def unified(name: str) -> str:
    """A name composed (Unicode's NFC), without invisible characters (category Cf) and space at its ends.

    macOS writes an accented letter as two characters, spreadsheets leave zero-width spaces behind: a speaker written
    both ways would be two, of whom one is trained on and the other tested.

    >>> unified(" Niccolo\\u0300\\u200b ") == "Niccolò"
    True
    """
    if name.isascii():
        return name.strip()
    visible = "".join(letter for letter in name if unicodedata.category(letter) != "Cf")
    return unicodedata.normalize("NFC", visible).strip()


def look_alikes(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Names that differ in capitals or in how a number is written alone, which may mean one speaker.

    >>> look_alikes(["Mario", "1", "mario", "Maria", "01", "1.0"])
    [('01', '1', '1.0'), ('Mario', 'mario')]
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        groups.setdefault(_rough(name), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def look_alikes_note(names: Iterable[str]) -> tuple[str, ...]:
    """A note on speakers' names that differ in so little; () where there are none."""
    groups = look_alikes(names)
    if not groups:
        return ()
    examples = "; ".join(", ".join(group) for group in groups[:3]) + (" …" if len(groups) > 3 else "")
    return (
        f"speakers whose names differ in capitals or zeros alone are taken for different people: {examples}; "
        "give each person one name",
    )


def _rough(name: str) -> str:
    folded = re.sub(r"(?<=\d)\.0+$", "", name.casefold())
    return re.sub(r"\d+", lambda number: number[0].lstrip("0") or "0", folded)


def abbreviated(names: Sequence[str], most: int = 12, longest: int = 30) -> str:
    """A list of names for a message: the first ones, none of them long.

    >>> abbreviated(["file", "emotion", "speaker"], most=2)
    'file, emotion and 1 more'
    """
    shortened = [name if len(name) <= longest else f"{name[:longest]}…" for name in names[:most]]
    return ", ".join(shortened) + (f" and {len(names) - most} more" if len(names) > most else "")
