"""The record of a corpus of speech for specialisation: its facts, and the functions that recognise and read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from affetto.corpora.transcribed.listing import Listing


@dataclass(frozen=True)
class Request:
    """The part of a corpus that a specialisation needs."""

    split: str | None = None
    """One of the corpus's splits; None for a corpus without any."""
    language: str | None = "it"
    """Code of the language, as in `it`; None for whatever it is."""
    with_sentences: bool = True
    """True if the objective learns from sentences, so that each clip needs one."""


@dataclass(frozen=True, kw_only=True)
class TranscribedCorpus:
    """Facts of one corpus or layout of speech, and its reader."""

    name: str
    """Key in `affetto specialize --corpus NAME=PATH`."""
    title: str
    matches: Callable[[Path], bool]
    """True for a path that holds this corpus; decides by names alone, and raises nothing."""
    read: Callable[[Path, Request], Listing]
    """Returns the listing; raises UserError."""
    has_sentences: bool = True
    splits: tuple[str, ...] = ()
    """Parts that a user can choose with `--split`; the first is the default."""
    licence: str = ""
    source: str = ""
    citation: str = ""
    rank: int = 0
    """Place in the order in which a path is tried: published layouts (0) before general ones."""
