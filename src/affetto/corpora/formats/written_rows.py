"""Clips as rows of text: the columns and cells from which every reader of listings makes the same clips again.

A writer lays these cells out as its format wants them; whatever a format has no field of its own for goes under the
column's name into its further fields.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path, PurePosixPath

from affetto.corpora.annotations import DIMENSIONS, USUAL_RANGES, Rating
from affetto.corpora.formats.annotated import SEPARATOR
from affetto.corpora.formats.rows import EXTRA
from affetto.corpora.labels import EMOTIONS
from affetto.corpora.manifest import PARTS, Clip, Manifest

ALWAYS = ("file", "emotion", "speaker")
OPTIONAL = ("gender", "split", "prompt", "sentence", "start", "end", "ratings")
WORDS = ("prompt", "sentence")
"""Columns that are written both or not at all: a reader that finds one alone takes it for both."""
Folds = Mapping[str, Mapping[str, str]]
"""The part of each clip, by the fold's name and the clip's id."""


def columns_of(manifest: Manifest) -> tuple[str, ...]:
    """The columns that the clips fill: `file`, `emotion` and `speaker` always, then those that any clip needs."""
    filled = {column for clip in manifest.clips for column, cell in row_of(clip).items() if cell}
    if filled & {*WORDS}:
        filled |= {*WORDS}
    further = sorted(filled - {*ALWAYS, *OPTIONAL})
    # Numbers alone need no emotion; beside ratings an absent one would be taken from their majority.
    always = ALWAYS if filled & {"emotion", "ratings"} else tuple(name for name in ALWAYS if name != "emotion")
    return (*always, *(column for column in OPTIONAL if column in filled), *further)


def row_of(clip: Clip) -> dict[str, str]:
    """The cells of a clip, by column; empty ones for what it does not have."""
    emotions = [clip.emotion, *(label for label in clip.labels if label != clip.emotion)]
    return {
        "file": clip.file,
        "emotion": SEPARATOR.join(emotions),
        "speaker": clip.speaker,
        "gender": clip.gender or "",
        "split": clip.part or "",
        "prompt": clip.prompt or "",
        "sentence": clip.sentence or "",
        "start": "" if clip.start is None else repr(clip.start),
        "end": "" if clip.end is None else repr(clip.end),
        "ratings": ratings_cell(clip.ratings),
        **{name: repr(value) for name, value in clip.dimensions},
        **{f"{EXTRA}{name}": value for name, value in clip.extra},
    }


def ratings_cell(ratings: Sequence[Rating]) -> str:
    """Ratings as `anger=3;joy=2` where they are labels of unknown raters alone, else as a JSON list."""
    if all(_is_plain(rating) for rating in ratings):
        runs = ((label, len(list(run))) for label, run in groupby(rating.labels[0] for rating in ratings))
        return ";".join(f"{label}={count}" for label, count in runs)
    entries = [
        {
            **({"rater": rating.rater} if rating.rater else {}),
            **({"labels": list(rating.labels)} if rating.labels else {}),
            **dict(rating.dimensions),
        }
        for rating in ratings
    ]
    return json.dumps(entries, ensure_ascii=False)


def _is_plain(rating: Rating) -> bool:
    is_label = len(rating.labels) == 1 and not set("=;|[") & set(rating.labels[0])
    return is_label and not rating.rater and not rating.dimensions


def keys_of(manifest: Manifest) -> dict[str, str]:
    """A key for each clip, by its id: the stem of its file, with a number where several clips have one stem."""
    times = Counter(PurePosixPath(clip.file).stem for clip in manifest.clips)
    numbers = Counter[str]()
    keys = {}
    for clip in manifest.clips:
        stem = PurePosixPath(clip.file).stem
        numbers[stem] += 1
        keys[clip.id] = stem if times[stem] == 1 else f"{stem}#{numbers[stem]}"
    return keys


def fold_columns(folds: Folds) -> dict[str, Mapping[str, str]]:
    """The part of each clip in each fold, by the name of the fold's column."""
    return {f"split_{name}": parts for name, parts in folds.items()}


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def parted(manifest: Manifest) -> dict[str, Manifest]:
    """The clips of each part as a manifest, by the part; "" for those of none."""
    parts = {part: tuple(clip for clip in manifest.clips if (clip.part or "") == part) for part in (*PARTS, "")}
    return {part: replace(manifest, clips=clips) for part, clips in parts.items() if clips}


def cells_of(manifest: Manifest, columns: Sequence[str]) -> Iterator[list[str]]:
    """The cells of each clip in these columns."""
    for clip in manifest.clips:
        row = row_of(clip)
        yield [row.get(column, "") for column in columns]


def time_cell(column: str, cell: str) -> str:
    """The start or end of a section as pandas writes it; for a clip without one the ends of its file."""
    if not cell:
        return "0 days 00:00:00" if column == "start" else "NaT"
    minutes, seconds = divmod(float(cell), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"{days:.0f} days {hours:02.0f}:{minutes:02.0f}:{seconds:012.9f}"


def unheld_classes(manifest: Manifest) -> tuple[str, ...]:
    """A note on classes that are read back with an option; () where there are none."""
    classes = [label for label in manifest.labels if label not in EMOTIONS]
    options = " ".join(f"--label '{label}={label}'" for label in classes)
    return (f"classes beside the seven emotions are read back with {options}",) if classes else ()


def unheld(manifest: Manifest) -> tuple[str, ...]:
    """Notes on what reading the rows again takes an option for."""
    notes = list(unheld_classes(manifest))
    options = []
    for name, scale in manifest.dimensions.items():
        values = [dict(pairs)[name] for clip in manifest.clips for pairs in _pairs(clip) if name in dict(pairs)]
        usual = next((usual for usual in USUAL_RANGES if all(value in usual for value in values)), None)
        if name not in DIMENSIONS or usual != scale:
            options.append(f"--dimension {name}={name}:{scale.low:g}:{scale.high:g}")
    if options:
        notes.append(f"ranges of dimensions are read back with {' '.join(options)}")
    return tuple(notes)


def _pairs(clip: Clip) -> Iterator[tuple[tuple[str, float], ...]]:
    yield clip.dimensions
    yield from (rating.dimensions for rating in clip.ratings)
