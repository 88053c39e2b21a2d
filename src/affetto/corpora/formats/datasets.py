"""Hugging Face's datasets: a folder of Parquet files, one that `save_to_disk` wrote, or the id of one on the hub.

    data/train-00000-of-00001.parquet  data/test-….parquet        the part is the first word of the file's name
    dataset_dict.json  train/state.json  train/data-….arrow       or the name of the folder around it
    state.json  data-00000-of-00001.arrow                         one without parts

It takes pyarrow (`pip install 'affetto[datasets]'`), not the library `datasets`, and reads a few rows at a time. The
audio of a row is its bytes or the path of a file. Bytes are unpacked once, into `audio_folder` or affetto's cache,
since a clip is a file; the files have the names that the rows give. Columns have the meanings that they have in a table
(`cells.COLUMNS`), beside `text` and `transcription`; a class label is its name. A dataset whose only split is `train`
has no parts: that is the hub's name for everything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from affetto.corpora.corpus import Corpus, Option
from affetto.corpora.delimited import Table
from affetto.corpora.folders import existing, found_in, is_synthetic, subfolders
from affetto.corpora.formats import cells, tables
from affetto.corpora.formats.annotated import SEPARATOR
from affetto.corpora.formats.arrow import as_text, as_values, open_batches, pyarrow
from affetto.corpora.formats.rows import EXTRA, RowOptions, manifest_of, parse, rules_of
from affetto.corpora.formats.unpacked import Unpacked, is_audio, unpacked_folder
from affetto.corpora.formats.written_rows import Folds, columns_of, parted, row_of, unheld
from affetto.corpora.manifest import Clip, Manifest
from affetto.errors import UserError

PARQUET, ARROW = ".parquet", ".arrow"
STATE, DICT = "state.json", "dataset_dict.json"
REVISIONS = (None, "refs/convert/parquet")
"""Revisions of a dataset on the hub that may have Parquet files: its own, and the one that the hub makes."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
EVERYTHING = "train"
"""The hub's name for the only split of a dataset."""
UNASSIGNED = "unassigned"
FEATURES = b"huggingface"
"""Key of the features in the schema of a file."""
ROWS_WRITTEN = 64
SENTENCES = ("text", "transcription", "transcript")
NUMBERS = ("start", "end")


def matches(path: Path) -> bool:
    """True for a Parquet or Arrow file, and for a folder as datasets are stored in."""
    path = Path(path).expanduser()
    if path.is_file():
        return path.suffix.casefold() in (PARQUET, ARROW)
    return path.is_dir() and bool(_shards(path))


def is_address(text: str) -> bool:
    """True for what may be a dataset's id on the hub."""
    return bool(HUB_ID.fullmatch(text))


def read(
    path: Path,
    *,
    strict: bool = False,
    name: str = "datasets",
    audio_folder: str | None = None,
    **options: Unpack[RowOptions],
) -> Manifest:
    """The clips of all splits. `path` may be a dataset's id on the hub. Raises UserError."""
    if is_address(str(path)) and not Path(path).exists():
        path = _downloaded(str(path))
    path = existing(path, "a dataset")
    shards = _shards(path)
    if not shards:
        held = f"; found {found_in(path)}" if path.is_dir() else ""
        raise UserError(f"{path}: no dataset here: no {PARQUET} file, and no folder of save_to_disk's{held}")
    folder = unpacked_folder(name, [file for _, file in shards], audio_folder)
    rules = rules_of(folder, name, **options)
    unpacked = Unpacked(folder, is_users=audio_folder is not None)
    parts = (
        parse(_table(file, part, unpacked), rules, part=cells.PART_ALIASES.get(part.casefold()))
        for part, file in shards
    )
    synthetic = is_synthetic(path if path.is_dir() else path.parent)
    manifest = manifest_of(rules, parts, strict=strict, synthetic=synthetic)
    if {part for part, _ in shards} != {EVERYTHING} or _has_split(shards[0][1]):
        return manifest
    return replace(
        manifest,
        clips=tuple(replace(clip, part=None) for clip in manifest.clips),
        notes=(*manifest.notes, f"the only split is {EVERYTHING}, which is taken for no split"),
    )


def write(manifest: Manifest, folder: Path, *, folds: Folds, copy: bool) -> tuple[str, ...]:
    """Write `data/<split>-00000-of-00001.parquet`: with the audio inside if `copy`, else with its path."""
    arrow = pyarrow()
    (folder / "data").mkdir()
    parts = parted(manifest)
    columns = [column for column in columns_of(manifest) if column != "file"]
    numbers = {*NUMBERS, *manifest.dimensions}
    fields = [arrow.field("audio", arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())]))]
    fields += [arrow.field(name, arrow.float64() if name in numbers else arrow.string()) for name in columns]
    features: dict[str, Any] = {"audio": {"_type": "Audio"}}
    features |= {name: {"dtype": "float64" if name in numbers else "string", "_type": "Value"} for name in columns}
    schema = arrow.schema(fields, metadata={FEATURES: json.dumps({"info": {"features": features}})})
    for part, clips in parts.items():
        split = part or (UNASSIGNED if len(parts) > 1 else EVERYTHING)
        with arrow.parquet.ParquetWriter(folder / "data" / f"{split}-00000-of-00001{PARQUET}", schema) as writer:
            for first in range(0, len(clips.clips), ROWS_WRITTEN):
                batch = clips.clips[first : first + ROWS_WRITTEN]
                rows = [_written(clip, manifest.path(clip), columns, numbers, copy) for clip in batch]
                writer.write_table(arrow.Table.from_pylist(rows, schema=schema))
    return unheld(manifest)


