"""Listings of recorded speech: files, speakers and sentences, without emotions. Audio is read when it is needed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording. `seconds` is its length as the corpus states it, None where it states none."""

    file: str
    """Relative to the corpus's root, with forward slashes; absolute only where a table says so."""
    speaker: str
    sentence: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class Listing:
    """The utterances of one corpus. `version`, `language` and `split` are None where it states none."""

    name: str
    root: Path
    utterances: tuple[Utterance, ...]
    version: str | None = None
    language: str | None = None
    split: str | None = None
    licence: str | None = None
    synthetic: bool = False
    has_speakers: bool = True
    """False where nobody knows who speaks: every clip counts as a speaker of its own."""
    notes: tuple[str, ...] = ()

    def path(self, utterance: Utterance) -> Path:
        return self.root / utterance.file


def unknown_speakers_note(path: Path) -> str:
    """The note on a corpus without speakers."""
    return f"{path} does not say who speaks: a speaker may both train and validate, so the losses flatter"
