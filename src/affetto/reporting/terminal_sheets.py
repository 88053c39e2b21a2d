"""Tables that commands print: the scores of a run, predictions, and the headline of a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from affetto.reporting.render.sheet import Cell, Column, Sheet, columns, text_cell
from affetto.reporting.render.stamps import SYNTHETIC, stamp_of
from affetto.reporting.render.text import DASH, count_text, duration_text, percent_text, range_text
from affetto.reporting.stats.estimation import interval_words
from affetto.targets.target import Target

MACRO_F1 = "macro F1"
WITH_INTERVAL = (MACRO_F1, "CCC", "macro F1 of labels", "KL divergence")
"""Columns of a report's headline whose interval a terminal shows too."""
HIDDEN = (
    *("weighted F1", "accuracy", "chance"),
    *("Pearson's r", "MAE", "RMSE of a guesser"),
    *("cross-entropy", "macro F1 of the majority", "macro F1 of any rater"),
)
"""Columns of a report's headline that a terminal has no room for."""


@dataclass(frozen=True, kw_only=True)
class ScoredSet:
    """Scores of one model on one set of clips, a row of the table that a command prints."""

    name: str
    scores: Mapping[str, Any]
    """Scores as `Target.scores` returns them."""
    target: Target | None = None
    """Target of the model; None: classes."""
    trained: int | None = None
    """Number of trained parameters; None if not known."""
    seconds: float | None = None
    synthetic: bool = False
    """True if the speech is synthetic."""


def score_sheet(sets: Sequence[ScoredSet]) -> Sheet:
    """Scores of models of one target: of classes a row a set, else a row a measure."""
    target = sets[0].target
    return _class_sheet(sets) if target is None or not target.learns_from_annotations else _measure_sheet(sets, target)


def _class_sheet(sets: Sequence[ScoredSet]) -> Sheet:
    """A row a set: macro F1 with its interval, UAR, chance, and, where known, trained parameters and time."""
    all_synthetic = all(scored.synthetic for scored in sets)
    has_trained = any(scored.trained is not None for scored in sets)
    has_seconds = any(scored.seconds is not None for scored in sets)
    rows = []
    for scored in sets:
        name = scored.name if all_synthetic or not scored.synthetic else f"{scored.name} ({SYNTHETIC})"
        rows.append(
            (
                text_cell(name),
                Cell(range_text(scored.scores["macro_f1"], *scored.scores["interval"]["macro_f1"])),
                Cell(percent_text(scored.scores["uar"])),
                Cell(percent_text(scored.scores["chance"]["macro_f1"])),
                *((Cell(count_text(scored.trained)),) if has_trained else ()),
                *((Cell(duration_text(scored.seconds)),) if has_seconds else ()),
            )
        )
    optional = (*(["trainable"] if has_trained else []), *(["time"] if has_seconds else []))
    return Sheet(
        name="scores",
        title="Scores",
        columns=columns("method", f"{MACRO_F1} (95 %)", "UAR", "chance", *optional, texts=("method",)),
        rows=tuple(rows),
        caption=_basis([scored.scores for scored in sets]),
        stamp=stamp_of(sets),
    )


def _measure_sheet(sets: Sequence[ScoredSet], target: Target) -> Sheet:
    """A row a measure, a column a set with the interval, and chance; trained parameters and time in the caption."""
    of_sets = [target.scored(scored.scores) for scored in sets]
    rows = []
    for number, first in enumerate(of_sets[0]):
        cells = [Cell(scores[number].text, scores[number].value) for scores in of_sets]
        chance = DASH if first.chance is None else first.measure.text(first.chance)
        rows.append((text_cell(first.title), *cells, Cell(chance, first.chance)))
    facts = [words for scored in sets for words in _facts(scored)]
    return Sheet(
        name="scores",
        title="Scores",
        columns=columns("measure", *(f"{scored.name} (95 %)" for scored in sets), "chance", texts=("measure",)),
        rows=tuple(rows),
        caption=" ".join([_basis([scored.scores for scored in sets]), *facts]),
        stamp=stamp_of(sets),
    )


def _facts(scored: ScoredSet) -> Iterator[str]:
    """Trained parameters and time of a set, as far as they are known."""
    if scored.trained is not None:
        yield f"{scored.name}: {count_text(scored.trained)} trainable parameters."
    if scored.seconds is not None:
        yield f"Time: {duration_text(scored.seconds)}."


