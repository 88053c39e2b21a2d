"""A corpus as a list of labelled clips: what every reader returns and everything else takes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from affetto.corpora.annotations import Range, Rating, shares
from affetto.corpora.labelling import Relabelling
from affetto.corpora.labels import EMOTIONS, in_order
from affetto.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GENDERS = ("female", "male", "other")
PARTS = ("train", "validation", "test")
"""The parts of a split, as a table's `split` column and a split file name them."""


class NoClipsError(UserError):
    """A corpus without clips: it holds no labelled clip, or all were left out."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One labelled recording, or the part of one between `start` and `end`.

    `emotion` is the consensus of the raters where there are several, and "" where a corpus has dimensions alone.
    `file` is relative to the manifest's root (POSIX form) or absolute; `start` and `end` in seconds.
    """

    file: str
    emotion: str
    speaker: str
    corpus: str = ""
    gender: str | None = None
    prompt: str | None = None
    part: str | None = None
    start: float | None = None
    end: float | None = None
    extra: tuple[tuple[str, str], ...] = ()
    """Further facts of the corpus (rater agreement, prototypicality), as sorted name-value pairs."""
    sentence: str | None = None
    """The spoken words, where they are known: a prompt may be an id."""
    labels: tuple[str, ...] = ()
    """All labels of a clip that has several, in canonical order; `emotion` is the first that was named."""
    ratings: tuple[Rating, ...] = ()
    """The answers of the raters, where they are known."""
    dimensions: tuple[tuple[str, float], ...] = ()
    """Values of dimensions, sorted by name: the corpus's own, else the mean over the ratings."""

    @property
    def name(self) -> str:
        """Name of the clip within its manifest: the file, and the section where there is one."""
        if self.start is None and self.end is None:
            return self.file
        # Ten digits tell sections apart to the microsecond in the longest recordings.
        return f"{self.file}#{self.start or 0:.10g}-{'' if self.end is None else format(self.end, '.10g')}"

    def shares(self, labels: Sequence[str]) -> NDArray[np.float64]:
        """Share of the raters' votes that each of the labels has, (labels,); see `annotations.shares`."""
        return shares(self.ratings, labels)

    @property
    def id(self) -> str:
        """Name of the clip among several corpora."""
        return f"{self.corpus}:{self.name}"


@dataclass(frozen=True)
class Origin:
    """A corpus that clips come from."""

    corpus: str
    key: str
    """Name of the record that read it."""
    licence: str
    synthetic: bool


