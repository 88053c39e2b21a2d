"""Annotations in rows: several labels in a cell, counts of ratings, one row for each rater, and dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from affetto.corpora.annotations import DIMENSIONS, USUAL_RANGES, Range, Rating, majority, mean_dimensions, range_of
from affetto.corpora.delimited import Table
from affetto.corpora.formats.cells import UNKNOWN
from affetto.corpora.formats.columns import CellColumn
from affetto.corpora.formats.label_rules import LabelReader
from affetto.corpora.formats.listed_ratings import MOST_RATERS, listed_ratings
from affetto.corpora.labels import in_order
from affetto.corpora.manifest import Clip
from affetto.corpora.names import abbreviated, unified
from affetto.errors import UserError

SEPARATOR = "|"
ADVICE = "--dimension NAME=COLUMN:LOW:HIGH"


@dataclass(frozen=True)
class DimensionColumn:
    """The column of a dimension and its range, as the user named them."""

    column: str
    range: Range


@dataclass(frozen=True, slots=True)
class Annotation:
    """The annotations of one row, as `Clip` has them."""

    emotion: str = ""
    labels: tuple[str, ...] = ()
    ratings: tuple[Rating, ...] = ()
    dimensions: tuple[tuple[str, float], ...] = ()


def parse_dimensions(text: str) -> dict[str, DimensionColumn]:
    """Columns of dimensions from `NAME=COLUMN:LOW:HIGH,…`; ValueError for a text that is no such list.

    >>> parse_dimensions("arousal=act:1:7")["arousal"].range
    Range(low=1.0, high=7.0)
    """
    columns: dict[str, DimensionColumn] = {}
    for part in text.split(","):
        name, _, rest = part.strip().partition("=")
        column, *ends = rest.rsplit(":", 2)
        try:
            low, high = (float(end) for end in ends)
        except ValueError:
            raise ValueError("must be NAME=COLUMN:LOW:HIGH, such as arousal=act:1:7") from None
        if not name or not column or not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError("must be NAME=COLUMN:LOW:HIGH with LOW below HIGH, such as arousal=act:1:7")
        if name in columns:
            raise ValueError(f"names the dimension {name} twice")
        columns[name] = DimensionColumn(column, Range(low, high))
    return columns


def annotation_reader(
    *,
    table: Table,
    places: Mapping[str, int],
    label_of: LabelReader,
    dimensions: Mapping[str, DimensionColumn],
) -> Callable[[list[str], int], Annotation | None]:
    """A function from a row and its line to its annotations; None for a row that the label map leaves out."""
    may_lack_labels = bool(places.keys() & {"ratings", *DIMENSIONS}) or bool(dimensions)
    labels_of = CellColumn(
        table, places.get("emotion"), lambda cell, where: _labels(cell, where, label_of, may_lack_labels)
    )
    if "rater" in places and "ratings" in places:
        raise UserError(
            f"{table.name} has the columns rater and ratings; give one row for each rater, or the ratings of a clip in "
            "one cell, not both"
        )
    ratings_of = CellColumn(table, places.get("ratings"), lambda cell, where: _ratings(cell, where, label_of))
    rater_of = CellColumn(table, places.get("rater"), _rater)
    numbers = {name: CellColumn(table, at, convert) for name, (at, convert) in _columns(table, places, dimensions)}
    pool: dict[object, Annotation] = {}

    def annotation(row: list[str], line: int) -> Annotation | None:
        labels, ratings = labels_of(row, line), ratings_of(row, line)
        if labels == () or (labels is None and ratings == ()):
            return None
        values = ((name, column(row, line)) for name, column in numbers.items())
        pairs = tuple((name, value) for name, value in values if value is not None)
        if not labels and not ratings and not pairs:
            raise UserError(f"{table.where(line)} has no emotion, ratings or dimension; fill one in, or leave it out")
        rater = rater_of(row, line)
        if rater is not None:
            ratings = (Rating(rater, labels or (), pairs),)
        key = (labels, ratings, pairs)
        if key not in pool:
            several = in_order(set(labels or ()))
            pool[key] = Annotation(
                emotion=labels[0] if labels else "",
                labels=several if len(several) > 1 else (),
                ratings=ratings or (),
                dimensions=pairs,
            )
        return pool[key]

    return annotation


def join_ratings(clips: Iterable[Clip], *, has_emotion: bool, has_raters: bool) -> tuple[list[Clip], int]:
    """The clips with the consensus of their ratings, and the number of clips whose votes are tied.

    The emotion is the majority's unless `has_emotion`. Dimensions are the row's own, or the mean over raters who gave
    some: with `has_raters` always the mean, since a row is one rater's.
    """
    joined, ties = [], 0
    for clip in clips:
        emotion, is_tied = (clip.emotion, False) if has_emotion else majority(clip.ratings)
        ties += is_tied
        means = mean_dimensions(clip.ratings)
        dimensions = means or clip.dimensions if has_raters else clip.dimensions or means
        labels = clip.labels if has_emotion or len(clip.ratings) == 1 else ()
        joined.append(replace(clip, emotion=emotion, labels=labels, dimensions=dimensions))
    return joined, ties


def ranges_of(
    clips: Sequence[Clip], columns: Mapping[str, DimensionColumn]
) -> tuple[dict[str, Range], tuple[str, ...]]:
    """Range of each dimension of the clips, and a note on those that were found by the values.

    Raises UserError for values that fit no usual range, where the user gave none.
    """
    ends: dict[str, Range] = {}
    for clip in clips:
        for pairs in (clip.dimensions, *(rating.dimensions for rating in clip.ratings)):
            for name, value in pairs:
                earlier = ends.get(name)
                if earlier is None or value not in earlier:
                    low, high = (earlier.low, earlier.high) if earlier else (value, value)
                    ends[name] = Range(min(low, value), max(high, value))
    ranges, inferred = {}, []
    for name, values in sorted(ends.items()):
        if name in columns:
            ranges[name] = columns[name].range
            continue
        usual = range_of((values.low, values.high))
        if usual is None:
            raise UserError(
                f"the values of {name} go from {values}, which is no usual range "
                f"({', '.join(map(str, USUAL_RANGES))}); give its own, as --dimension {name}={name}:LOW:HIGH"
            )
        ranges[name] = usual
        inferred.append(f"{name} {usual}")
    if not inferred:
        return ranges, ()
    return ranges, (f"ranges taken from the values: {', '.join(inferred)}; {ADVICE} gives others",)


def _columns(
    table: Table, places: Mapping[str, int], dimensions: Mapping[str, DimensionColumn]
) -> list[tuple[str, tuple[int, Callable[[str, str], float | None]]]]:
    """Index and converter of the column of each dimension, sorted by the dimension's name."""
    columns = {name: (places[name], _number(name, None)) for name in DIMENSIONS if name in places}
    for name, dimension in dimensions.items():
        at = table.column([dimension.column.casefold()])
        if at is None:
            raise UserError(
                f"{table.name} has no column {dimension.column} for the dimension {name}; found: "
                f"{abbreviated(table.header)}"
            )
        columns[name] = (at, _number(name, dimension.range))
    return sorted(columns.items())


