"""Numbers in sentences: the noun and the verb agree with them."""

from __future__ import annotations

_SINGULAR = {"are": "is", "do": "does", "have": "has", "were": "was"}


def amount(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun, whose plural ends in s unless it is given.

    >>> amount(1, "clip"), amount(1204, "clip"), amount(0, "copy", "copies")
    ('1 clip', '1,204 clips', '0 copies')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def verb(number: int, plural: str) -> str:
    """A verb in the third person that agrees with a number.

    >>> verb(1, "are"), verb(2, "are"), verb(1, "list")
    ('is', 'are', 'lists')
    """
    return _SINGULAR.get(plural, plural + "s") if number == 1 else plural
