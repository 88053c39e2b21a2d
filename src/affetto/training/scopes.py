"""Labels and options for one corpus of several: the names that address it, and advice to the user that names it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from affetto.corpora.labels import entries_for, scope_of
from affetto.corpora.registry import name_at
from affetto.errors import UserError
from affetto.training.spec import CorpusSpec

_ADVICE = re.compile(r"--(label|option) ((?:'[^']*'|[^\s'])+?)(?=[.,;:)]?(?:\s|$))")
"""A word of the shell behind the switch in a note or an error: `--label calm=EMOTION`, `--label 'so so=drop'`."""


def names_of(corpus: CorpusSpec) -> tuple[str, ...]:
    """Names by which labels and options address a corpus: the user's, else the folder's, and that of its clips."""
    try:
        return tuple(dict.fromkeys((corpus.address, name_at(corpus.name, Path(corpus.path)))))
    except UserError:  # reading it says what is wrong
        return (corpus.address,)


def labels_of(labels: Mapping[str, str], corpus: CorpusSpec, corpora: Iterable[CorpusSpec]) -> dict[str, str]:
    """Entries of a label map that hold for one of the corpora. Raises UserError as `entries_for`."""
    if all(scope_of(entry)[0] is None for entry in labels):
        return dict(labels)
    return entries_for(labels, names_of(corpus), [name for spec in corpora for name in names_of(spec)])


def address_advice(text: str, name: str, *, always: bool = True) -> str:
    """A note or an error whose advice on labels and options is for the corpus of this name alone.

    Without `always` that is only the advice on labels that have a colon, which would be taken for a corpus's name.

    >>> address_advice("1 clip of calm is left out; --label calm=EMOTION maps it", "ravdess")
    '1 clip of calm is left out; --label ravdess:calm=EMOTION maps it'
    >>> address_advice("leave it out with --label 'so so=drop'.", "mine")
    "leave it out with --label 'mine:so so=drop'."
    """

    def advice(match: re.Match[str]) -> str:
        try:
            (entry,) = shlex.split(match[2])
        except ValueError:  # a label of the user's that is no word of the shell
            return match[0]
        label, equals, _ = entry.partition("=")
        is_taken = match[1] == "label" and scope_of(label)[0] is not None
        if not equals or not (always or is_taken) or entry.startswith(f"{name}:"):
            return match[0]
        return f"--{match[1]} {shlex.quote(f'{name}:{entry}')}"

    return _ADVICE.sub(advice, text)
