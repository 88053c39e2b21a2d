"""The parts of anybody's split, as they were published: files of parts, folders of folds, or columns of a table.

A clip may be in the files of two parts, and its speaker may be unknown: what is wrong with a split is for its audit to
say. Recognised are

    fold_1/…train….jsonl  fold_1/…test….jsonl  fold_2/…     files whose names hold a part, one fold for each set of them
    clips.csv with `split`, `fold`, `split_1`, …            a column of parts is a fold; one of other values has a fold
                                                            for each value, in which its clips are tested
    any corpus whose clips name their parts                 one fold
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from affetto.corpora.amounts import amount, verb
from affetto.corpora.corpus import Corpus
from affetto.corpora.delimited import SUFFIXES, Table, open_table
from affetto.corpora.folders import existing, files_of, is_synthetic, subfolders
from affetto.corpora.formats import cells, emobox, tables
from affetto.corpora.formats.rows import EXTRA, Rules, parse, rules_of
from affetto.corpora.labels import parse_label_map
from affetto.corpora.manifest import PARTS, Clip, Manifest
from affetto.corpora.names import abbreviated
from affetto.corpora.registry import CORPORA, detect, open_corpus
from affetto.errors import UserError
from affetto.splits.split import WHOLE, Fold

LISTINGS = (*SUFFIXES, emobox.SUFFIX)
COLUMN = re.compile(r"(split|part|partition|subset|set|fold)s?([_ .-]?\w+)?")
"""Names of columns that hold parts or folds, in small letters."""
LENIENT = "lenient"
"""Option of readers that take clips without speakers."""
MOST_FOLDS = 1000
"""Values of a column of folds; one with more names clips or speakers."""


@dataclass(frozen=True)
class ForeignSplit:
    """All clips of a split, each once, and its folds."""

    manifest: Manifest
    folds: tuple[Fold, ...]
    """In contrast to affetto's own, a clip may be in two parts of a fold, and parts may be empty."""


def open_split(
    name: str | None,
    path: Path,
    *,
    label_map: dict[str, str] | None = None,
    columns: Sequence[str] = (),
    options: dict[str, str] | None = None,
) -> ForeignSplit:
    """The split at `path`: files of parts, a table with columns of parts, or a corpus whose clips name their parts.

    `name` is a corpus or layout, or the collection's own name; `columns` names the columns of a table (default: those
    that `COLUMN` fits). Raises UserError.
    """
    record = CORPORA.get(name or "")
    if record is None or record.is_listing:  # others may take more than a path, such as a dataset's id on the hub
        path = existing(path, "a split: the folder of its files, or its table")
        record = record or _detected(path)
    options = dict(options or {})
    if record is None or record.is_listing:
        settings = tables.CORPUS.settings(options)
        folder = (path if path.is_dir() else path.parent).expanduser().resolve()
        # Speakers that are not known, and lines that list a clip again, are what an audit is about.
        settings["lenient"] = True
        mapped = parse_label_map(label_map) if label_map else None
        rules = rules_of(folder, name or path.stem, label_map=mapped, **settings)
        sets = _sets_of_files(path) if path.is_dir() else {}
        if sets:
            return _of_files(sets, rules)
        table = tables.only_listing(path)
        if table.is_file() and table.suffix.casefold() in LISTINGS:
            split = _of_columns(table, columns, rules)
            if split is not None:
                return split
    elif columns:
        raise UserError(f"--column is for tables; {path} is {record.title}, whose clips name their parts: leave it out")
    if record is not None and LENIENT in record.options:
        options.setdefault(LENIENT, "true")
    return of_manifest(open_corpus(name, path, label_map=label_map, options=options, keep_other=True))


def _detected(path: Path) -> Corpus | None:
    """The corpus or layout of a path; None for one that is none, such as a folder of folds."""
    try:
        return detect(path)
    except UserError:
        return None


def of_manifest(manifest: Manifest) -> ForeignSplit:
    """The one fold of a corpus whose clips name their parts. Raises UserError where none does."""
    parts = {part: tuple(clip.id for clip in manifest.clips if clip.part == part) for part in PARTS}
    if sum(map(bool, parts.values())) < 2:
        raise UserError(
            f"{manifest.root}: the clips name no parts of a split, so there is nothing to audit; give the files of the "
            "parts, or a table with a split column"
        )
    return ForeignSplit(manifest, (Fold(WHOLE, **parts),))


# -- files of parts ------------------------------------------------------------------------------------------------


def _sets_of_files(root: Path) -> dict[str, list[tuple[str, Path]]]:
    """Files of parts by the name of their fold: those whose names differ in nothing but the part belong together."""
    sets: dict[str, list[tuple[str, Path]]] = {}
    for folder in (root, *subfolders(root)):
        inside: dict[str, list[tuple[str, Path]]] = {}
        for file in files_of(folder, LISTINGS):
            part, rest = part_of(file.stem)
            if part:
                inside.setdefault(rest, []).append((part, file))
        inside = {rest: files for rest, files in inside.items() if len({part for part, _ in files}) > 1}
        for rest, files in inside.items():
            prefix = "" if folder == root else folder.name
            sets[" ".join(filter(None, (prefix, rest if len(inside) > 1 else ""))) or WHOLE] = files
    return dict(_natural(sets))


