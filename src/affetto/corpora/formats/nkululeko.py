"""nkululeko (Burkhardt et al., LREC 2022): an INI file that names CSV tables, or one such table alone.

Of the INI only the section `[DATA]` is read:

    [DATA]
    databases = ['train', 'dev']          or a dictionary of them
    train = ./clips_train.csv             from the INI's folder on, or from a folder around it
    train.type = csv
    train.split_strategy = train          the part of its clips; others leave the split to affetto
    train.mapping = {'happy': 'joy'}
    train.colnames = {'spk': 'speaker'}   the table's name: nkululeko's name
    train.audio_path = audio/             in front of each file
    target = emotion

A table's columns are `file,emotion,speaker,gender,language`; an export of audformat's also has `start,end` in the form
of pandas (`0 days 00:00:01.5`, `NaT`). A table is recognised under its own name, an INI under this: it comes before the
tables that lie beside it, for it may map their labels and name their parts.
"""

from __future__ import annotations

import ast
import configparser
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from affetto.corpora.corpus import Corpus
from affetto.corpora.delimited import Table, open_table
from affetto.corpora.folders import existing, files_of, is_synthetic
from affetto.corpora.formats import cells, tables
from affetto.corpora.formats.annotated import ranges_of
from affetto.corpora.formats.rows import RowOptions, check_files, parse, rules_of
from affetto.corpora.formats.written_rows import Folds, cells_of, columns_of, parted, time_cell, unheld, write_csv
from affetto.corpora.labels import parse_label_map
from affetto.corpora.manifest import Clip, Manifest
from affetto.errors import UserError

SUFFIX = ".ini"
SECTION = "DATA"
STRATEGIES = {"train": "train", "dev": "validation", "test": "test"}
"""Part of a database's clips, by nkululeko's `split_strategy`."""
SHORT = {part: strategy for strategy, part in STRATEGIES.items()}


def matches(path: Path) -> bool:
    """True for an INI file with databases in `[DATA]`, or a folder with one; a table has a record of its own."""
    return _has_databases(_ini(Path(path).expanduser()))


def refuse_other(path: Path) -> None:
    """Raise a UserError where `path` is an INI that names no databases."""
    if path.suffix.casefold() == SUFFIX:
        _databases(_parsed(path), path)


def read(
    path: Path,
    *,
    strict: bool = False,
    name: str = "nkululeko",
    **options: Unpack[RowOptions],
) -> Manifest:
    """The clips of all databases of an INI, or of one table. Raises UserError."""
    path = _ini(existing(path, "nkululeko's INI or table"))
    if path.suffix.casefold() != SUFFIX:
        return tables.read(path, strict=strict, name=name, **options)
    data = _parsed(path)
    general = rules_of(path.parent, name, **options)
    root = general.root
    clips: list[Clip] = []
    notes: list[str] = []
    synthetic = is_synthetic(root)
    for database in _databases(data, path):
        file = _located(path, data.get(SECTION, database, fallback=""), database)
        kind = data.get(SECTION, f"{database}.type", fallback="csv")
        if kind != "csv":
            raise UserError(f"{path.name}: the database {database} is of the type {kind}; give its own path instead")
        rules = replace(general, label_map=_mapping(data, database) | (general.label_map or {}))
        strategy = data.get(SECTION, f"{database}.split_strategy", fallback="")
        folder = (
            root
            if options.get("audio_root")
            else file.parent / data.get(SECTION, f"{database}.audio_path", fallback="")
        )
        parsed = parse(_table(data, file, database), rules, part=STRATEGIES.get(strategy), prefix=_prefix(root, folder))
        if strategy and strategy not in STRATEGIES:
            notes.append(f"{path.name}: the split strategy {strategy} of {database} is not taken over; give --split")
        clips += parsed.clips
        notes += parsed.notes
        synthetic = synthetic or parsed.synthetic
    ranges, range_notes = ranges_of(clips, general.dimensions)
    notes += [*range_notes, *check_files(root, clips, strict=strict)]
    return Manifest(name, root, tuple(clips), synthetic, notes=tuple(notes), dimensions=ranges)


