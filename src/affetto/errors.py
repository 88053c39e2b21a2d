"""The one error that a user's mistake ends in.

A `UserError` reads as one line: what is wrong, with which item, what is allowed, what to do next.
The command line prints it without a traceback and exits with status 2; everything else that is
raised is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can mend; `str(error)` is the whole story on one line."""

    def __init__(self, message: str) -> None:
        one_line = re.sub(r"\s*[\r\n]+\s*", " ", message.strip())
        super().__init__(printable(one_line))


def printable(text: str) -> str:
    """A text for the terminal, with what cannot be shown as Python writes it.

    What users name may hold anything: a terminal's escape codes, bytes that are no text in their encoding.

    >>> printable("a\x1b[31mred.wav")
    'a\\\\x1b[31mred.wav'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name that `name` was probably meant to be, or None."""
    by_folded = {item.casefold(): item for item in allowed}
    match = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[match[0]] if match else None


def unknown(kind: str, name: str, allowed: Iterable[str], *, hint: str = "") -> UserError:
    """An error for a name outside a closed list, with the nearest guess; `hint` is a sentence of its own.

    >>> str(unknown("method", "lorra", ["frozen", "lora"]))
    "unknown method 'lorra': did you mean 'lora'? Known: frozen, lora."
    """
    allowed = list(allowed)
    if not allowed:
        return UserError(f"unknown {kind} {name!r}: there are none. {hint}".rstrip())
    guess = nearest(name, allowed)
    middle = f"did you mean {guess!r}? Known" if guess else "known"
    return UserError(f"unknown {kind} {name!r}: {middle}: {', '.join(allowed)}. {hint}".rstrip())
