"""Rows to clips: the rules by which any listed row becomes one, whatever format it was listed in.

A collection may have a million rows, so the code that runs per row is lean: each distinct cell is converted once, and
equal cells are one object.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TypedDict, Unpack

from affetto.corpora.amounts import amount, verb
from affetto.corpora.annotations import DIMENSIONS, Rating
from affetto.corpora.delimited import Table
from affetto.corpora.folders import listed_file
from affetto.corpora.formats import cells
from affetto.corpora.formats.annotated import DimensionColumn, annotation_reader, join_ratings, ranges_of
from affetto.corpora.formats.columns import CellColumn
from affetto.corpora.formats.label_rules import LabelRules
from affetto.corpora.formats.speakers import speaker_column
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.names import abbreviated
from affetto.errors import UserError

EXTRA = "extra:"


class RowOptions(TypedDict, total=False):
    """Options that all readers of rows have in common; those of `tables.OPTIONS`, and the label map."""

    label_map: dict[str, str] | None
    speaker_pattern: str | None
    """Regular expression whose one group finds the speaker in the file's name, instead of a column."""
    speaker_table: Mapping[str, str] | None
    """Speaker of each clip, by its file or key."""
    lenient: bool
    dimensions: Mapping[str, DimensionColumn] | None
    audio_root: str | None
    """Folder in which relative paths start."""


@dataclass(frozen=True)
class Rules:
    """The rules by which rows of one corpus become clips."""

    root: Path
    corpus: str
    label_map: dict[str, str] | None = None
    speaker_pattern: str | None = None
    dimensions: Mapping[str, DimensionColumn] = field(default_factory=dict)
    """Columns of dimensions that the user named, by the dimension's name."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """Meaning of each label that is no usual one, where the format explains it."""
    speakers: Mapping[str, str] | None = None
    """Speaker of each clip by its key, its file or the file's name without suffix (`speakers.read_speakers`)."""
    is_lenient: bool = False
    """True if clips may lack a speaker and be listed again, and if unknown labels are classes of their own."""

    @property
    def needs_column_of_speakers(self) -> bool:
        return not (self.speaker_pattern or self.speakers is not None or self.is_lenient)


def rules_of(
    folder: Path, corpus: str, *, codes: Mapping[str, str] | None = None, **options: Unpack[RowOptions]
) -> Rules:
    """Rules of a corpus from the options of its reader; relative paths start in `folder` unless they say otherwise."""
    audio_root = options.get("audio_root")
    return Rules(
        root=Path(audio_root).expanduser().resolve() if audio_root else folder,
        corpus=corpus,
        label_map=options.get("label_map"),
        speaker_pattern=options.get("speaker_pattern"),
        dimensions=options.get("dimensions") or {},
        codes=codes or {},
        speakers=options.get("speaker_table"),
        is_lenient=options.get("lenient", False),
    )


@dataclass(frozen=True)
class Parsed:
    """The clips of one table, notes for people, and True if the table says that its audio is synthetic."""

    clips: list[Clip]
    notes: tuple[str, ...] = ()
    synthetic: bool = False


def parse(table: Table, rules: Rules, *, part: str | None = None, prefix: str = "") -> Parsed:
    """The clips of a table's rows. `part` is for rows that name none; `prefix` precedes relative files."""
    has_other = rules.dimensions or {"ratings", *DIMENSIONS} & {column.casefold() for column in table.header}
    places, notes = cells.find_columns(
        table.name, table.header, with_speaker=rules.needs_column_of_speakers, needs_emotion=not has_other
    )
    to_clip = _row_reader(table, places, rules, part, prefix)
    synthetic_at = places.get("synthetic")
    listing = _Listing(table, has_raters="rater" in places, is_lenient=rules.is_lenient)
    dropped, synthetic = 0, False
    for line, row in table.rows:
        clip = to_clip(row, line)
        if clip is None:
            dropped += 1
            continue
        listing.add(clip, line)
        synthetic = synthetic or (synthetic_at is not None and row[synthetic_at].casefold() == "true")
    clips, ties = listing.joined(has_ratings="ratings" in places, has_emotion="emotion" in places)
    if ties:
        tied = f"{amount(ties, 'clip')} {verb(ties, 'have')} tied ratings"
        notes = (*notes, f"{table.name}: {tied}; the first of the tied emotions counts")
    if not clips and not dropped:
        raise UserError(
            f"{table.name} lists no clips: below its header ({abbreviated(table.header)}) is nothing; "
            "add a line for each clip"
        )
    if listing.repetitions:
        number = listing.repetitions
        again = f"{amount(number, 'line')} {verb(number, 'list')} a clip again"
        notes = (*notes, f"{table.name}: {again} and {verb(number, 'were')} passed over")
    if dropped:
        left_out = f"{amount(dropped, 'clip')} {verb(dropped, 'are')} left out by the label map"
        notes = (*notes, f"{table.name}: {left_out}")
    return Parsed(clips, notes, synthetic)


