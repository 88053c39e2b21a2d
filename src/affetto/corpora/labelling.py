"""Classes of a corpus's labels, those beside the seven emotions included.

Many corpora have more than the seven: calm, boredom, contempt, guilt. A corpus's record maps each to one of the seven,
drops it, or keeps it (`Corpus.other_labels`), by the convention of its users, and states the reason. The user's own
map comes first; `--keep-other` keeps every such label as a class of its own. A `Labelling` resolves the labels of one
reading and counts what became of them.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from affetto.corpora.amounts import amount, verb
from affetto.corpora.labels import ALIASES, DROP, OTHER_LABELS, canonical, find_label
from affetto.corpora.names import unified


@dataclass(frozen=True, slots=True)
class Relabelling:
    """Clips of one label of a corpus that were left out, or that count as another class."""

    label: str
    """The corpus's label; the canonical name for one of the seven."""
    target: str
    """The class of its clips, or `drop`."""
    clips: int
    by_user: bool
    """True if the user's map says so, False for the rule of the corpus."""

    def to_json(self) -> dict[str, Any]:
        by = "user" if self.by_user else "corpus"
        return {"clips": self.clips, "by": by} | ({} if self.target == DROP else {"to": self.target})


@dataclass
class Labelling:
    """Labels of one reading of a corpus and their classes, with counts.

    A label's class is, in this order: the user's (`label_map`, from `parse_label_map`), the corpus's rule for labels
    beside the seven (`other_labels`), one of the seven.
    """

    other_labels: Mapping[str, str] = field(default_factory=dict)
    label_map: Mapping[str, str] = field(default_factory=dict)
    _resolutions: dict[tuple[str, str], _Resolution] = field(default_factory=dict)
    """Resolution of each pair of a label and a code."""
    _clips: Counter[_Resolution] = field(default_factory=Counter)

    def emotion(self, label: str, where: str, *, code: str = "") -> str | None:
        """The class of a clip's label, which is counted; None where the clip is left out.

        `code` is the corpus's abbreviation of the label, for which the user's map may have an entry too. Raises
        UserError, which names `where`, for a label that neither a map nor the usual names know.
        """
        resolution = self._resolve(label, where, code)
        self._clips[resolution] += 1
        return resolution.emotion

    def target(self, label: str, where: str = "the corpus", *, code: str = "") -> str | None:
        """The class of a label, without counting it."""
        return self._resolve(label, where, code).emotion

    def answer(self, words: str) -> str | None:
        """The class of a rater's answer; None for a label that is left out, and for words that are no label."""
        folded = unified(words).casefold()
        if not folded or not (find_label(folded) or folded in self.other_labels or folded in self.label_map):
            return None
        return self.target(folded)

    @property
    def counts(self) -> Counter[str]:
        """Clips per label of the corpus, before any map."""
        counts: Counter[str] = Counter()
        for resolution, clips in self._clips.items():
            counts[resolution.label] += clips
        return counts

    @property
    def relabelled(self) -> tuple[Relabelling, ...]:
        """Labels whose clips were left out or count as another class."""
        changes = (
            Relabelling(resolution.label, resolution.emotion or DROP, clips, resolution.by_user)
            for resolution, clips in self._clips.items()
            if resolution.emotion != resolution.label
        )
        return tuple(sorted(changes, key=lambda change: (change.label, change.target)))

    def official(self, official: Mapping[str, int]) -> dict[str, int]:
        """Official counts of the labels that the rule of the corpus does not leave out."""
        return {label: clips for label, clips in official.items() if not self._is_left_out(label)}

    def official_classes(self, official: Mapping[str, int]) -> dict[str, int]:
        """Official counts per class: labels that the rule of the corpus joins are summed."""
        classes: dict[str, int] = {}
        for label, clips in self.official(official).items():
            name = self.target(label) if label in self.other_labels else label
            if name is not None:
                classes[name] = classes.get(name, 0) + clips
        return classes

    def compared(self) -> Counter[str]:
        """Clips per label that are compared with the official counts."""
        return Counter(self.official(self.counts))

    def notes(self, reason: str) -> tuple[str, ...]:
        """Sentences on what the user's map changed, and the rule of the corpus, with the record's `reason`."""
        by_user, by_rule = (
            [change for change in self.relabelled if change.by_user is is_users] for is_users in (True, False)
        )
        notes = (f"{_sentences(by_user)}, by --label",) if by_user else ()
        if not by_rule:
            return notes
        label, *others = (change.label for change in by_rule)
        kept, mapped = ("each", "one of them") if others else (label, "it")
        why = f" ({reason})" if reason else ""
        option = shlex.quote(f"{label}=EMOTION")
        advice = f"--keep-other makes {kept} a class of its own, --label {option} maps {mapped}"
        return (*notes, f"{_sentences(by_rule)}{why}; {advice}")

    def _is_left_out(self, label: str) -> bool:
        if label not in self.other_labels:
            return False
        classes = {resolution.emotion for resolution in self._resolutions.values() if resolution.label == label}
        return (classes or {self.target(label)}) == {None}

    def _resolve(self, label: str, where: str, code: str) -> _Resolution:
        if (label, code) not in self._resolutions:
            folded = unified(label).casefold()
            name = find_label(folded) or folded
            # The name stands last: --keep-other writes it into the map, and what the user says of an alias goes before.
            # An entry for a class holds for labels that the corpus's rule joins to it too.
            aliases = (*OTHER_LABELS.get(name, ()), *ALIASES.get(name, ()))
            names = (code.casefold(), folded, *aliases, name, self.other_labels.get(name, ""))
            entries = [self.label_map[alias] for alias in names if alias in self.label_map]
            rules = {**self.other_labels, **({name: entries[0]} if entries else {})}
            emotion = canonical(name, where=where, label_map=rules)
            by_user = bool(entries) or name not in self.other_labels
            self._resolutions[label, code] = _Resolution(name, emotion, by_user)
        return self._resolutions[label, code]


def _sentences(changes: Sequence[Relabelling]) -> str:
    """What became of labels, a part of the sentence for each target; those that are left out come last."""
    targets = sorted({change.target for change in changes}, key=lambda target: (target == DROP, target))
    return "; ".join(_sentence([change for change in changes if change.target == target]) for target in targets)


def _sentence(changes: Sequence[Relabelling]) -> str:
    """The clips of each label, and what becomes of all of them: they have one target.

    >>> _sentence([Relabelling(label, DROP, 40, by_user=False) for label in ("calm", "fear")])
    '40 clips of calm and 40 of fear are left out'
    """
    total = sum(change.clips for change in changes)
    first, *others = changes
    clips = [f"{amount(first.clips, 'clip')} of {first.label}"]
    clips += [f"{change.clips:,} of {change.label}" for change in others]
    target = first.target
    action = f"{verb(total, 'are')} left out" if target == DROP else f"{verb(total, 'count')} as {target}"
    return f"{' and '.join(filter(None, (', '.join(clips[:-1]), clips[-1])))} {action}"


@dataclass(frozen=True, slots=True)
class _Resolution:
    """A label's usual name and its class; None where its clips are left out."""

    label: str
    emotion: str | None
    by_user: bool
    """True if the user's map says so, or none does."""
