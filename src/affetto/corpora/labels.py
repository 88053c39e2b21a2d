"""The seven emotions, in their canonical order, their names in tables, and the names of labels beside them.

Single letters are not aliased: they differ from corpus to corpus (Emo-DB's A is fear).
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Collection, Iterable, Mapping

from affetto.corpora.names import unified
from affetto.errors import UserError, nearest, unknown

EMOTIONS = ("anger", "disgust", "fear", "joy", "neutrality", "sadness", "surprise")

ALIASES: dict[str, tuple[str, ...]] = {
    "anger": ("angry", "ang", "rabbia", "rab"),
    "disgust": ("disgusted", "disgusto", "dis"),
    "fear": ("fearful", "fea", "paura", "pau"),
    "joy": ("happy", "happiness", "hap", "gioia", "gio"),
    "neutrality": ("neutral", "neutrale", "neu"),
    "sadness": ("sad", "tristezza", "tri"),
    "surprise": ("surprised", "ps", "sur", "sorpresa", "sor"),
}
OTHER_LABELS: dict[str, tuple[str, ...]] = {
    "amusement": ("amused",),
    "boredom": ("bored",),
    "calm": ("calmness",),
    "contempt": ("contemptuous",),
    "excitement": ("excited", "exc"),
    "frustration": ("frustrated", "fru"),
    "guilt": ("colpa", "col"),
    "sleepiness": ("sleepy",),
}
"""Labels beside the seven that several corpora have, with their aliases: one name in all of them.

