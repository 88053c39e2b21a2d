"""All corpora of speech by name, and the one call that turns `NAME=PATH` into a listing."""

from __future__ import annotations

from pathlib import Path

from affetto.corpora import folders
from affetto.corpora.transcribed.corpus import Request, TranscribedCorpus
from affetto.corpora.transcribed.listing import Listing
from affetto.errors import UserError
from affetto.registry import Registry

TRANSCRIBED = Registry(
    kind="corpus of speech",
    record=TranscribedCorpus,
    packages=("affetto.corpora.transcribed",),
    group="affetto.transcribed_corpora",
    order=lambda corpus: (corpus.rank, corpus.name),
)
"""Corpora of speech by name; plug-ins register by the entry points `affetto.transcribed_corpora`."""


def open_speech(
    name: str | None, path: Path, *, split: str | None = None, language: str | None = "it", with_sentences: bool = True
) -> Listing:
    """The listing of the corpus at `path`, read as `name` says (a key of `TRANSCRIBED`) or by its layout.

    `split` is for corpora that have several; `with_sentences` is True where each clip needs one. Raises UserError.
    """
    path = Path(path).expanduser()
    if name is None:
        corpus = _detect(path)
    else:
        corpus = TRANSCRIBED.find(name, hint="Emotion corpora have no sentences to learn from.")
    if split is not None and not corpus.splits:
        owners = " and ".join(record.name for record in TRANSCRIBED.values() if record.splits)
        raise UserError(f"--split {split}: only {owners} has splits, {path} is a {corpus.name}; leave it out")
    if with_sentences and not corpus.has_sentences:
        raise UserError(
            f"{path} is a {corpus.title}, which has no sentences: use the objective masked, or give a table with file "
            "and sentence"
        )
    split = split or next(iter(corpus.splits), None)
    return corpus.read(path, Request(split, language, with_sentences))


def _detect(path: Path) -> TranscribedCorpus:
    for corpus in TRANSCRIBED.values():
        if corpus.matches(path):
            return corpus
    folders.existing_folder(path, "speech")
    raise UserError(f"{path} looks like no known corpus of speech; name one of {', '.join(TRANSCRIBED)}")