@dataclass(frozen=True)
class Manifest:
    """Clips in a fixed order (sorted by name), and facts of the corpus."""

    corpus: str
    root: Path
    clips: tuple[Clip, ...]
    synthetic: bool = False
    """True if a marker says that this project synthesised the audio."""
    licence: str = ""
    official: dict[str, int] = field(default_factory=dict)
    """Official number of clips per emotion; {} where there is none."""
    notes: tuple[str, ...] = ()
    """Warnings of the reader: files that were passed over, counts that differ."""
    roots: dict[str, Path] = field(default_factory=dict)
    """Folder of each corpus, in a manifest of several (`merge`)."""
    protocol: str = ""
    """Default split protocol of the corpus; empty where the general rule holds (`splits.default_protocol`)."""
    folds: tuple[tuple[str, ...], ...] = ()
    """Speakers of each fold that was published for the corpus; () where none was."""
    dimensions: Mapping[str, Range] = field(default_factory=dict)
    """Range of each dimension that the clips have values of; {} where there is none."""
    unequal_dimensions: tuple[str, ...] = ()
    """Dimensions that some of several corpora lack, or have with another range."""
    key: str = ""
    """Name of the record that read the corpus, whatever name the user gave it; of several corpora joined by `+`."""
    joined: tuple[Origin, ...] = ()
    """Corpora of a manifest of several (`merge`)."""
    relabelled: tuple[Relabelling, ...] | None = None
    """Labels whose clips were left out or count as another class; None where the reader does not count them."""

    def __post_init__(self) -> None:
        if not self.clips:
            raise NoClipsError(f"no clips in {self.root}: none is listed, or all are left out; check the folder")
        names = Counter(clip.id for clip in self.clips)
        name, times = names.most_common(1)[0]
        if times > 1:
            raise UserError(f"{self.root}: clip {name!r} is listed {times} times; each clip may be listed once")
        object.__setattr__(self, "clips", tuple(sorted(self.clips, key=lambda clip: clip.id)))

    def path(self, clip: Clip) -> Path:
        return self.roots.get(clip.corpus, self.root) / clip.file

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Corpora of the clips: one, or those that were joined."""
        single = Origin(corpus=self.corpus, key=self.key, licence=self.licence, synthetic=self.synthetic)
        return self.joined or (single,)

    @property
    def labels(self) -> tuple[str, ...]:
        """Emotions of the clips, in canonical order; () where the clips have dimensions alone."""
        return in_order({clip.emotion for clip in self.clips} - {""})

    @property
    def every_label(self) -> tuple[str, ...]:
        """All labels of the clips, those of clips with several too, in canonical order."""
        return in_order({label for clip in self.clips for label in (*clip.labels, clip.emotion)} - {""})

    @property
    def speakers(self) -> tuple[str, ...]:
        return tuple(sorted({clip.speaker for clip in self.clips}))

    def per_emotion(self) -> dict[str, int]:
        """Clips per emotion; the seven canonical ones are always there."""
        count = Counter(clip.emotion for clip in self.clips)
        extra = [label for label in self.labels if label not in EMOTIONS]
        return {label: count[label] for label in (*EMOTIONS, *extra)}

    def only(self, keep: Callable[[Clip], bool], note: str = "") -> Manifest:
        """The manifest of the clips that `keep` accepts."""
        clips = tuple(clip for clip in self.clips if keep(clip))
        return replace(self, clips=clips, notes=(*self.notes, note) if note else self.notes)

    def checksum(self, *, with_annotations: bool = False) -> str:
        """SHA-256 over everything but the audio that a result depends on: names, labels, speakers, parts.

        Results on one label a clip depend on no more. `with_annotations` adds several labels, ratings and dimensions.
        """
        digest = hashlib.sha256()
        for clip in self.clips:
            fields = (clip.corpus, clip.name, clip.emotion, clip.speaker, clip.gender, clip.prompt, clip.part)
            digest.update("\x1f".join("" if f is None else f for f in fields).encode() + b"\x1e")
            if with_annotations and (clip.labels or clip.ratings or clip.dimensions):
                digest.update(repr((clip.labels, clip.ratings, clip.dimensions)).encode() + b"\x1e")
        return digest.hexdigest()


def merge(manifests: list[Manifest]) -> Manifest:
    """One manifest of several corpora; speakers and prompts get their corpus's name in front.

    Its `dimensions` are those that all corpora have with one range; the clips keep all values of theirs.
    """
    if len(manifests) == 1:
        return manifests[0]
    names = [manifest.corpus for manifest in manifests]
    if len(set(names)) < len(names):
        raise UserError(f"two corpora are named alike ({', '.join(names)}): name each of them, as --corpus NAME=PATH")
    clips = [
        replace(
            clip,
            corpus=manifest.corpus,
            speaker=f"{manifest.corpus}:{clip.speaker}",
            prompt=clip.prompt and f"{manifest.corpus}:{clip.prompt}",
        )
        for manifest in manifests
        for clip in manifest.clips
    ]
    ranges = [set(manifest.dimensions.items()) for manifest in manifests]
    shared = set.intersection(*ranges)
    return Manifest(
        corpus="+".join(names),
        root=manifests[0].root,
        clips=tuple(clips),
        synthetic=any(manifest.synthetic for manifest in manifests),
        licence="; ".join(dict.fromkeys(m.licence for m in manifests if m.licence)),
        notes=tuple(f"{m.corpus}: {note}" for m in manifests for note in m.notes),
        roots={manifest.corpus: manifest.root for manifest in manifests},
        dimensions={name: scale for name, scale in manifests[0].dimensions.items() if (name, scale) in shared},
        unequal_dimensions=tuple(sorted({name for name, _ in set.union(*ranges) - shared})),
        key="+".join(manifest.key for manifest in manifests),
        joined=tuple(origin for manifest in manifests for origin in manifest.origins),
    )
