"""A table of the user's own speech: CSV or TSV with a header.

Its columns are `file` (or `path`, `file_name`, `filename`, `wav`, `audio`), `sentence` (or `text`, `transcription`,
`transcript`) and, better, `speaker`; `seconds` may follow. Relative files are relative to the table's folder.
"""

from __future__ import annotations

from pathlib import Path

from affetto.corpora import folders
from affetto.corpora.delimited import SUFFIXES, open_table
from affetto.corpora.formats import cells
from affetto.corpora.names import abbreviated
from affetto.corpora.transcribed.corpus import Request, TranscribedCorpus
from affetto.corpora.transcribed.listing import Listing, Utterance, unknown_speakers_note
from affetto.errors import UserError

FILE = (*cells.COLUMNS["file"], "audio")
SENTENCE = ("sentence", "text", "transcription", "transcript")
SPEAKER = (*cells.COLUMNS["speaker"], "client_id")
SECONDS = ("seconds", "duration")


def matches(path: Path) -> bool:
    """True for a file that is named as a table."""
    return path.is_file() and path.suffix.casefold() in SUFFIXES


def read(path: Path, request: Request) -> Listing:
    """The rows of a table. Raises UserError for a missing column, a broken row, or a file listed twice."""
    path = folders.existing(path, "a table with file and sentence")
    if not matches(path):
        raise UserError(f"{path} is no table ({', '.join(SUFFIXES)}); give one with the columns file and sentence")
    table = open_table(path, such_as="file,sentence,speaker")
    file_at, sentence_at = table.column(FILE), table.column(SENTENCE)
    speaker_at, seconds_at = table.column(SPEAKER), table.column(SECONDS)
    if file_at is None:
        raise UserError(f"{path} has no file column (one of {', '.join(FILE)}); found: {abbreviated(table.header)}")
    if sentence_at is None and request.with_sentences:
        raise UserError(
            f"{path} has no sentence column (one of {', '.join(SENTENCE)}); found: {abbreviated(table.header)}. "
            "Without sentences only the objective masked can be used"
        )
    utterances: dict[str, Utterance] = {}
    for line, row in table.rows:
        where = table.where(line)
        file = folders.listed_file(path.parent, row[file_at].strip())
        if not file:
            raise UserError(f"{where} names no file; fill it in, or leave the line out")
        if file in utterances:
            raise UserError(f"{where} lists {file} again; each clip may be listed once")
        utterances[file] = Utterance(
            file=file,
            speaker=file if speaker_at is None else cells.speaker(row[speaker_at].strip(), where),
            sentence="" if sentence_at is None else row[sentence_at].strip(),
            seconds=None if seconds_at is None else cells.seconds(row[seconds_at].strip(), where),
        )
    if not utterances:
        raise UserError(f"{path} lists no clips below its header; add a line for each clip")
    return Listing(
        name=path.stem,
        root=path.parent,
        utterances=tuple(utterances.values()),
        has_speakers=speaker_at is not None,
        synthetic=folders.is_synthetic(path.parent),
        notes=() if speaker_at is not None else (unknown_speakers_note(path),),
    )


CORPUS = TranscribedCorpus(name="table", title="table (CSV or TSV)", matches=matches, read=read, rank=1)
