"""One call from `NAME=PATH` to the listing of a corpus of speech with sentences."""

from __future__ import annotations

from pathlib import Path

from affetto.corpora import folders
from affetto.corpora.transcribed import commonvoice, transcripts
from affetto.corpora.transcribed.speech import SpeechCorpus
from affetto.errors import UserError, unknown

SPEECH_CORPORA = (commonvoice.NAME, "table", "folder")


def open_speech(
    name: str | None, path: Path, *, split: str | None = None, language: str | None = "it", with_sentences: bool = True
) -> SpeechCorpus:
    """The corpus at `path`: read as `name` says (one of `SPEECH_CORPORA`), or by what it looks like.

    `split` is Common Voice's; `with_sentences` says whether they are needed. Raises UserError.
    """
    path = Path(path).expanduser()
    if name is not None and name not in SPEECH_CORPORA:
        raise unknown("corpus of speech", name, SPEECH_CORPORA, hint="Emotion corpora have no sentences to learn from.")
    kind = name or _detected(path)
    if split is not None and kind != commonvoice.NAME:
        raise UserError(f"--split {split}: only common-voice has splits, {path} is a {kind}; leave it out")
    if kind == commonvoice.NAME:
        return commonvoice.read(path, split=split or "validated", language=language)
    if kind == "table":
        return transcripts.read_table(path, with_sentences=with_sentences)
    if with_sentences:
        raise UserError(
            f"{path} is a folder of audio, which has no sentences: use the objective masked, or give a table with file "
            "and sentence"
        )
    return transcripts.read_folder(path)


def _detected(path: Path) -> str:
    if commonvoice.matches(path):
        return commonvoice.NAME
    if transcripts.is_table(path):
        return "table"
    folders.existing_folder(path, "speech")
    return "folder"
