"""AI4SER, acted Italian speech with listeners' judgements of emotion, valence, dominance and arousal.

Each speaker says ten phrases in seven states, 70 clips at 44.1 kHz and 16 bit (the data set's page,
huggingface.co/datasets/sirsalvo72/AI4SER, behind a form; CC BY 4.0). About fifty speakers are said to be in it; neither
their number nor their genders nor the words of the phrases could be confirmed, so there are no official counts here.

    01/dis_01_01.wav            speaker / emotion, phrase, speaker
    EMOTIONS-HIT-RATIO.csv      share of the listeners who named each of the seven emotions
    VALIDATION.csv, DOMINANCE.csv, AROUSAL.csv      mean judgement of each file; the first is valence

Cells are separated by `;`. The page does not say how the columns are named: the first column is taken for the file, the
last for the judgement, and columns named after emotions for the shares, which become extras (`hit_anger`). The range of
a dimension is the first of the usual ones that holds all of its values; where none does, the user must give it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from affetto.corpora.corpus import Option
from affetto.corpora.delimited import open_table
from affetto.corpora.folders import visible
from affetto.corpora.formats.annotated import DimensionColumn, parse_dimensions, ranges_of
from affetto.corpora.labelling import Labelling
from affetto.corpora.labels import EMOTIONS, find_emotion
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.named_files import Naming, named_corpus, read_named
from affetto.errors import UserError

HIT_RATIOS = "EMOTIONS-HIT-RATIO.csv"
TABLES = {
    "arousal": ("AROUSAL.csv",),
    "dominance": ("DOMINANCE.csv",),
    "valence": ("VALIDATION.csv", "VALENCE.csv"),
}
"""Files of each dimension: valence's is named VALIDATION.csv on the data set's page."""

NAMING = Naming(
    pattern=r"(?P<emotion>dis|hap|fea|ang|sur|sad|neu)_(?P<prompt>\d\d)_(?P<speaker>\d\d\d?)\.wav",
    shape="<emotion>_<phrase>_<speaker>.wav",
    example="01/dis_01_01.wav",
    emotions={code: find_emotion(code) or "" for code in ("dis", "hap", "fea", "ang", "sur", "sad", "neu")},
)


def annotate(root: Path, clips: tuple[Clip, ...], labelling: Labelling) -> tuple[tuple[Clip, ...], tuple[str, ...]]:
    """The clips with the shares of the listeners' answers, and with the dimensions of the tables that are there."""
    values = {name: dict(_judgements(table)) for name, files in TABLES.items() if (table := _find(root, files))}
    hits = dict(_hit_ratios(table)) if (table := _find(root, (HIT_RATIOS,))) else {}
    annotated = []
    for clip in clips:
        name = Path(clip.file).stem.casefold()
        dimensions = tuple((key, numbers[name]) for key, numbers in sorted(values.items()) if name in numbers)
        annotated.append(replace(clip, dimensions=dimensions, extra=hits.get(name, ())))
    absent = [files[0] for name, files in TABLES.items() if name not in values] + [HIT_RATIOS] * (not hits)
    notes = (f"no {', '.join(absent)} beside the audio: what listeners judged is not known",) if absent else ()
    return tuple(annotated), notes


def _find(root: Path, names: tuple[str, ...]) -> Path | None:
    """The first of these files in the folder of the audio or the one around it, in any capitals; None without one."""
    folded = [name.casefold() for name in names]
    for folder in (root, root.parent):
        for file in visible(folder):
            if file.name.casefold() in folded:
                return file
    return None


def _judgements(table: Path) -> Iterator[tuple[str, float]]:
    for where, name, cells in _rows(table):
        yield name, _number(list(cells.values())[-1], where)


def _hit_ratios(table: Path) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """The shares of each file as extras, by its name without suffix."""
    for where, name, cells in _rows(table):
        shares = {emotion: _number(cell, where) for head, cell in cells.items() if (emotion := find_emotion(head))}
        if set(shares) != set(EMOTIONS):
            raise UserError(f"{table}: columns of the seven emotions are expected, found {', '.join(cells)}")
        yield name, tuple((f"hit_{emotion}", f"{shares[emotion]:g}") for emotion in EMOTIONS)


def _rows(table: Path) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """The place, the file's name without folder and suffix, and the other cells of each row."""
    opened = open_table(table, such_as="file;value")
    if len(opened.header) < 2:
        raise UserError(f"{table} has one column; a file and its value are expected, separated by `;`")
    for line, row in opened.rows:
        name = Path(row[0].strip().replace("\\", "/")).name.casefold()
        yield opened.where(line), name.removesuffix(".wav"), dict(zip(opened.header[1:], row[1:], strict=True))


def _number(cell: str, where: str) -> float:
    """A number with a decimal point or comma."""
    try:
        return float(cell.strip().replace(",", "."))
    except ValueError:
        raise UserError(f"{where}: {cell!r} is no number; mend it, or take the table away") from None


def dimensions_option(text: str) -> dict[str, DimensionColumn]:
    """Ranges of dimensions, each under its own name; ValueError for a dimension that the corpus does not have."""
    columns = parse_dimensions(text)
    if any(name not in TABLES or dimension.column != name for name, dimension in columns.items()):
        raise ValueError(f"must be NAME=NAME:LOW:HIGH with one of {', '.join(TABLES)}, such as arousal=arousal:1:9")
    return columns


def read(
    path: Path,
    *,
    label_map: dict[str, str] | None = None,
    strict: bool = False,
    dimensions: Mapping[str, DimensionColumn] | None = None,
) -> Manifest:
    """The clips, with the dimensions of the tables beside them; `dimensions` gives the range of some.

    Raises UserError for values outside their range, and for those that fit no usual one.
    """
    manifest = read_named(CORPUS, NAMING, path, annotate=annotate, label_map=label_map, strict=strict)
    _refuse_outside(manifest, dimensions or {})
    ranges, notes = ranges_of(manifest.clips, dimensions or {})
    return replace(manifest, dimensions=ranges, notes=(*manifest.notes, *notes))


def _refuse_outside(manifest: Manifest, dimensions: Mapping[str, DimensionColumn]) -> None:
    """Raise a UserError for the first value outside the range that the user gave."""
    for clip in manifest.clips:
        for name, value in clip.dimensions:
            if name in dimensions and value not in dimensions[name].range:
                raise UserError(
                    f"{clip.file}: {name} is {value:g} in {TABLES[name][0]}, outside its range "
                    f"{dimensions[name].range}; mend it, or give another range"
                )


CORPUS = named_corpus(
    NAMING,
    read=read,
    options={
        "dimensions": Option(
            "ranges of dimensions, as NAME=NAME:LOW:HIGH; by default the usual ones that hold the values",
            dimensions_option,
        )
    },
    name="ai4ser",
    title="AI4SER",
    licence="CC BY 4.0",
    speech="acted",
    collection="Speakers say ten phrases in seven states; listeners judged the clips.",
    source="huggingface.co/datasets/sirsalvo72/AI4SER",
    citation='"AI4SER: Artificial Intelligence for Speech Emotion Recognition", '
    "huggingface.co/datasets/sirsalvo72/AI4SER",
    language="Italian",
    genders={},
    uncounted=EMOTIONS,
    protocol="kfold:5",
    protocol_reason="five folds of whole speakers; the corpus has no parts of its own",
)
