"""audformat's databases (audEERING): the folders that `audb.load` and nkululeko use.

    db.yaml                 schemes, splits, raters, and the tables with their columns
    db.<table>.csv          `file[,start,end]` and the columns; .parquet with `pip install 'affetto[datasets]'`

Every table with a column of emotions, dimensions or ratings lists clips; columns of other tables (speaker, gender,
transcription) are joined by file. A column's meaning is that of its name, else of its scheme's. The labels of a scheme
may explain themselves: a speaker's gender, a sentence's text. Columns of one meaning by several raters (`rater_id`) are
ratings. A table's split is the part of its clips. The range of a dimension is its scheme's `minimum` and `maximum`.

Read by affetto alone: the library audformat is not needed. Pickled tables (`.pkl`) are not read, for they may run code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Unpack

import yaml

from affetto.corpora.annotations import DIMENSIONS, Range
from affetto.corpora.corpus import Corpus, Option
from affetto.corpora.delimited import Table, open_table
from affetto.corpora.folders import existing, is_synthetic
from affetto.corpora.formats import cells, tables
from affetto.corpora.formats.annotated import DimensionColumn, ranges_of
from affetto.corpora.formats.arrow import parquet_table
from affetto.corpora.formats.rows import EXTRA, RowOptions, check_files, parse, rules_of
from affetto.corpora.formats.written_rows import (
    WORDS,
    Folds,
    cells_of,
    columns_of,
    parted,
    time_cell,
    unheld_classes,
    write_csv,
)
from affetto.corpora.manifest import Manifest
from affetto.errors import UserError
from affetto.files import parse_yaml

HEADER = "db.yaml"
INDEX = ("file", "start", "end")
ALIASES = {alias: column for column, aliases in cells.COLUMNS.items() for alias in aliases} | dict.fromkeys(
    ("transcription", "transcript", "text"), "sentence"
)
"""Column of a listing by the names that a column or a scheme of a database may have."""
SPLITS = {"train": "train", "validation": "dev", "test": "test"}
MARK = "affetto-dimension"
"""Field of a scheme that affetto wrote for a dimension beside arousal, valence and dominance."""
Key = tuple[str, float | None, float | None]
"""The file of a clip, and its section."""


@dataclass
class Database:
    """The header of a database, and the folder around it."""

    folder: Path
    header: Mapping[str, Any]
    labels: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Facts of each label of a scheme, by the scheme and the label, once they were asked for."""

    def scheme(self, name: str | None) -> Mapping[str, Any]:
        return _mapping(_mapping(self.header.get("schemes")).get(name or ""))

    def facts(self, scheme: str, label: str) -> Any:
        """Explanation of a scheme's label: a text, a mapping or None."""
        if scheme not in self.labels:
            labels = self.scheme(scheme).get("labels")
            if isinstance(labels, str):
                labels = {row["#"]: row for row in _rows(self, labels, ("#",))}
            self.labels[scheme] = {str(key): value for key, value in _mapping(labels).items()}
        return self.labels[scheme].get(label)


def matches(path: Path) -> bool:
    """True for a folder with `db.yaml`, or that file."""
    path = Path(path).expanduser()
    return (path / HEADER).is_file() or (path.name == HEADER and path.is_file())


def read(
    path: Path,
    *,
    strict: bool = False,
    name: str = "audformat",
    table_names: Sequence[str] = (),
    **options: Unpack[RowOptions],
) -> Manifest:
    """The clips of a database; of `table_names` alone, if some are named. Raises UserError."""
    path = existing(path, "a database of audformat's")
    database = _database(path if path.is_dir() else path.parent)
    rows = _joined(database, table_names)
    scales = _scales(database) | dict(options.get("dimensions") or {})
    header = list(dict.fromkeys(["file", *(c for row in rows.values() for c in row), *_columns_of_words(database)]))
    options["dimensions"] = {key: column for key, column in scales.items() if column.column in header}
    rules = rules_of(database.folder, name, **options)
    listing = ((0, [row.get(column, "") for column in header]) for row in rows.values())
    parsed = parse(Table(HEADER, header, listing), rules)
    ranges, notes = ranges_of(parsed.clips, scales)
    return Manifest(
        corpus=name,
        root=rules.root,
        clips=tuple(parsed.clips),
        synthetic=parsed.synthetic or is_synthetic(database.folder),
        licence=str(database.header.get("license") or ""),
        notes=(*parsed.notes, *notes, *check_files(rules.root, parsed.clips, strict=strict)),
        dimensions=ranges,
    )


