"""Tables of clips: CSV and TSV.

A table has one line per clip and a header. Its columns, in any order, under any name in `cells.COLUMNS`:

    file,emotion,speaker[,gender][,split][,prompt][,sentence][,start,end][,ratings][,rater][,arousal,valence,dominance]

Relative paths start in the table's folder and may contain `..`; absolute paths are taken as they are: a table is
its user's own, and may name any file that the user may read. `start` and `end` are in seconds. Columns `extra:<name>`
hold facts of the corpus; others are ignored.

`emotion` may hold several labels (`joy|surprise`), `ratings` the number of raters for each (`anger=3;joy=2`). With a
`rater` column a clip has one row for each rater. Dimensions are numbers; with them, or with ratings, a table needs no
`emotion`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Unpack

from affetto.corpora.annotations import DIMENSIONS
from affetto.corpora.corpus import Corpus, Option, yes_or_no
from affetto.corpora.delimited import SUFFIXES, open_table
from affetto.corpora.folders import existing, files_of, found_in, is_synthetic
from affetto.corpora.formats import cells
from affetto.corpora.formats.annotated import parse_dimensions
from affetto.corpora.formats.rows import RowOptions, manifest_of, parse, rules_of
from affetto.corpora.formats.speakers import read_speakers
from affetto.corpora.formats.written_rows import Folds, cells_of, columns_of, fold_columns, unheld, write_csv
from affetto.corpora.manifest import Manifest
from affetto.errors import UserError


def matches(path: Path) -> bool:
    """True if `path` is a file that is named as a table, or a folder that holds exactly one table of clips."""
    path = only_listing(path)
    return path.is_file() and path.suffix.casefold() in SUFFIXES


def only_listing(path: Path) -> Path:
    """The only table of clips directly in a folder, recognised by its columns; `path` itself where there is none."""
    path = Path(path).expanduser().resolve()
    if not path.is_dir():
        return path
    listings = _listings(path)
    return listings[0] if len(listings) == 1 else path


def refuse_several(folder: Path) -> None:
    """Raise a UserError that names them where a folder holds several tables of clips."""
    listings = _listings(folder)
    if len(listings) > 1:
        names = ", ".join(file.name for file in listings)
        raise UserError(f"{folder} holds {len(listings)} tables of clips: {names}; give one of them, or join them")


def read(
    path: Path,
    *,
    strict: bool = False,
    name: str = "table",
    **options: Unpack[RowOptions],
) -> Manifest:
    """The clips that a table lists. Raises UserError with the table's line for every row that cannot be used.

    Relative paths start in the table's folder, unless an option names another. With `strict`, files that are not there
    are an error too.
    """
    path = _only_table(path)
    rules = rules_of(path.parent, name, **options)
    return manifest_of(rules, [parse(open_table(path), rules)], strict=strict, synthetic=is_synthetic(rules.root))


def write(manifest: Manifest, folder: Path, *, folds: Folds, copy: bool) -> tuple[str, ...]:
    """Write `<corpus>.csv`, with a column of parts for each fold where there are several."""
    columns, parts = columns_of(manifest), fold_columns(folds)
    rows = (
        [*cells_of_clip, *(column.get(clip.id, "") for column in parts.values())]
        for clip, cells_of_clip in zip(manifest.clips, cells_of(manifest, columns), strict=True)
    )
    name = manifest.corpus if re.fullmatch(r"\w[\w.-]*", manifest.corpus) else "clips"
    write_csv(folder / f"{name}.csv", [*columns, *parts], rows)
    return unheld(manifest)


def _only_table(path: Path) -> Path:
    """The table that `path` means; a UserError where it is a folder with none or several, an archive or nothing."""
    path = existing(only_listing(path), "a table of clips")
    if not path.is_dir():
        return path
    refuse_several(path)
    tables = files_of(path, SUFFIXES)
    if len(tables) == 1:
        return tables[0]  # the columns are incomplete: the reader names the missing ones
    raise UserError(
        f"{path}: no table of clips here. Looked for a {', '.join(SUFFIXES)} with the columns file, emotion and "
        f"speaker; found {found_in(path)}. Give the table itself"
    )


def _listings(folder: Path) -> list[Path]:
    """The tables of clips directly in a folder. AudioFolder's metadata.csv, which may lie in several folders, is for
    its own reader."""
    files = [file for file in files_of(folder, SUFFIXES) if file.name != "metadata.csv"]
    # A table of dimensions beside one of emotions is taken for features of those clips.
    return [file for file in files if _lists_clips(file, needs_emotion=True)] or [
        file for file in files if _lists_clips(file, needs_emotion=False)
    ]


def _lists_clips(path: Path, *, needs_emotion: bool) -> bool:
    try:
        header = open_table(path).header
        cells.find_columns(path.name, header, with_speaker=not needs_emotion, needs_emotion=needs_emotion)
    except UserError:
        return False
    return needs_emotion or bool({"ratings", *DIMENSIONS} & {column.casefold() for column in header})


SPEAKER_TABLE = Option(
    "table with the columns file (or key) and speaker, or EmoBox's .stm, that names the speaker of each clip",
    read_speakers,
)
SPEAKER_PATTERN = Option("regular expression with one group that finds the speaker in the file's name")
AUDIO_ROOT = Option("folder in which relative paths start; by default the folder of the table")
DIMENSION_COLUMNS = Option(
    "columns of dimensions, as NAME=COLUMN:LOW:HIGH, several with commas between; by default arousal, valence and "
    "dominance, whose range is found by their values",
    parse_dimensions,
)
LENIENT = Option(
    "true: clips may lack a speaker and be listed again, and unknown labels are classes; to look at, not to train on",
    yes_or_no,
)
OPTIONS = {
    "speaker_pattern": SPEAKER_PATTERN,
    "speaker_table": SPEAKER_TABLE,
    "audio_root": AUDIO_ROOT,
    "dimensions": DIMENSION_COLUMNS,
    "lenient": LENIENT,
}
CORPUS = Corpus(
    name="table",
    title="table (CSV or TSV)",
    matches=matches,
    read=read,
    write=write,
    holds_folds=True,
    is_listing=True,
    options=OPTIONS,
    protocol_reason="`column` where the table names each clip's part, else `paper`",
    is_format=True,
    rank=2,
)
