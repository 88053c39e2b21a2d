"""Speech of one's own for specialisation: a table with `file` and `sentence`, or a folder of audio.

A table is CSV or TSV with a header: `file` (or `path`, `file_name`, `filename`, `wav`, `audio`), `sentence` (or `text`,
`transcription`, `transcript`) and, better, `speaker`. Relative files are relative to its folder. A folder of audio has
no sentences, so it serves the objective `masked` alone; where it holds folders, each is taken for a speaker.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from affetto.corpora import folders
from affetto.corpora.formats import cells
from affetto.corpora.names import unified
from affetto.corpora.transcribed.speech import SpeechCorpus, Utterance
from affetto.errors import UserError

FILE = (*cells.COLUMNS["file"], "audio")
SENTENCE = ("sentence", "text", "transcription", "transcript")
SPEAKER = (*cells.COLUMNS["speaker"], "client_id")
SUFFIXES = (".csv", ".tsv", ".txt")
SECONDS = ("seconds", "duration")


def is_table(path: Path) -> bool:
    return path.is_file() and path.suffix.casefold() in SUFFIXES


def read_table(path: Path, *, with_sentences: bool) -> SpeechCorpus:
    """The rows of a table. Raises UserError for a missing column, a broken row, or a file listed twice."""
    path = folders.existing(path, "a table with file and sentence")
    if not is_table(path):
        raise UserError(f"{path} is no table ({', '.join(SUFFIXES)}); give one with the columns file and sentence")
    header, rows = _content(path)
    folded = [name.strip().casefold() for name in header]
    file_at, sentence_at = _place(folded, FILE), _place(folded, SENTENCE)
    speaker_at, seconds_at = _place(folded, SPEAKER), _place(folded, SECONDS)
    for name, place, names in (("file", file_at, FILE), ("sentence", sentence_at, SENTENCE)):
        if place is None and (name == "file" or with_sentences):
            raise UserError(
                f"{path} has no {name} column (one of {', '.join(names)}); found: {cells.shown(header)}"
                + (". Without sentences only the objective masked can be used" if name == "sentence" else "")
            )
    assert file_at is not None
    found: dict[str, Utterance] = {}
    for line, row in enumerate(rows, start=2):
        if not row:
            continue
        if len(row) != len(header):
            raise UserError(f"{path} line {line} has {len(row)} cells, its header {len(header)}; mend the line")
        file = folders.listed_file(path.parent, row[file_at].strip())
        if not file:
            raise UserError(f"{path} line {line} names no file; fill it in, or leave the line out")
        if file in found:
            raise UserError(f"{path} line {line} lists {file} again; each clip may be listed once")
        where = f"{path} line {line}"
        speaker = file if speaker_at is None else cells.speaker(row[speaker_at].strip(), where)
        found[file] = Utterance(
            file, speaker, "" if sentence_at is None else row[sentence_at].strip(),
            None if seconds_at is None else cells.seconds(row[seconds_at].strip(), where),
        )  # fmt: skip
    if not found:
        raise UserError(f"{path} lists no clips below its header; add a line for each clip")
    return SpeechCorpus(
        name=path.stem, root=path.parent, utterances=tuple(found.values()), has_speakers=speaker_at is not None,
        synthetic=folders.is_synthetic(path.parent), notes=() if speaker_at is not None else (_unknown(path),),
    )  # fmt: skip


def read_folder(path: Path) -> SpeechCorpus:
    """All audio in a folder; the folders within it are the speakers, where there are two or more.

    Folders within these, such as chapters, are their speaker's: whoever validates must not be heard in training.
    """
    root = folders.existing_folder(path, "audio")
    files = list(folders.walk_audio(root))
    if not files:
        raise UserError(f"{root}: no audio in it; found {folders.found_in(root)}. Give a folder that holds recordings")
    inside = {file.rpartition("/")[0] for file in files}
    grouped = len(inside) > 1
    above = len(PurePosixPath(os.path.commonpath(inside)).parts) if all(inside) else 0

    def speaker(file: str) -> str:
        return unified("/".join(PurePosixPath(file).parent.parts[: above + 1]))

    utterances = tuple(Utterance(file, speaker(file) if grouped else file) for file in files)
    speakers = sorted({utterance.speaker for utterance in utterances})
    return SpeechCorpus(
        name=root.name,
        root=root,
        has_speakers=grouped,
        synthetic=folders.is_synthetic(root),
        utterances=utterances,
        notes=(_by_folder(root, speakers) if grouped else _unknown(root),),
    )


def _by_folder(root: Path, speakers: Sequence[str]) -> str:
    return (
        f"{root}: {len(speakers)} speakers, one a folder ({cells.shown(speakers)}); if these are sets of recordings "
        "and not people, give a table with a column speaker"
    )


def _unknown(place: Path) -> str:
    return f"{place} does not tell who speaks: whoever validates may be heard in training, so its losses flatter"


def _place(folded: Sequence[str], names: Sequence[str]) -> int | None:
    return next((folded.index(name) for name in names if name in folded), None)


def _content(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            delimiter = max(",;\t", key=first.count)
            file.seek(0)
            rows = list(csv.reader(file, delimiter=delimiter))
    except UnicodeDecodeError as problem:
        raise UserError(f"{path}: not UTF-8 text ({problem.reason}); save it as UTF-8") from None
    except (OSError, csv.Error) as problem:
        raise UserError(f"{path}: cannot be read ({problem}); check it") from None
    return (rows[0], rows[1:]) if rows else ([], [])