def manifest_of(rules: Rules, tables: Iterable[Parsed], *, strict: bool, synthetic: bool) -> Manifest:
    """The manifest of the clips of some tables, with their notes and the ranges of their dimensions.

    `synthetic` is True if the folder says that its audio is synthetic; a table may say so too.
    """
    clips: list[Clip] = []
    notes: list[str] = []
    for parsed in tables:
        clips += parsed.clips
        notes += parsed.notes
        synthetic = synthetic or parsed.synthetic
    ranges, range_notes = ranges_of(clips, rules.dimensions)
    return Manifest(
        corpus=rules.corpus,
        root=rules.root,
        clips=tuple(clips),
        synthetic=synthetic,
        notes=(*notes, *range_notes, *check_files(rules.root, clips, strict=strict)),
        dimensions=ranges,
    )


class _Listing:
    """The clips of a table's rows, each once; with a column of raters, the rows of one clip are its ratings."""

    def __init__(self, table: Table, *, has_raters: bool, is_lenient: bool) -> None:
        self._table, self._has_raters, self._is_lenient = table, has_raters, is_lenient
        self.repetitions = 0
        """Lines that list a clip again and were passed over."""
        self._clips: list[Clip] = []
        self._numbers: dict[object, int] = {}
        self._lines: list[int] = []
        self._ratings: list[dict[str, Rating]] = []

    def add(self, clip: Clip, line: int) -> None:
        """Add the clip of a row. Raises UserError for one that may not be listed again."""
        key = clip.file if clip.start is None and clip.end is None else (clip.file, clip.start or 0.0, clip.end)
        number = self._numbers.setdefault(key, len(self._clips))
        if number == len(self._clips):
            self._clips.append(clip)
            self._lines.append(line)
            if self._has_raters:
                self._ratings.append({rating.rater: rating for rating in clip.ratings})
        elif self._has_raters:
            self._add_rating(clip, line, number)
        elif self._is_lenient:
            self.repetitions += 1
        else:
            raise UserError(
                f"{self._table.where(line)} lists {clip.name} again (first: line {self._lines[number]}); each clip may "
                "be listed once"
            )

    def joined(self, *, has_ratings: bool, has_emotion: bool) -> tuple[list[Clip], int]:
        """The clips with all their ratings, and the number of clips whose ratings are tied."""
        if self._has_raters:
            pairs = zip(self._clips, self._ratings, strict=True)
            clips = [replace(clip, ratings=tuple(ratings.values())) for clip, ratings in pairs]
            return join_ratings(clips, has_emotion=False, has_raters=True)
        if has_ratings:
            return join_ratings(self._clips, has_emotion=has_emotion, has_raters=False)
        return self._clips, 0

    def _add_rating(self, clip: Clip, line: int, number: int) -> None:
        """Add a further rating of a clip. Raises UserError for a rater who gave one, and for another speaker."""
        where, first, ratings = self._table.where(line), self._clips[number], self._ratings[number]
        if clip.speaker != first.speaker:
            raise UserError(
                f"{where} gives {clip.name} the speaker {clip.speaker!r}, line {self._lines[number]} "
                f"{first.speaker!r}; the rows of all raters of a clip must name one speaker"
            )
        for rating in clip.ratings:
            if rating.rater in ratings:
                raise UserError(
                    f"{where}: rater {rating.rater!r} rates {clip.name} again; each rater may rate a clip once: leave "
                    "one of the lines out"
                )
            ratings[rating.rater] = rating