def _written(clip: Clip, path: Path, columns: Sequence[str], numbers: set[str], copy: bool) -> dict[str, Any]:
    row = row_of(clip)
    try:
        content = path.read_bytes() if copy else None
    except OSError as problem:
        raise UserError(f"{path} cannot be copied ({problem.strerror}); leave it out, or --copy") from None
    cells_of_row: dict[str, Any] = {name: row.get(name) or None for name in columns}
    cells_of_row |= {name: float(cell) for name, cell in cells_of_row.items() if name in numbers and cell is not None}
    return {"audio": {"bytes": content, "path": path.name if copy else str(path)}, **cells_of_row}


# -- files of a dataset --------------------------------------------------------------------------------------------


def _shards(path: Path) -> list[tuple[str, Path]]:
    """The files of a dataset, each with the name of its split."""
    if path.is_file():
        return [(_first_word(path), path)]
    if (path / DICT).is_file():
        states = [folder for folder in subfolders(path) if (folder / STATE).is_file()]
        return [(folder.name, file) for folder in states for file in sorted(folder.glob(f"*{ARROW}"))]
    if (path / STATE).is_file():
        return [(EVERYTHING, file) for file in sorted(path.glob(f"*{ARROW}"))]
    files = [*path.glob(f"*{PARQUET}"), *path.glob(f"*/*{PARQUET}"), *path.glob(f"*/*/*{PARQUET}")]
    return [(_first_word(file), file) for file in sorted(files)]


def _first_word(file: Path) -> str:
    """The split of a file: the first word of its name, or the folder's name where the name is a number."""
    word = re.split(r"[-_.]", file.stem)[0]
    return file.parent.name if word.isdecimal() else word


def _downloaded(hub_id: str) -> Path:
    """The folder into which the Parquet files of a dataset on the hub are downloaded. Raises UserError."""
    from huggingface_hub import snapshot_download

    for revision in REVISIONS:
        try:
            folder = snapshot_download(hub_id, repo_type="dataset", revision=revision, allow_patterns=[f"*{PARQUET}"])
        except Exception as problem:  # the library raises many kinds, of its own and of its HTTP client's
            raise UserError(
                f"{hub_id} is no folder here, and the hub gives no such dataset ({type(problem).__name__}: {problem})"
            ) from None
        if _shards(Path(folder)):
            return Path(folder)
    raise UserError(f"the dataset {hub_id} has no {PARQUET} files on the hub; download it, and give its folder")


# -- rows ----------------------------------------------------------------------------------------------------------


def _features(schema: Any) -> dict[str, Any]:
    try:
        features = json.loads((schema.metadata or {})[FEATURES])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return features if isinstance(features, dict) else {}


def _has_split(file: Path) -> bool:
    schema, _ = open_batches(file)
    return bool({name.casefold() for name in schema.names} & set(cells.COLUMNS["split"]))


def _column(name: str) -> str | None:
    """The column of a listing that a dataset's column is; None for any other."""
    folded = name.casefold()
    if folded in SENTENCES:
        return "sentence"
    return name if folded in _KNOWN or name.startswith(EXTRA) else None


_KNOWN = {alias for column, aliases in cells.COLUMNS.items() if column not in ("file", "key") for alias in aliases}


def _table(file: Path, part: str, unpacked: Unpacked) -> Table:
    schema, batches = open_batches(file)
    features = _features(schema)
    audio_at = next((i for i, field in enumerate(schema) if is_audio(field)), None)
    if audio_at is None:
        raise UserError(f"{file}: no column holds audio (bytes and a path); found: {', '.join(schema.names)}")
    columns = {i: column for i, name in enumerate(schema.names) if i != audio_at and (column := _column(name))}
    names = {i: features.get(schema.names[i], {}).get("names") for i in columns}

    def rows() -> Iterator[tuple[int, list[str]]]:
        for batch in batches:
            audio = as_values(batch.columns[audio_at])
            columns_of_batch = [[_cell(value, names[i]) for value in as_values(batch.columns[i])] for i in columns]
            for sound, *row in zip(audio, *columns_of_batch, strict=True):
                yield 0, [unpacked.file(sound or {}, part, file), *row]

    return Table(file.name, ["file", *columns.values()], rows())


def _cell(value: Any, names: Sequence[str] | None) -> str:
    if names and isinstance(value, int) and 0 <= value < len(names):
        return names[value]
    if isinstance(value, list) and value and all(isinstance(entry, str | int) for entry in value):
        return SEPARATOR.join(_cell(entry, names) for entry in value)
    return as_text(value)


CORPUS = Corpus(
    name="datasets",
    title="datasets (Hugging Face)",
    matches=matches,
    read=read,
    is_address=is_address,
    write=write,
    embeds_audio=True,
    options={
        **tables.OPTIONS,
        "audio_folder": Option("folder into which audio inside the rows is unpacked; by default in affetto's cache"),
    },
    source="huggingface.co/docs/datasets",
    protocol_reason="`column` where the dataset has several splits, else `paper`",
    is_format=True,
    rank=3,
)