def prediction_sheet(
    predictions: Iterable[Mapping[str, Any]],
    *,
    has_classes: bool = True,
    dimensions: Sequence[str] = (),
    judged: Sequence[str] = (),
) -> Sheet:
    """A row a file, of `{file, emotion, probabilities}`: emotion (– if the model abstains), probability, next.

    Without classes: the called labels and the most probable one, if the rows have labels. Then the set of labels, if
    the rows have sets, each dimension, and the numbers that `judged` names. The reason of a refused answer stands in
    its place.
    """
    rows = list(predictions)
    sets = ("set",) if any("set" in row for row in rows) else ()
    has_labels = not has_classes and any("labels" in row for row in rows)
    reasons = ("refused",) if judged and not (has_classes or has_labels) else ()
    heads = ("emotion", "probability", "next") if has_classes else ("labels", "most probable") if has_labels else ()
    of_labels = _prediction_cells if has_classes else _called_cells if has_labels else lambda _: ()
    return Sheet(
        name="predictions",
        title="Predictions",
        columns=columns(
            "file",
            *heads,
            *sets,
            *dimensions,
            *(name.replace("_", " ") for name in judged),
            *reasons,
            texts=("file", "emotion", "next", "labels", "most probable", *sets, *reasons),
        ),
        rows=tuple(
            (
                Cell(row["file"]),
                *of_labels(row),
                *(Cell(", ".join(row.get(name, ())) or DASH) for name in sets),
                *(_number_cell(row.get("dimensions", {}).get(name)) for name in dimensions),
                *(_number_cell(row.get(name), decimals=3) for name in judged),
                *(Cell(row.get(name, DASH)) for name in reasons),
            )
            for row in rows
        ),
    )


def headline_sheet(sheet: Sheet) -> Sheet:
    """A report's main table for a terminal of 80 columns: names in one column, intervals beside the score."""
    texts = [number for number, column in enumerate(sheet.columns) if not column.is_number]
    numbers = [number for number, column in enumerate(sheet.columns) if column.is_number and column.name not in HIDDEN]
    heads = [sheet.columns[number].name for number in numbers]
    rows = []
    for row in sheet.rows:
        label = ", ".join(row[number].text for number in texts if row[number].text not in ("", DASH))
        cells = [
            Cell(f"{cell.text} ({cell.under})" if head in WITH_INTERVAL and cell.under else cell.text)
            for head, cell in zip(heads, (row[number] for number in numbers), strict=True)
        ]
        rows.append((Cell(label), *cells))
    label_head = ", ".join(sheet.columns[number].name for number in texts)
    return replace(
        sheet,
        columns=(
            Column(label_head, is_number=False),
            *(Column(f"{head} (95 %)" if head in WITH_INTERVAL else head) for head in heads),
        ),
        rows=tuple(rows),
        caption="",
        notes=(),
        breaks=frozenset(),
    )


def _basis(scores: Sequence[Mapping[str, Any]]) -> str:
    """Clips, where all sets have as many, and how the intervals were made."""
    clips = {scored["n"] for scored in scores}
    words = f"{interval_words([scored['interval'] for scored in scores])}."
    return f"{clips.pop():,} clips. {words}" if len(clips) == 1 else words


def _number_cell(value: float | None, decimals: int = 2) -> Cell:
    return Cell(DASH) if value is None else Cell(f"{value:.{decimals}f}", value)


def _called_cells(prediction: Mapping[str, Any]) -> tuple[Cell, ...]:
    label, probability = max(prediction["probabilities"].items(), key=lambda item: item[1])
    called = prediction.get("refused") or ", ".join(prediction["labels"]) or DASH
    return Cell(called), Cell(f"{label} {percent_text(probability)} %")


def _prediction_cells(prediction: Mapping[str, Any]) -> tuple[Cell, ...]:
    ranked = sorted(prediction["probabilities"].items(), key=lambda item: -item[1])
    cells: list[Cell] = []
    if prediction["emotion"] is None:  # the model abstains, or is not asked: its most probable emotion comes next
        cells += [Cell(prediction.get("refused", DASH)), Cell(DASH)]
    else:
        emotion, probability = ranked.pop(0)
        cells += [Cell(emotion), Cell(f"{percent_text(probability)} %")]
    following = f"{ranked[0][0]} {percent_text(ranked[0][1])} %" if ranked else DASH
    return (*cells, Cell(following))