def write(manifest: Manifest, folder: Path, *, folds: Folds, copy: bool) -> tuple[str, ...]:
    """Write `db.yaml` and a table for each part, segmented if any clip is a section."""
    columns = [column for column in columns_of(manifest) if column not in (*INDEX, "split")]
    is_segmented = any(clip.start is not None or clip.end is not None for clip in manifest.clips)
    index = INDEX if is_segmented else INDEX[:1]
    names = {column: column.replace(EXTRA, "extra.") for column in columns}
    schemes: dict[str, Any] = {
        "emotion": {"dtype": "str"},
        "speaker": {"dtype": "str"},
        "gender": {"dtype": "str", "labels": ["female", "male", "other"]},
    }
    for name, scale in manifest.dimensions.items():
        mark = {} if name in DIMENSIONS else {MARK: True}
        schemes[name] = {"dtype": "float", "minimum": float(scale.low), "maximum": float(scale.high), **mark}
    header: dict[str, Any] = {
        "name": manifest.corpus,
        "source": manifest.corpus,
        "usage": "unrestricted" if manifest.synthetic else "other",
        "languages": [],
        **({"license": manifest.licence} if manifest.licence else {}),
        "schemes": {name: scheme for name, scheme in schemes.items() if name in columns},
    }
    parts = parted(manifest)
    header["splits"] = {SPLITS[part]: {"type": SPLITS[part]} for part in parts if part}
    header["tables"] = {}
    for part, clips in parts.items():
        table = f"emotion.{SPLITS[part]}" if part else "emotion"
        split = {"split_id": SPLITS[part]} if part else {}
        described = {names[name]: {"scheme_id": name} if name in schemes else {} for name in columns}
        kind = "segmented" if is_segmented else "filewise"
        header["tables"][table] = {"type": kind, **split, "columns": described}
        rows = (
            [
                time_cell(*pair) if pair[0] in INDEX[1:] else pair[1]
                for pair in zip((*index, *columns), row, strict=True)
            ]
            for row in cells_of(clips, (*index, *columns))
        )
        write_csv(folder / f"db.{table}.csv", [*index, *names.values()], rows)
    text = yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    (folder / HEADER).write_text(text, encoding="utf-8")
    return unheld_classes(manifest)


# -- the header ----------------------------------------------------------------------------------------------------


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _database(folder: Path) -> Database:
    path = folder / HEADER
    try:
        header = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as problem:
        raise UserError(f"{path}: no header of audformat's that can be read ({problem}); give the database") from None
    if not _mapping(_mapping(header).get("tables")):
        raise UserError(f"{path} lists no tables; give a database with a table of emotions")
    return Database(folder, header)


def _scales(database: Database) -> dict[str, DimensionColumn]:
    """The range of each dimension that a scheme gives."""
    scales = {}
    for name, scheme in _mapping(database.header.get("schemes")).items():
        low, high = _mapping(scheme).get("minimum"), _mapping(scheme).get("maximum")
        if (name in DIMENSIONS or _mapping(scheme).get(MARK)) and low is not None and high is not None:
            scales[name] = DimensionColumn(name, Range(float(low), float(high)))
    return scales


def _meaning(database: Database, column: str, scheme: str | None) -> str | None:
    """The column of a listing that a database's column is; None for any other."""
    if column.startswith("extra."):
        return column.replace("extra.", EXTRA, 1)
    for name in (column, scheme or ""):
        if name.casefold() in ALIASES:
            return ALIASES[name.casefold()]
        if database.scheme(name).get(MARK):
            return name
    return None


# -- tables --------------------------------------------------------------------------------------------------------


def _joined(database: Database, names: Sequence[str]) -> dict[Key, dict[str, str]]:
    """The rows of all tables that list clips, with the columns of the others, by file and section."""
    described = _mapping(database.header.get("tables"))
    absent = [name for name in names if name not in described]
    if absent:
        raise UserError(f"{HEADER} has no table {absent[0]}; it has {', '.join(described)}")
    listing = {name for name, table in described.items() if _lists_clips(database, table)}
    if not (listing := listing & set(names) if names else listing):
        raise UserError(
            f"{database.folder / HEADER}: no table has a column of emotions, ratings or dimensions; it has "
            f"{', '.join(described)}; name one by --option table_names=NAME"
        )
    rows: dict[Key, dict[str, str]] = {}
    for name in sorted(listing):
        for key, row in _listed(database, name, _mapping(described[name])):
            _merge(rows.setdefault(key, {}), row, name, key)
    further = {key: row for name in sorted(set(described) - listing) for key, row in _facts_of_files(database, name)}
    for (file, start, end), row in rows.items():
        facts = further.get((file, start, end)) or further.get((file, None, None)) or {}
        row.update({column: cell for column, cell in facts.items() if not row.get(column)})
    return rows


def _lists_clips(database: Database, table: Any) -> bool:
    return bool(_meanings_of(database, table) & {"emotion", "ratings", *DIMENSIONS})


def _columns_of_words(database: Database) -> list[str]:
    """The columns of prompts and sentences, empty ones too: of a sentence alone the prompt would be taken."""
    tables = _mapping(database.header.get("tables")).values()
    meanings = set[str | None]().union(*(_meanings_of(database, table) for table in tables))
    return [column for column in WORDS if column in meanings]


