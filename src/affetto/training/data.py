"""Data of a run: its corpora read and merged, unusable clips left out or refused, the split made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from affetto.audio.changes import Change
from affetto.corpora.content import Content
from affetto.corpora.manifest import Manifest
from affetto.errors import UserError
from affetto.models.methods.registry import METHODS
from affetto.models.prefix import Source
from affetto.splits import Split, make_split
from affetto.targets.registry import choose_target
from affetto.targets.target import Target, TargetSettings
from affetto.training.auxiliary import Auxiliary, check_names, select
from affetto.training.clips import read_auxiliary, read_clips, refuse_or_name, say_silent
from affetto.training.contents import contents_of, marks_of
from affetto.training.copies import Copies
from affetto.training.effects import find_unsuited
from affetto.training.noise import Noise
from affetto.training.sections import Settings
from affetto.training.spec import RunSpec, without_effect


@dataclass
class Data:
    """Clips by id: their audio, its digest; the split; and what was left out as unusable."""

    manifest: Manifest
    split: Split
    target: Target
    sources: dict[str, Source]
    digests: dict[str, str]
    left_out: dict[str, str]
    split_of: Callable[[Manifest], tuple[Target, Split]]
    """Function from clips to their target and split, as the run asks for them: for the rest where some have to go."""
    contents: dict[str, Content] = field(default_factory=dict)
    """Content of each clip, by which it is recognised however it is stored."""
    auxiliary: Auxiliary = field(default_factory=Auxiliary)
    """Clips of other corpora that join the training part of every fold; `sources` and `digests` have them too."""
    auxiliary_corpora: tuple[Manifest, ...] = ()
    """The auxiliary corpora with all of their usable clips, of which `auxiliary` is a selection."""
    changes: tuple[Change, ...] = ()
    """Changes under which each training clip has a copy."""
    changes_auxiliary: bool = False
    """True if auxiliary clips have copies too."""
    makes_final: bool = True
    """True if a final model, behind several folds, learns from all clips."""
    noise: Noise | None = None
    """Recordings of noise for the augmentation; None: white noise, or none."""
    copies: Copies = field(default_factory=Copies)
    """Copies of the clips that a fold, or the final model, learns from; `sources` and `digests` have them too."""
    allow_duplicates: bool = False
    is_final: bool = False
    """True if split and digests have become part of a run's identity, so that no clip may go any more."""

    def audio_digest(self) -> str:
        """SHA-256 over the audio of all clips."""
        return hashlib.sha256("".join(self.digests[clip.id] for clip in self.manifest.clips).encode()).hexdigest()

    def drop(self, bad: dict[str, str], say: Callable[[str], None]) -> None:
        """Leave clips out, {id: problem}, and split and audit what remains anew.

        Raises UserError where no split can be made of it.
        """
        assert not self.is_final
        before = self.split.notes
        self.manifest = self.manifest.only(lambda clip: clip.id not in bad)
        corpora = (corpus.only(lambda clip: clip.id not in bad) for corpus in self.auxiliary_corpora)
        self.auxiliary_corpora = tuple(corpora)
        self.target, self.split = self.split_of(self.manifest)
        self.left_out = self.left_out | bad
        self.select_auxiliary()
        for note in self.split.notes:
            if note not in before:
                say(f"note: {note}")

    def select_auxiliary(self) -> None:
        """Select the auxiliary clips that the target and the split allow. Raises UserError as `auxiliary.select`."""
        self.auxiliary = select(
            self.auxiliary_corpora,
            self.manifest,
            self.target,
            self.split,
            digests=self.digests,
            contents=self.contents,
            allow_duplicates=self.allow_duplicates,
        )
        self.split = self.auxiliary.recorded(self.split)
        self.sources = {clip.id: self.sources[clip.id] for clip in (*self.manifest.clips, *self.auxiliary.clips)}
        self._make_copies()

    def _make_copies(self) -> None:
        """Make copies of the clips that a fold's model or the final one learns from."""
        folds = self.split.folds
        learned = {clip for fold in folds for clip in (*fold.train, *fold.validation)}
        learns_from_all = self.makes_final and len(folds) > 1
        clips = [clip.id for clip in self.manifest.clips if learns_from_all or clip.id in learned]
        clips += self.auxiliary.ids if self.changes_auxiliary else ()
        self.copies = Copies.make(
            self.changes, clips, sources=self.sources, digests=self.digests, left_out=self.left_out
        )
        self.sources |= self.copies.sources
        self.digests |= self.copies.digests

    def training_ids(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Training clips of the tested corpus, behind them the auxiliary clips, and then the copies of both."""
        clips = self.auxiliary.join(ids)
        return (*clips, *self.copies.of(clips))

    def auxiliary_facts(self) -> dict[str, Any]:
        """Digests of the auxiliary corpora for the identity; {} for a run without them, as runs ever had it."""
        digests = self.auxiliary.digests(self.digests, with_annotations=self.target.learns_from_annotations)
        return {"auxiliary": digests} if digests else {}

    def noise_facts(self) -> dict[str, Any]:
        """Digest of the recorded noise for the identity; {} for a run without it."""
        return {} if self.noise is None else {"noise": self.noise.digest}

    def factors(self, settings: Settings, clips: int, *, drawn_evenly: bool = False) -> dict[str, float]:
        """Factor on the loss of each auxiliary clip beside so many training clips of the tested corpus, and of copies.

        `drawn_evenly`: True for clips that are drawn so that corpora are even already: their weight alone acts.
        {} where all clips count alike.
        """
        weight, balanced = settings.auxiliary.weight, settings.auxiliary.balance == "corpus" and not drawn_evenly
        factors = {
            clip.id: weight * (clips / len(manifest.clips) if balanced else 1.0)
            for manifest in self.auxiliary.manifests
            for clip in manifest.clips
            if balanced or weight != 1.0
        }
        return self.copies.spread(factors) if drawn_evenly else self.copies.shared(factors)

    def strata(self, clips: Sequence[str], truth: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
        """Corpus and class of each of these clips; `truth` by clip id, as `Target.encode` gives it."""
        corpora = self.copies.spread({c.id: c.corpus for c in (*self.manifest.clips, *self.auxiliary.clips)})
        classes = self.target.called(np.array([truth[clip] for clip in clips]))
        return {clip: (corpora[clip], int(number)) for clip, number in zip(clips, classes, strict=True)}

    def people(self, kind: str) -> dict[str, str]:
        """The `speaker` or `gender` of each clip that has one, auxiliary clips and copies too."""
        names = {clip.id: getattr(clip, kind) for clip in (*self.manifest.clips, *self.auxiliary.clips)}
        return {clip: name for clip, name in self.copies.spread(names).items() if name is not None}

    def standardised_apart(self, settings: Settings) -> dict[str, str]:
        """Corpus of each auxiliary clip, and copy, that is standardised by its own corpus; {} where all are pooled."""
        if settings.auxiliary.standardise == "pooled":
            return {}
        return self.copies.spread({clip.id: clip.corpus for clip in self.auxiliary.clips})

    @property
    def corpus(self) -> str:
        """Name of the tested corpus and of those that join its training."""
        names = (f"{corpus.corpus} (auxiliary)" for corpus in self.auxiliary.manifests)
        return " + ".join((self.manifest.corpus, *names))

    @property
    def licence(self) -> str:
        """Licences of all corpora that are learned from: each binds what is made of its clips."""
        licences = (corpus.licence for corpus in (self.manifest, *self.auxiliary.manifests))
        return "; ".join(dict.fromkeys(licence for licence in licences if licence))

    @property
    def is_synthetic(self) -> bool:
        """True if this project synthesised the audio of a corpus that is learned from."""
        return any(corpus.synthetic for corpus in (self.manifest, *self.auxiliary.manifests))

    def seen_clips(self, fold: str | None) -> list[dict[str, Any]]:
        """Lines of the clips that a fold's model, or the final one (None), has learned from or was chosen by.

        A later test leaves them out.
        """
        unseen: set[str] = set()
        if fold is not None:
            parts = self.split.fold(fold)
            unseen = {clip.id for clip in self.manifest.clips} - {*parts.train, *parts.validation}
        return [
            {"clip": clip.name, "corpus": clip.corpus, "speaker": clip.speaker, "audio": self.digests[clip.id]}
            | marks_of(self.contents.get(clip.id))
            for clip in (*self.manifest.clips, *self.auxiliary.clips)
            if clip.id not in unseen
        ]


def read(spec: RunSpec, say: Callable[[str], None]) -> Data:
    """The data of a run; `say` is told what a person should know. Raises UserError for what the user can mend."""
    manifest, sources, digests, bad = read_clips(
        spec.corpora, spec.labels, say, keep_other=spec.keep_other, beside=spec.auxiliary
    )
    if bad:
        refuse_or_name(bad, len(manifest.clips), spec.skip_bad, say)
        manifest = manifest.only(lambda clip: clip.id not in bad)
    corpora = []
    for corpus in spec.auxiliary:
        auxiliary, more_sources, more_digests, more_bad = read_auxiliary(corpus, spec, say)
        corpora.append(auxiliary)
        sources, digests, bad = sources | more_sources, digests | more_digests, bad | more_bad
    check_names(manifest, corpora)
    usable = [clip.id for clips in (manifest, *corpora) for clip in clips.clips]
    contents = contents_of({clip: sources[clip] for clip in usable}, digests)
    for clips in (manifest, *corpora):
        say_silent(clips, contents, say)

    target, split = target_and_split(spec, contents, manifest, say)
    if unsuited := find_unsuited(spec.settings, METHODS.find(spec.method), target):
        raise UserError(unsuited)
    data = Data(
        manifest=manifest,
        split=split,
        target=target,
        sources=sources,
        digests=digests,
        left_out=bad,
        split_of=partial(target_and_split, spec, contents),
        contents=contents,
        auxiliary_corpora=tuple(corpora),
        changes=spec.settings.augment.changes,
        noise=noise_of(spec),
        changes_auxiliary=spec.settings.augment.copies_auxiliary,
        makes_final=spec.makes_final,
        allow_duplicates=spec.allow_duplicates,
    )
    data.select_auxiliary()
    for note in data.split.notes:
        say(f"note: {note}")
    return data


def target_and_split(
    spec: RunSpec,
    contents: Mapping[str, Content],
    clips: Manifest,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Target, Split]:
    """The target and the split of clips, as a run asks for them. Raises UserError where they allow none."""
    target = choose_target(spec.target, clips, TargetSettings(**spec.settings.target.model_dump()), say)
    split = make_split(
        clips,
        spec.split,
        seed=spec.split_seed,
        contents=contents,
        allow_duplicates=spec.allow_duplicates,
        strata=target.strata(clips.clips),
        speakers=spec.settings.training.speakers,
        speakers_seed=spec.seed,
    )
    return target, split


def noise_of(spec: RunSpec) -> Noise | None:
    """The recorded noise that a run's settings name and use. Raises UserError as `Noise.read`."""
    folder = spec.settings.augment.noise_folder
    if folder is None or without_effect(spec.settings, spec.method, "augment.noise_folder"):
        return None
    return Noise.read(folder)
