"""Hugging Face's AudioFolder.

It is the layout that `datasets.load_dataset("audiofolder", data_dir=…)` takes, in two forms, each
directly in the root or once per part in folders such as `train/` and `test/`:

    metadata.csv | metadata.jsonl     with `file_name` beside the label, relative to the metadata's own folder
    <emotion>/<clip>.wav              where the folder's name is the label

It does not name speakers: they come from a column of the metadata, or from `speaker_pattern`, a regular
expression with one group that is searched in each clip's path.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from affetto.corpora.corpus import Corpus
from affetto.corpora.delimited import Table, open_table
from affetto.corpora.folders import (
    AUDIO_SUFFIXES,
    existing_folder,
    files_of,
    found_in,
    is_synthetic,
    subfolders,
)
from affetto.corpora.formats import emobox, tables
from affetto.corpora.formats.cells import PART_ALIASES
from affetto.corpora.formats.rows import RowOptions, manifest_of, parse, rules_of
from affetto.corpora.labels import canonical
from affetto.corpora.manifest import Manifest
from affetto.errors import UserError

METADATA = ("metadata.csv", "metadata.jsonl")


def matches(path: Path) -> bool:
    """True if a folder has metadata with `file_name`, or folders named after emotions that hold audio."""
    path = Path(path).expanduser()
    return path.is_dir() and any(_metadata(folder) or _class_folders(folder) for folder, _ in _parts(path))


def read(
    path: Path,
    *,
    strict: bool = False,
    name: str = "audiofolder",
    **options: Unpack[RowOptions],
) -> Manifest:
    """The clips of an AudioFolder. Raises UserError where a speaker or a label is unknown."""
    root = existing_folder(path, "an AudioFolder")
    rules = rules_of(root, name, **options)
    parts = [
        parse(table, rules, part=part, prefix="" if folder == root else f"{folder.relative_to(root).as_posix()}/")
        for folder, part in _parts(root)
        if (table := _table(folder)) is not None
    ]
    if not any(parsed.clips for parsed in parts):
        raise UserError(
            f"{root}: no AudioFolder here. Looked for {' or '.join(METADATA)} with file_name, or folders named after "
            f"emotions with audio in them; found {found_in(root)}. Give the folder that holds them"
        )
    manifest = manifest_of(rules, parts, strict=strict, synthetic=is_synthetic(root))
    return replace(manifest, notes=tuple(dict.fromkeys(manifest.notes)))


def _parts(root: Path) -> list[tuple[Path, str | None]]:
    """The root itself, or the folders of the parts in it (also those in `data/`) with the parts' names."""
    for folder in (root, root / "data"):
        if folder.is_dir():
            aliases = ((child, PART_ALIASES.get(child.name.casefold())) for child in subfolders(folder))
            parts = [(child, part) for child, part in aliases if part]
            if parts and not _metadata(root):
                return list(parts)
    return [(root, None)]


def _metadata(folder: Path) -> Path | None:
    return next((folder / name for name in METADATA if (folder / name).is_file()), None)


def _class_folders(folder: Path) -> bool:
    for child in subfolders(folder):
        try:
            canonical(child.name, where="")
        except UserError:
            continue
        if files_of(child, AUDIO_SUFFIXES):
            return True
    return False


def _table(folder: Path) -> Table | None:
    """A part's metadata, or its class folders as if they were a table; None where there is neither."""
    metadata = _metadata(folder)
    if metadata:
        return emobox.open_jsonl(metadata) if metadata.suffix == ".jsonl" else open_table(metadata)
    rows = [
        (0, [f"{child.name}/{file.name}", child.name])
        for child in subfolders(folder)
        for file in files_of(child, AUDIO_SUFFIXES)
    ]
    return Table(f"{folder.name}/", ["file_name", "label"], iter(rows)) if rows else None


CORPUS = Corpus(
    name="audiofolder",
    title="AudioFolder (Hugging Face)",
    matches=matches,
    read=read,
    options={name: option for name, option in tables.OPTIONS.items() if name != "audio_root"},
    source="huggingface.co/docs/datasets/audio_dataset",
    protocol_reason="`column` where each clip lies in a part's folder, else `paper`",
    is_format=True,
    rank=3,
)