def _meanings_of(database: Database, table: Any) -> set[str | None]:
    columns = _mapping(_mapping(table).get("columns")).items()
    return {_meaning(database, name, _mapping(column).get("scheme_id")) for name, column in columns}


def _merge(row: dict[str, str], further: Mapping[str, str], table: str, key: Key) -> None:
    """Add the cells of a table to a clip's. Raises UserError where two tables give it two emotions."""
    earlier = row.get("emotion")
    if earlier and further.get("emotion") and further["emotion"] != earlier:
        raise UserError(
            f"{key[0]}: the table {table} says {further['emotion']}, another one {earlier}; name the tables that count "
            "by --option table_names=NAME,NAME"
        )
    row.update({column: cell for column, cell in further.items() if cell})


def _facts_of_files(database: Database, name: str) -> Iterator[tuple[Key, dict[str, str]]]:
    table = _mapping(_mapping(database.header["tables"]).get(name))
    for key, row in _listed(database, name, table):
        yield key, {column: cell for column, cell in row.items() if column not in (*INDEX, "split")}


def _listed(database: Database, name: str, table: Mapping[str, Any]) -> Iterator[tuple[Key, dict[str, str]]]:
    """The rows of one table, with the columns of a listing."""
    columns = {str(key): _mapping(value) for key, value in _mapping(table.get("columns")).items()}
    split = _mapping(_mapping(database.header.get("splits")).get(table.get("split_id") or ""))
    part = cells.PART_ALIASES.get(str(split.get("type", "")).casefold(), "")
    for raw in _rows(database, name, INDEX if table.get("type") == "segmented" else INDEX[:1]):
        start, end = (cells.seconds(raw.get(column, ""), f"db.{name}") for column in INDEX[1:])
        start = None if not start and end is None else start
        row = {"file": raw["file"], **({"split": part} if part else {})}
        row |= {column: repr(value) for column, value in (("start", start), ("end", end)) if value is not None}
        row |= _meanings(database, columns, raw)
        yield (raw["file"], start, end), row


def _meanings(database: Database, columns: Mapping[str, Mapping[str, Any]], raw: Mapping[str, str]) -> dict[str, str]:
    row: dict[str, str] = {}
    ratings: dict[str, dict[str, Any]] = {}
    for name, column in columns.items():
        cell, scheme = raw.get(name, ""), column.get("scheme_id")
        meaning = _meaning(database, name, scheme)
        if meaning is None or cell.casefold() in cells.UNKNOWN:
            continue
        facts = database.facts(scheme, cell) if scheme else None
        rater = column.get("rater_id")
        if rater and name.casefold() not in ALIASES and meaning in ("emotion", *DIMENSIONS):
            entry = ratings.setdefault(str(rater), {"rater": str(rater)})
            entry |= {"labels": [_label(cell, facts)]} if meaning == "emotion" else {meaning: float(cell)}
        elif meaning == "emotion":
            row[meaning] = _label(cell, facts)
        elif meaning == "sentence":
            row |= {"sentence": _text(cell, facts)} | ({"prompt": cell} if facts else {})
        else:
            row[meaning] = cell
            gender = _mapping(facts).get("gender") if meaning == "speaker" else None
            if gender:
                row.setdefault("gender", str(gender))
    if ratings:
        row["ratings"] = json.dumps(list(ratings.values()), ensure_ascii=False)
    return row


def _label(cell: str, facts: Any) -> str:
    """A label, or the text that explains a code."""
    return facts if isinstance(facts, str) and facts else cell


def _text(cell: str, facts: Any) -> str:
    if isinstance(facts, str):
        return facts
    return str(next((value for key, value in _mapping(facts).items() if key in ALIASES), cell))


def _rows(database: Database, name: str, index: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a table's file, by column; `index` names the first ones."""
    stem = database.folder / f"db.{name}"
    if (file := stem.with_name(f"{stem.name}.parquet")).is_file():
        table = parquet_table(file)
    elif (file := stem.with_name(f"{stem.name}.csv")).is_file():
        table = open_table(file)
    elif (file := stem.with_name(f"{stem.name}.pkl")).is_file():
        raise UserError(
            f"{file} is pickled, and nothing is unpickled here; write the database anew with audformat's "
            "db.save(FOLDER, storage_format='csv')"
        )
    else:
        raise UserError(f"{database.folder}: the table db.{name}.csv is not there; complete the database")
    header = [*index, *table.header[len(index) :]]
    for _, row in table.rows:
        yield dict(zip(header, (cell.strip() for cell in row), strict=True))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


CORPUS = Corpus(
    name="audformat",
    title="audformat (audb)",
    matches=matches,
    read=read,
    write=write,
    options={
        **tables.OPTIONS,
        "table_names": Option("tables that list the clips, with commas between; by default all with emotions", _names),
    },
    source="github.com/audeering/audformat",
    protocol_reason="`column` where the tables have splits, else `paper`",
    is_format=True,
    rank=0,
)