def part_of(stem: str) -> tuple[str | None, str]:
    """The part that a file's name holds, and the name without it.

    >>> part_of("emovo_train_fold_1"), part_of("labels")
    (('train', 'emovo fold 1'), (None, 'labels'))
    """
    words = re.split(r"[_\W]+", stem)
    for number, word in enumerate(words):
        part = cells.PART_ALIASES.get(word.casefold().rstrip("0123456789"))
        if part:
            return part, " ".join(words[:number] + words[number + 1 :])
    return None, stem


def _of_files(sets: dict[str, list[tuple[str, Path]]], rules: Rules) -> ForeignSplit:
    clips: dict[str, Clip] = {}
    folds: list[Fold] = []
    notes: list[str] = []
    disagreements = 0
    synthetic = is_synthetic(rules.root)
    for name, files in sets.items():
        parts: dict[str, dict[str, None]] = {part: {} for part in PARTS}
        for part, file in files:
            folder = file.parent
            parsed = parse(_opened(file), replace(rules, codes=emobox.codes_beside(folder)), part=part)
            notes += parsed.notes
            synthetic = synthetic or parsed.synthetic
            for clip in parsed.clips:
                earlier = clips.setdefault(clip.id, clip)
                disagreements += (earlier.speaker, earlier.emotion) != (clip.speaker, clip.emotion)
                parts[part][clip.id] = None
        folds.append(Fold(name, **{part: tuple(ids) for part, ids in parts.items()}))
    if disagreements:
        lines = f"{amount(disagreements, 'line')} {verb(disagreements, 'give')} a clip"
        notes.append(f"{lines} another speaker or emotion than an earlier file; the first counts")
    manifest = Manifest(
        corpus=rules.corpus,
        root=rules.root,
        clips=tuple(clips.values()),
        synthetic=synthetic,
        notes=tuple(dict.fromkeys(notes)),
    )
    return ForeignSplit(manifest, tuple(folds))


def _opened(file: Path, columns: Sequence[str] = ()) -> Table:
    return emobox.open_lines(file, columns) if file.suffix.casefold() == emobox.SUFFIX else open_table(file)


def _natural(sets: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The items sorted by name, with numbers in the order of their values."""
    return sorted(sets.items(), key=lambda item: [(len(digits), digits) for digits in re.split(r"(\D+)", item[0])])


# -- columns of a table --------------------------------------------------------------------------------------------


def _of_columns(path: Path, columns: Sequence[str], rules: Rules) -> ForeignSplit | None:
    header = emobox.keys(path) if path.suffix.casefold() == emobox.SUFFIX else open_table(path).header
    absent = [column for column in columns if column not in header]
    if absent:
        raise UserError(f"{path.name} has no column {absent[0]}; found: {abbreviated(header)}")
    columns = columns or [column for column in header if COLUMN.fullmatch(column.casefold())]
    if not columns:
        return None
    table = _opened(path, columns)
    # As further facts: a column named `split` would be taken for the part, and may hold the numbers of folds.
    renamed = [f"{EXTRA}{column}" if column in columns else column for column in table.header]
    codes = emobox.codes_beside(path.parent)
    parsed = parse(Table(table.name, renamed, table.rows), replace(rules, codes=codes))
    values = {clip.id: dict(clip.extra) for clip in parsed.clips}
    folds: list[Fold] = []
    for column in columns:
        cells_of_column = {clip: facts.get(column, "").strip() for clip, facts in values.items()}
        folds += _folds_of_column(f"{path.name}: the column {column}", column, cells_of_column)
    manifest = Manifest(
        corpus=rules.corpus,
        root=rules.root,
        clips=tuple(replace(clip, extra=()) for clip in parsed.clips),
        synthetic=parsed.synthetic or is_synthetic(rules.root),
        notes=parsed.notes,
    )
    return ForeignSplit(manifest, tuple(folds))


def _folds_of_column(where: str, column: str, values: Mapping[str, str]) -> Iterator[Fold]:
    """The fold of a column of parts, or one fold for each value of another column, by the clips' values."""
    present = {value for value in values.values() if value.casefold() not in cells.UNKNOWN}
    if present and all(value.casefold() in cells.PART_ALIASES for value in present):
        yield _fold(column, {clip: cells.PART_ALIASES.get(value.casefold()) for clip, value in values.items()})
        return
    if not 1 < len(present) <= MOST_FOLDS:
        raise UserError(
            f"{where} has {len(present)} values; it must hold parts ({', '.join(PARTS)}), or the fold in which each "
            "clip is tested; name the right one with --column"
        )
    listed = {clip: value for clip, value in values.items() if value in present}
    for tested, _ in _natural(dict.fromkeys(present)):
        yield _fold(
            f"{column} {tested}", {clip: "test" if value == tested else "train" for clip, value in listed.items()}
        )


def _fold(name: str, part_of_clip: Mapping[str, str | None]) -> Fold:
    return Fold(name, *(tuple(clip for clip, home in part_of_clip.items() if home == part) for part in PARTS))