def write(manifest: Manifest, folder: Path, *, folds: Folds, copy: bool) -> tuple[str, ...]:
    """Write `experiment.ini` and a table for each part."""
    lines = ["[EXP]", "root = ./results", f"name = {manifest.corpus}", f"[{SECTION}]"]
    name = manifest.corpus if re.fullmatch(r"\w[\w-]*", manifest.corpus) else "clips"
    databases = {SHORT.get(part, name): clips for part, clips in parted(manifest).items()}
    lines.append(f"databases = {list(databases)}")
    for name, clips in databases.items():
        columns = [column for column in columns_of(clips) if column != "split"]
        rows = (
            [time_cell(*pair) if pair[0] in ("start", "end") else pair[1] for pair in zip(columns, row, strict=True)]
            for row in cells_of(clips, columns)
        )
        write_csv(folder / f"{name}.csv", columns, rows)
        lines += [f"{name} = ./{name}.csv", f"{name}.type = csv", f"{name}.absolute_path = {not copy}"]
        lines.append(f"{name}.split_strategy = {name if name in STRATEGIES else 'speaker_split'}")
    lines += ["target = emotion", f"labels = {list(manifest.labels)}"]
    (folder / "experiment.ini").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return unheld(manifest)


def _ini(path: Path) -> Path:
    """The only INI of a folder that names databases, else its only INI; the path itself without such a one."""
    if not path.is_dir():
        return path
    files = files_of(path, (SUFFIX,))
    for inis in (list(filter(_has_databases, files)), files):  # Windows puts a desktop.ini beside others
        if len(inis) == 1:
            return inis[0]
    return path


def _has_databases(path: Path) -> bool:
    if not path.is_file() or path.suffix.casefold() != SUFFIX:
        return False
    try:
        return bool(_parsed(path).get(SECTION, "databases", fallback=""))
    except UserError:
        return False


def _parsed(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, configparser.Error) as problem:
        raise UserError(
            f"{path}: no INI file that can be read ({problem}), so no [{SECTION}] with databases; mend it"
        ) from None
    return parser


def _literal(text: str, where: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise UserError(f"{where}: {text[:60]!r} is no list or dictionary as Python writes it; mend it") from None


def _databases(data: configparser.ConfigParser, path: Path) -> list[str]:
    text = data.get(SECTION, "databases", fallback="")
    names = _literal(text, f"{path.name}, databases") if text else []
    if not names or not all(isinstance(name, str) for name in names):
        raise UserError(
            f"{path.name} has no [{SECTION}] that names databases; write them, as in databases = ['train', 'test']"
        )
    return list(names)


def _located(ini: Path, text: str, database: str) -> Path:
    """The file of a database: nkululeko is started in a folder around the INI, so paths may start in any of those."""
    if not text:
        raise UserError(f"{ini.name}: [{SECTION}] gives no path of the database {database}; write {database} = FILE")
    for folder in (ini.parent, *ini.parent.parents):
        if (folder / text).is_file():
            return folder / text
    raise UserError(f"{ini.name}: the database {database} is not at {text}, from the INI's folder or one around it on")


def _prefix(root: Path, folder: Path) -> str:
    """The path from `root` to the folder in which a table's files start, with a slash behind."""
    folder = folder.resolve()
    inside = folder.is_relative_to(root)
    text = folder.relative_to(root).as_posix() if inside else folder.as_posix()
    return "" if text == "." else f"{text}/"


def _mapping(data: configparser.ConfigParser, database: str) -> dict[str, str]:
    """The labels of a database by nkululeko's mapping, whose keys may be lists (`anger, disgust`)."""
    text = data.get(SECTION, f"{database}.mapping", fallback="")
    pairs = _literal(text, f"{database}.mapping") if text else {}
    if not isinstance(pairs, dict):
        raise UserError(f"{database}.mapping must be a dictionary such as {{'happy': 'joy'}}; mend it")
    return parse_label_map({label: str(target) for labels, target in pairs.items() for label in str(labels).split(",")})


def _table(data: configparser.ConfigParser, file: Path, database: str) -> Table:
    """The table of a database, with the columns renamed by `colnames`, and the target's taken for the emotion."""
    table = open_table(file)
    text = data.get(SECTION, f"{database}.colnames", fallback="")
    names = dict(_literal(text, f"{database}.colnames")) if text else {}
    target = data.get(SECTION, "target", fallback="emotion")
    if target not in cells.COLUMNS:
        names.setdefault(target, "emotion")
    return replace(table, header=[str(names.get(column, column)) for column in table.header])


CORPUS = Corpus(
    name="nkululeko",
    title="nkululeko (INI or CSV)",
    matches=matches,
    read=read,
    write=write,
    options=tables.OPTIONS,
    source="github.com/felixbur/nkululeko",
    protocol_reason="`column` where the databases or a column name each clip's part, else `paper`",
    is_format=True,
    rank=1,
)