Whether such a label is a class is decided by `Corpus.others` and the user (see `labelling.py`)."""
_CANONICAL = {alias: name for name, aliases in ALIASES.items() for alias in (name, *aliases)}
_USUAL = {alias: name for name, aliases in OTHER_LABELS.items() for alias in (name, *aliases)} | _CANONICAL
DROP = "drop"
LONGEST_CODE = 3
"""Letters of an alias up to which it is a code, which nobody misspells."""
ALIKE = 0.65
"""Likeness (difflib's) from which a class of the user's own is taken for a slip: `joi`, but not `tenderness`."""


class LabelMap(dict[str, str]):
    """Classes by label, as the user wants them; `lookups` are the labels whose class was asked for."""

    def __init__(self, entries: Mapping[str, str]) -> None:
        super().__init__(entries)
        self.lookups: set[str] = set()

    def __getitem__(self, label: str) -> str:
        self.lookups.add(label)
        return super().__getitem__(label)


def parse_label_map(pairs: dict[str, str]) -> dict[str, str]:
    """A user's own names (`{"calm": "neutrality", "boredom": "drop"}`), folded to lower case."""
    folded = {unified(name).casefold(): unified(target).casefold() for name, target in pairs.items()}
    for name, target in folded.items():
        if not name or not target:
            raise UserError(
                f"the label map {name}={target} lacks a side; give --label NAME=EMOTION, "
                f"or --label NAME={DROP} to leave its clips out"
            )
    return folded


def entries_for(
    label_map: Mapping[str, str], names: Collection[str], corpora: Iterable[str] | None = None
) -> dict[str, str]:
    """Entries of a user's label map that hold for the corpus of these names.

    `CORPUS:LABEL` holds for that corpus alone, and there goes before an entry of all for the same label or an alias of
    it. Raises UserError for a corpus that is not among `corpora`, those that are read together; None: they are known.

    >>> entries_for({"calm": "drop", "ravdess:calm": "neutrality"}, ["ravdess"], ["emovo", "ravdess"])
    {'calm': 'neutrality'}
    """
    shared, own = {}, {}
    known, of_corpus = {name.casefold(): name for name in corpora or ()}, {name.casefold() for name in names}
    for entry, target in label_map.items():
        scope, label = scope_of(entry)
        if scope is None:
            shared[unified(label).casefold()] = target
        elif scope.casefold() in of_corpus:
            own[unified(label).casefold()] = target
        elif corpora is not None and scope.casefold() not in known:
            hint = f"A label that has a colon needs its corpus before it: --label CORPUS:{entry}={target}."
            raise unknown(
                f"corpus in --label {shlex.quote(f'{entry}={target}')}:",
                scope,
                known.values(),
                hint="" if nearest(scope, known.values()) else hint,
            )
    return {label: target for label, target in shared.items() if find_label(label) not in own} | own


def scope_of(entry: str) -> tuple[str | None, str]:
    """The corpus for which an entry of a label map holds (None: all), and its label.

    >>> scope_of("ravdess:calm"), scope_of("calm")
    (('ravdess', 'calm'), (None, 'calm'))
    """
    scope, colon, label = entry.partition(":")
    return (scope.strip(), label.strip()) if colon else (None, entry)


def slips(label_map: Mapping[str, str]) -> tuple[str, ...]:
    """A note on each target of a user's label map that resembles a usual label and makes a class of its own.

    >>> slips({"happy": "joi", "calm": "neutral", "boredom": "drop"})
    ("--label happy=joi makes 'joi' a class of its own: did you mean 'joy'?",)
    """
    notes = []
    names = [*EMOTIONS, *OTHER_LABELS, *(alias for alias in _USUAL if len(alias) > LONGEST_CODE), DROP]
    for name, target in label_map.items():
        folded = unified(target).casefold()
        guesses = difflib.get_close_matches(folded, names, n=1, cutoff=ALIKE)
        if guesses and folded != DROP and find_label(folded) is None:
            option = shlex.quote(f"{name}={target}")
            notes.append(f"--label {option} makes {target!r} a class of its own: did you mean {guesses[0]!r}?")
    return tuple(notes)


def find_emotion(label: str) -> str | None:
    """The canonical name of a label or of one of the usual aliases; None for any other.

    >>> find_emotion(" Happy "), find_emotion("calm")
    ('joy', None)
    """
    return _CANONICAL.get(unified(label).casefold())


def find_label(label: str) -> str | None:
    """The name of a label that several corpora have: of the seven emotions or beside them; None for any other.

    >>> find_label("excited"), find_label("happy"), find_label("zeal")
    ('excitement', 'joy', None)
    """
    return _USUAL.get(unified(label).casefold())


def canonical(label: str, *, where: str, label_map: Mapping[str, str] | None = None) -> str | None:
    """The canonical name of a label; None if the user's map drops it.

    `label_map` comes from `parse_label_map`. An entry for the label itself counts first, then one for its canonical
    name: a map of `joy` holds for `happy` and `gio` too. A target beside the seven emotions is a class of the user's
    own. Raises UserError for an unknown label; `where` names its place.

    >>> canonical("Gio", where="a.wav"), canonical("gio", where="a.wav", label_map={"joy": "good"})
    ('joy', 'good')
    """
    folded = unified(label).casefold()
    if not folded:
        raise UserError(f"{where} names no emotion; fill it in, or leave the line out")
    usual = find_emotion(folded)
    for name in (folded, usual or folded):
        if label_map and name in label_map:
            target = label_map[name]
            return None if target == DROP else _CANONICAL.get(target, target)
    if usual:
        return usual
    guess = nearest(folded, _CANONICAL)
    raise UserError(
        f"unknown emotion {label!r} in {where}: "
        + (f"did you mean {guess!r}? Known" if guess else "known")
        + f": {', '.join(EMOTIONS)} (and their usual aliases). "
        f"Map it with --label {shlex.quote(f'{label}=EMOTION')} or leave its clips out with "
        f"--label {shlex.quote(f'{label}={DROP}')}."
        + (" --keep-other makes it a class of its own." if find_label(label) else "")
    )


def in_order(labels: set[str]) -> tuple[str, ...]:
    """The labels in canonical order; classes of the user's own follow, sorted."""
    return tuple(e for e in EMOTIONS if e in labels) + tuple(sorted(labels - set(EMOTIONS)))
