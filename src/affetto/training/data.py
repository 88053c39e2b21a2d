"""Data of a run: its corpora read and merged, unusable clips left out or refused, the split made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from affetto.audio import AudioError
from affetto.corpora.content import Content
from affetto.corpora.manifest import Manifest, merge
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.models.prefix import Source
from affetto.splits import Split, make_split
from affetto.targets.registry import choose_target
from affetto.targets.target import Target, TargetSettings
from affetto.training.contents import contents_of
from affetto.training.spec import CorpusSpec, RunSpec


@dataclass
class Data:
    """Clips by id: where their audio lies, its digest; the split; and what was left out as unusable."""

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
        manifest = self.manifest.only(lambda clip: clip.id not in bad)
        target, split = self.split_of(manifest)
        for note in split.notes:
            if note not in self.split.notes:
                say(f"note: {note}")
        self.manifest, self.target, self.split, self.left_out = manifest, target, split, self.left_out | bad
        self.sources = {clip.id: self.sources[clip.id] for clip in manifest.clips}


def read(spec: RunSpec, say: Callable[[str], None]) -> Data:
    """The data of a run; `say` is told what a person should know. Raises UserError for what the user can mend."""
    manifest, sources, digests, bad = read_clips(spec.corpora, spec.labels, say, keep_other=spec.keep_other)
    if bad:
        refuse_or_name(bad, len(manifest.clips), spec.skip_bad, say)
        manifest = manifest.only(lambda clip: clip.id not in bad)
    contents = contents_of({clip.id: sources[clip.id] for clip in manifest.clips}, digests)

    def split_of(clips: Manifest, say: Callable[[str], None] = lambda _: None) -> tuple[Target, Split]:
        settings = TargetSettings(**spec.settings.target.model_dump())
        target = choose_target(spec.target, clips, settings, say)
        return target, make_split(
            clips,
            spec.split,
            seed=spec.split_seed,
            contents=contents,
            allow_duplicates=spec.allow_duplicates,
            strata=target.strata(clips.clips),
        )

    target, split = split_of(manifest, say)
    for note in split.notes:
        say(f"note: {note}")
    sources = {clip.id: sources[clip.id] for clip in manifest.clips}
    return Data(
        manifest=manifest,
        split=split,
        target=target,
        sources=sources,
        digests=digests,
        left_out=bad,
        split_of=split_of,
        contents=contents,
    )


def read_clips(
    corpora: tuple[CorpusSpec, ...], labels: dict[str, str], say: Callable[[str], None], *, keep_other: bool = False
) -> tuple[Manifest, dict[str, Source], dict[str, str], dict[str, str]]:
    """The merged manifest; by clip id each one's source, its digest, or the problem of one that cannot be read."""
    manifest = merge(
        [
            open_corpus(corpus.name, Path(corpus.path), label_map=labels, options=corpus.options, keep_other=keep_other)
            for corpus in corpora
        ]
    )
    for note in manifest.notes:
        say(f"note: {note}")
    sources = {clip.id: Source(manifest.path(clip), clip.start, clip.end) for clip in manifest.clips}

    def digest(source: Source) -> str | AudioError:
        try:
            return source.digest()
        except AudioError as problem:
            return problem

    with ThreadPoolExecutor() as pool:
        digests = dict(zip(sources, pool.map(digest, sources.values()), strict=True))
    bad = {clip_id: str(value) for clip_id, value in digests.items() if isinstance(value, AudioError)}
    return manifest, sources, {i: value for i, value in digests.items() if isinstance(value, str)}, bad


def refuse_or_name(bad: dict[str, str], clips: int, skip: bool, say: Callable[[str], None]) -> None:
    """Unusable clips are an error, unless the user has said to skip them; then each is named."""
    if not skip:
        raise UserError(
            f"{len(bad)} of {clips} clips cannot be used. {next(iter(bad.values()))}. "
            "Mend them, or leave them out with --skip-bad"
        )
    for problem in bad.values():
        say(f"left out: {problem}")