def _number(name: str, scale: Range | None) -> Callable[[str, str], float | None]:
    """A converter to the value of a dimension; None for a missing one."""

    def number(cell: str, where: str) -> float | None:
        if cell.casefold() in UNKNOWN:
            return None
        try:
            value = float(cell)
        except ValueError:
            raise UserError(f"{where}: {name} must be a number, not {cell!r}; mend it, or leave it empty") from None
        if not math.isfinite(value):
            raise UserError(f"{where}: {name} must be a finite number, not {cell!r}; mend it, or leave it empty")
        if scale is not None and value not in scale:
            raise UserError(f"{where}: {name} is {cell}, outside its range {scale}; mend it, or give another range")
        return value

    return number


def _labels(cell: str, where: str, label_of: LabelReader, may_lack_labels: bool) -> tuple[str, ...] | None:
    """The labels of a cell such as `joy|surprise`, without those that the label map drops; None for an empty one."""
    if may_lack_labels and cell.casefold() in UNKNOWN:
        return None
    labels = (label_of(label, where) for label in cell.split(SEPARATOR))
    return tuple(dict.fromkeys(label for label in labels if label is not None))


def _rater(cell: str, where: str) -> str:
    name = unified(cell)
    if name.casefold() in UNKNOWN:
        raise UserError(f"{where} names no rater ({cell!r}); give each rater a name, or leave the line out")
    return name


def _ratings(cell: str, where: str, label_of: LabelReader) -> tuple[Rating, ...] | None:
    """The ratings of a cell such as `anger=3;joy=2`; None for an empty one, () where the label map drops them all."""
    if cell.casefold() in UNKNOWN:
        return None
    if cell.startswith("["):
        return listed_ratings(cell, where, label_of)
    ratings: list[Rating] = []
    total = 0
    for part in filter(None, (part.strip() for part in cell.split(";"))):
        name, _, number = part.rpartition("=")
        if not name or not number.strip().isdecimal():
            raise UserError(
                f"{where}: {part!r} is no number of ratings; write whole numbers of raters, as in anger=3;joy=2"
            )
        count = int(number)
        total += count
        if total > MOST_RATERS:
            raise UserError(f"{where}: {cell!r} are more than {MOST_RATERS:,} ratings of one clip; mend the numbers")
        label = label_of(name, where)
        if label is not None:
            ratings += [Rating(labels=(label,))] * count
    if not total:
        raise UserError(f"{where}: the ratings {cell!r} sum to 0; give at least one, or leave the cell empty")
    return tuple(ratings)
