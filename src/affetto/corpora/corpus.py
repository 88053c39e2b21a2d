"""The record of a corpus: its facts, and the functions that recognise and read its files.

A corpus is one file: its story, `matches`, `read`, and at the end the record, in which the registry finds all that
other rooms ask for. A layout that anybody may use for recordings of their own (a table, an AudioFolder) is a record
too: it has no facts, and each collection has a name of its own (`is_format`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from affetto.corpora.annotations import Range
from affetto.corpora.folders import archives_beside, compare_counts, is_synthetic
from affetto.corpora.labelling import Labelling
from affetto.corpora.labels import in_order
from affetto.corpora.manifest import Clip, Manifest
from affetto.errors import UserError, unknown


@dataclass(frozen=True)
class Option:
    """An option of a reader: its meaning, and the conversion of the text that the user gives."""

    description: str
    convert: Callable[[str], Any] = str
    """Raises ValueError with the allowed values for a text that is none of them."""


def yes_or_no(text: str) -> bool:
    """True for `true`, `yes`, `1` and `on`, False for their opposites; ValueError for any other text."""
    answers = dict.fromkeys(("true", "yes", "1", "on"), True) | dict.fromkeys(("false", "no", "0", "off"), False)
    if text.strip().casefold() not in answers:
        raise ValueError("must be true or false")
    return answers[text.strip().casefold()]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Facts of one corpus or format, and its reader."""

    name: str
    """Key in `--corpus NAME=PATH`, in grids and in the files of runs."""
    title: str
    """Name in tables and sentences."""
    matches: Callable[[Path], bool]
    """True for a path that holds this corpus; decides by names and headers alone, and raises nothing."""
    read: Callable[..., Manifest]
    """`read(path, *, label_map, strict, **options)` returns the manifest; raises UserError."""
    is_address: Callable[[str], bool] = lambda _: False
    """True for an address from which `read` fetches a corpus: it takes it in place of a path."""
    options: Mapping[str, Option] = field(default_factory=dict)
    licence: str = ""
    commercial_use: bool | None = None
    """True if the licence allows commercial use, False if it forbids it; None where that is unknown or disputed, or
    where `licence` is the name of a standard one (`licences.allows_commercial_use`)."""
    speech: str = ""
    """Origin of the emotions: `acted`, `elicited` or `natural`; empty where it is unknown."""
    collection: str = ""
    """Collection of the speech and its labels, in a sentence or two."""
    source: str = ""
    """Address from which the corpus can be had."""
    citation: str = ""
    language: str = ""
    official: Mapping[str, int] = field(default_factory=dict)
    """Official number of clips per label, of those in `other_labels` too."""
    uncounted: tuple[str, ...] = ()
    """Classes by default of a corpus whose official counts are not known, or differ from release to release."""
    other_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that are no classes by themselves: {label: one of the seven emotions, another class, or `drop`}.

    A label beside the seven that is a class by default is mapped to itself. The user's map comes first, and
    `--keep-other` makes each a class of its own."""
    other_labels_reason: str = ""
    """Reason for `other_labels`, as a clause: the convention that the corpus's users follow."""
    genders: Mapping[str, int] = field(default_factory=dict)
    """Official number of speakers per gender."""
    dimensions: Mapping[str, Range] = field(default_factory=dict)
    """Dimensions that the corpus's annotations have, each with its range."""
    protocol: str = ""
    """Split protocol by default; empty: `column` where each clip names its part, else `paper`."""
    protocol_reason: str = ""
    """Reason for the default, and other protocols that suit the corpus."""
    folds: tuple[tuple[str, ...], ...] = ()
    """Speakers of each fold that was published for the corpus, for the protocol `published`; () where none was."""
    sentences: Mapping[str, str] = field(default_factory=dict)
    """Words of each prompt, where prompts are ids of known sentences."""
    prompt_is_text: bool = False
    """True if a prompt is the spoken words themselves."""
    is_format: bool = False
    """True for a layout of the user's own collections, each of which has a name of its own."""
    write: Callable[..., tuple[str, ...]] | None = None
    """`write(manifest, folder, *, folds, copy)` lists the clips in an empty folder and returns notes on what it cannot
    hold; None for a layout that is only read. Files of clips are absolute, or relative to the folder."""
    is_listing: bool = False
    """True for a layout of plain lists of clips, of which several may be the parts of a split."""
    holds_folds: bool = False
    """True if `write` takes several folds."""
    embeds_audio: bool = False
    """True if the format has the audio inside its rows, so that `write` copies it itself."""
    rank: int = 0
    """Place in the order in which a path is tried: published layouts (0) before general ones."""

    @property
    def classes(self) -> dict[str, int]:
        """Official number of clips per class, without the labels that are left out by default."""
        return Labelling(other_labels=self.other_labels).official_classes(self.official)

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes by default, in canonical order."""
        return in_order({*self.classes, *self.uncounted})

    @property
    def clips(self) -> int:
        """Official number of clips, without those left out by default; 0 where there is none."""
        return sum(self.classes.values())

    @property
    def speakers(self) -> int:
        """Official number of speakers; 0 where there is none."""
        return sum(self.genders.values())

    def labelling(
        self, label_map: Mapping[str, str] | None = None, *, other_labels: Mapping[str, str] | None = None
    ) -> Labelling:
        """The classes of this corpus's labels for one reading; an option may replace the record's `other_labels`."""
        return Labelling(
            other_labels=self.other_labels if other_labels is None else other_labels, label_map=label_map or {}
        )

    def manifest(
        self,
        root: Path,
        clips: Iterable[Clip],
        *,
        labelling: Labelling | None = None,
        counts: Counter[str] | None = None,
        official: Mapping[str, int] | None = None,
        notes: Sequence[str] = (),
        strict: bool = False,
        dimensions: Mapping[str, Range] | None = None,
    ) -> Manifest:
        """The manifest of this corpus: clips under its name, with their words, its licence and official counts.

        `counts` are the clips per official label, before a label map changed any (default: those of `labelling`); they
        are compared with `official` (default: the record's), unless the audio is synthetic. Under `strict` a
        difference raises UserError. `labelling` also tells what was mapped or left out, which becomes notes.
        `dimensions` (default: the record's) are kept where a clip has a value of them.
        """
        clips = tuple(self._completed(clip) for clip in clips)
        synthetic = is_synthetic(root)
        official = dict(self.official if official is None else official)
        classes = official
        if labelling is not None:
            counts = labelling.compared() if counts is None else counts
            official, classes = labelling.official(official), labelling.official_classes(official)
            notes = (*notes, *labelling.notes(self.other_labels_reason))
        if official and not synthetic:
            counts = Counter(clip.emotion for clip in clips) if counts is None else counts
            if sum(counts.values()) < sum(official.values()):
                notes = (*notes, *archives_beside(root))
            notes = (*notes, *compare_counts(self.title, counts, official, strict=strict))
        present = {name for clip in clips for name, _ in clip.dimensions}
        ranges = self.dimensions if dimensions is None else dimensions
        return Manifest(
            corpus=self.name,
            root=root,
            clips=clips,
            synthetic=synthetic,
            licence=f"synthetic, not the corpus (whose licence is {self.licence})" if synthetic else self.licence,
            official=classes,
            notes=tuple(notes),
            protocol=self.protocol,
            folds=self.folds,
            dimensions={name: scale for name, scale in ranges.items() if name in present},
            relabelled=None if labelling is None else labelling.relabelled,
        )

    def _completed(self, clip: Clip) -> Clip:
        """The clip under the corpus's name, with its words where the prompt tells them."""
        words = clip.prompt if self.prompt_is_text else self.sentences.get(clip.prompt or "")
        return replace(clip, corpus=self.name, sentence=clip.sentence or words)

    def settings(self, options: Mapping[str, str]) -> dict[str, Any]:
        """Options as the reader takes them; UserError for one that is unknown or has no such value."""
        return {name: self._converted(name, text) for name, text in options.items()}

    def _converted(self, name: str, text: str) -> Any:
        if name not in self.options:
            raise unknown(f"option for {self.name}", name, self.options, hint="" if self.options else "Leave it out.")
        try:
            return self.options[name].convert(text)
        except ValueError as problem:
            raise UserError(f"option {name}={text!r} {problem}") from None
