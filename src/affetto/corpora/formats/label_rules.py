"""Labels of a listing as emotions: the user's map, codes that a format explains beside its listing, own classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from affetto.corpora.labels import canonical, find_emotion
from affetto.corpora.names import unified

LabelReader = Callable[[str, str], str | None]
"""A function from a label and its place (for the error) to an emotion; None for a label that is left out."""


@dataclass(frozen=True)
class LabelRules:
    """The rules by which the labels of one listing become emotions."""

    label_map: Mapping[str, str] | None = None
    """The user's own, from `labels.parse_label_map`; it counts before everything else."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """Meaning of each code that is no usual label, as a file beside the listing gives it, by the folded code."""
    are_open: bool = False
    """True if an unknown label is a class of its own, and no error."""

    def reader(self) -> LabelReader:
        """The function that applies these rules to a label."""
        label_map = self.label_map or {}

        def label_of(label: str, where: str) -> str | None:
            folded = unified(label).casefold()
            if folded and folded not in label_map and find_emotion(folded) is None:
                meaning = unified(self.codes.get(folded, folded)).casefold()
                if self.are_open and meaning not in label_map and find_emotion(meaning) is None:
                    return meaning
                label = meaning if folded in self.codes else label
            return canonical(label, where=where, label_map=label_map)

        return label_of
