"""Licences of corpora: whether their clips may serve a commercial use."""

from __future__ import annotations

import re

from affetto.corpora.registry import CORPORA

_VERSION = r"(?:[ -]\d(?:\.\d)?)?(?: \([^)]*\))?"
_STANDARD = (
    (re.compile(rf"CC[ -]BY-NC(?:-SA|-ND)?{_VERSION}", re.IGNORECASE), False),
    (re.compile(rf"(?:CC0|PDDL|CC[ -]BY(?:-SA|-ND)?|Open Database License|ODbL){_VERSION}", re.IGNORECASE), True),
    (re.compile("public domain", re.IGNORECASE), True),
)
"""Names of standard licences, with what they allow."""


def allows_commercial_use(licence: str) -> bool | None:
    """Tell whether a licence allows commercial use: a standard one, or the text of a corpus's record; None: unknown."""
    for name, is_allowed in _STANDARD:
        if name.fullmatch(licence.strip()):
            return is_allowed
    return next((corpus.commercial_use for corpus in CORPORA.values() if licence and corpus.licence == licence), None)
