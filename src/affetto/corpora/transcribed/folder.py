"""A folder of audio, for the objective `masked`, which needs no sentences. Folders in it are taken for speakers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from affetto.corpora import folders
from affetto.corpora.amounts import amount
from affetto.corpora.names import abbreviated, unified
from affetto.corpora.transcribed.corpus import Request, TranscribedCorpus
from affetto.corpora.transcribed.listing import Listing, Utterance, unknown_speakers_note
from affetto.errors import UserError


def matches(path: Path) -> bool:
    """True for any folder: this layout is tried last."""
    return path.is_dir()


def read(path: Path, request: Request) -> Listing:
    """All audio in a folder; the folders within it are the speakers, where there are two or more.

    Folders within these, such as chapters, belong to their speaker: who validates must not be heard in training.
    """
    root = folders.existing_folder(path, "speech")
    files = list(folders.walk_audio(root))
    if not files:
        raise UserError(f"{root}: no audio in it; found {folders.found_in(root)}. Give a folder that holds recordings")
    parents = {file.rpartition("/")[0] for file in files}
    grouped = len(parents) > 1
    above = len(PurePosixPath(os.path.commonpath(parents)).parts) if all(parents) else 0

    def speaker(file: str) -> str:
        return unified("/".join(PurePosixPath(file).parent.parts[: above + 1]))

    utterances = tuple(Utterance(file, speaker(file) if grouped else file) for file in files)
    speakers = sorted({utterance.speaker for utterance in utterances})
    return Listing(
        name=root.name,
        root=root,
        has_speakers=grouped,
        synthetic=folders.is_synthetic(root),
        utterances=utterances,
        notes=(_speakers_note(root, speakers) if grouped else unknown_speakers_note(root),),
    )


def _speakers_note(root: Path, speakers: Sequence[str]) -> str:
    return (
        f"{root}: {amount(len(speakers), 'speaker')}, one per folder ({abbreviated(speakers)}); if these are sets of "
        "recordings and not people, give a table with a column speaker"
    )


CORPUS = TranscribedCorpus(
    name="folder", title="folder of audio", matches=matches, read=read, has_sentences=False, rank=2
)
