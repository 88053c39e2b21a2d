"""Clips of a run's corpora, tested and auxiliary: read with their labels, and those that cannot be used named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from affetto.audio import AudioError
from affetto.corpora.content import Content
from affetto.corpora.manifest import Manifest, merge
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.models.prefix import Source
from affetto.training.auxiliary import own_names
from affetto.training.scopes import address_advice, labels_of
from affetto.training.spec import CorpusSpec, RunSpec

SILENT_EXAMPLES = 3


def read_auxiliary(
    corpus: CorpusSpec, spec: RunSpec, say: Callable[[str], None]
) -> tuple[Manifest, dict[str, Source], dict[str, str], dict[str, str]]:
    """An auxiliary corpus of a run, without unusable clips; sources, digests and problems as of `read_clips`."""
    name = corpus.address

    def of_corpus(text: str) -> str:
        return address_advice(text.replace("--corpus ", "--auxiliary "), name)

    def say_of_corpus(text: str) -> None:
        say(of_corpus(text).replace("note: ", f"note: {name}: ", 1))

    try:
        manifest, sources, digests, bad = read_clips(
            (corpus,),
            spec.labels,
            say_of_corpus,
            keep_other=spec.keep_other,
            beside=(*spec.corpora, *spec.auxiliary),
        )
    except UserError as problem:
        raise UserError(f"auxiliary corpus {name}: {of_corpus(str(problem))}") from None
    if bad:
        refuse_or_name(bad, len(manifest.clips), spec.skip_bad, say)
        manifest = manifest.only(lambda clip: clip.id not in bad)
    return own_names(manifest), sources, digests, bad


def read_clips(
    corpora: tuple[CorpusSpec, ...],
    labels: dict[str, str],
    say: Callable[[str], None],
    *,
    keep_other: bool = False,
    beside: tuple[CorpusSpec, ...] = (),
) -> tuple[Manifest, dict[str, Source], dict[str, str], dict[str, str]]:
    """The merged manifest; by clip id each one's source, its digest, or the problem of one that cannot be read.

    `beside`: other corpora of the run, whose own entries `labels` may have.
    """
    every = (*corpora, *beside)
    manifest = merge(
        [_manifest(corpus, labels_of(labels, corpus, every), keep_other, len(corpora)) for corpus in corpora]
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


def _manifest(corpus: CorpusSpec, labels: dict[str, str], keep_other: bool, number: int) -> Manifest:
    """The manifest of one of a number of corpora, with advice that holds for it and for no other."""
    try:
        manifest = open_corpus(
            corpus.name, Path(corpus.path), label_map=labels, options=corpus.options, keep_other=keep_other
        )
    except UserError as problem:
        raise UserError(address_advice(str(problem), corpus.address, always=number > 1)) from None
    notes = tuple(address_advice(note, corpus.address, always=number > 1) for note in manifest.notes)
    return replace(manifest, notes=notes)


def say_silent(clips: Manifest, contents: Mapping[str, Content], say: Callable[[str], None]) -> None:
    """Name the silent clips of a corpus: they are used all the same, as in every published result on it."""
    silent = [clip.name for clip in clips.clips if contents.get(clip.id) == Content()]
    if silent:
        verb, more = ("is", "") if len(silent) == 1 else ("are", ", …" if len(silent) > SILENT_EXAMPLES else "")
        say(
            f"note: {len(silent)} of {len(clips.clips)} clips of {clips.corpus} {verb} silent, and used all the same: "
            f"{', '.join(silent[:SILENT_EXAMPLES])}{more}"
        )


def refuse_or_name(bad: dict[str, str], clips: int, skip: bool, say: Callable[[str], None]) -> None:
    """Unusable clips are an error, unless the user has said to skip them; then each is named."""
    if not skip:
        raise UserError(
            f"{len(bad)} of {clips} clips cannot be used. {next(iter(bad.values()))}. "
            "Mend them, or leave them out with --skip-bad"
        )
    for problem in bad.values():
        say(f"left out: {problem}")