def check_files(root: Path, clips: Sequence[Clip], *, strict: bool, looked_at: int = 20) -> tuple[str, ...]:
    """Notes on files that are not there: by their backslashes, or none of the first; a UserError under `strict`."""
    windows = [clip.file for clip in clips if "\\" in clip.file and not os.path.exists(root / clip.file)]
    if windows and os.sep == "/":
        files = f"{amount(len(windows), 'listed file')} {verb(len(windows), 'are')} not there"
        note = (
            f"{files} and {verb(len(windows), 'have')} backslashes, as Windows writes them: {windows[0]!r}; "
            f"write paths from {root} on with slashes, as in f1/a.wav"
        )
        if strict:
            raise UserError(note)
        return (note,)
    first = [clip.file for clip in islice(clips, looked_at)]
    if not first or any(os.path.exists(root / file) for file in first):
        return ()
    listed = "the one file listed is not" if len(first) == 1 else f"none of the first {len(first)} files listed is"
    note = f"{listed} there ({root / first[0]}{', …' * (len(first) > 1)}); relative paths start in {root}"
    if strict:
        raise UserError(f"{note}. Move the table, or give --option audio_root=FOLDER")
    return (note,)


def _row_reader(
    table: Table, places: dict[str, int], rules: Rules, part: str | None, prefix: str
) -> Callable[[list[str], int], Clip | None]:
    labels = LabelRules(rules.label_map, rules.codes, are_open=rules.is_lenient)
    annotation_of = annotation_reader(table=table, places=places, label_of=labels.reader(), dimensions=rules.dimensions)
    speaker_of = speaker_column(
        table, places, pattern=rules.speaker_pattern, speakers=rules.speakers, is_lenient=rules.is_lenient
    )
    gender_of = CellColumn(table, places.get("gender"), cells.gender)
    prompt_of = CellColumn(table, places.get("prompt", places.get("sentence")), lambda cell, where: cell or None)
    sentence_of = CellColumn(table, places.get("sentence", places.get("prompt")), _sentence(places))
    part_of = CellColumn(table, places.get("split"), lambda cell, where: cells.part(cell, where) or part, part)
    extra_of = _extras(table)
    section_of = _sections(table, places)
    file_at, inside, corpus = places["file"], f"{rules.root.as_posix().rstrip('/')}/", rules.corpus

    def to_clip(row: list[str], line: int) -> Clip | None:
        file = row[file_at].strip()
        if not file:
            raise UserError(f"{table.where(line)} names no file; fill it in, or leave the line out")
        if "://" in file:
            raise UserError(f"{table.where(line)}: {file!r} is an address, not a file; download it and name the copy")
        if "//" in file or "./" in file:
            file = Path(file).as_posix()
        file = listed_file(rules.root, file.removeprefix(inside) if file[0] == "/" else prefix + file)
        annotation = annotation_of(row, line)
        if annotation is None:
            return None
        start, end = section_of(row, line) if section_of else (None, None)
        return Clip(
            file=file,
            emotion=annotation.emotion,
            speaker=speaker_of(row, line) or "",
            corpus=corpus,
            gender=gender_of(row, line),
            prompt=prompt_of(row, line),
            part=part_of(row, line),
            start=start,
            end=end,
            extra=extra_of(row) if extra_of else (),
            sentence=sentence_of(row, line),
            labels=annotation.labels,
            ratings=annotation.ratings,
            dimensions=annotation.dimensions,
        )

    return to_clip


def _sentence(places: dict[str, int]) -> Callable[[str, str], str | None]:
    """A converter to spoken words: a sentence as it is, and a prompt (which may be an id) if it has several words."""
    if "sentence" in places:
        return lambda cell, where: cell or None
    return lambda cell, where: cell if " " in cell else None


def _sections(
    table: Table, places: dict[str, int]
) -> Callable[[list[str], int], tuple[float | None, float | None]] | None:
    """A function from a row to its start and end; None where the table has no such columns."""
    start_at, end_at = places.get("start"), places.get("end")
    if start_at is None and end_at is None:
        return None

    def section(row: list[str], line: int) -> tuple[float | None, float | None]:
        where = table.where(line)
        return cells.section(row, start_at, end_at, where)

    return section


def _extras(table: Table) -> Callable[[list[str]], tuple[tuple[str, str], ...]] | None:
    """A function from a row to its further facts; None where the table has none."""
    columns = sorted((name[len(EXTRA) :], index) for index, name in enumerate(table.header) if name.startswith(EXTRA))
    if not columns:
        return None
    pool: dict[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]] = {}

    def extra(row: list[str]) -> tuple[tuple[str, str], ...]:
        pairs = tuple((name, row[index]) for name, index in columns if row[index])
        return pool.setdefault(pairs, pairs)

    return extra
