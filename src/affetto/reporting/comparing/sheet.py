"""Comparison of two folders as a table of 80 columns with lines below it, and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from affetto.reporting.comparing.compare import Compared, Comparison
from affetto.reporting.comparing.facts import DIGESTS, Change
from affetto.reporting.render.sheet import Cell, Sheet, columns
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import DASH, duration_text, signed_text
from affetto.reporting.stats.differences import Difference

ABSENT = "none"
"""Stands for a fact that only one of two runs states."""
MOST_NAMES = 5
"""Largest number of runs that a line names."""


def difference_sheet(comparison: Comparison) -> Sheet:
    """A row a configuration: the score in both folders, the difference with its interval, changed labels."""
    measures = dict.fromkeys(item.main.title for item in comparison.compared)
    is_mixed = len(measures) > 1
    rows = []
    for item in comparison.compared:
        main = item.main
        rows.append(
            (
                Cell(f"{item.label}: {main.title}" if is_mixed else item.label),
                Cell(main.measure.text(main.first), main.first),
                Cell(main.measure.text(main.second), main.second),
                Cell(_difference_text(main), main.value),
                Cell(DASH if item.relabelled is None else f"{100 * item.relabelled / item.clips:.1f} %"),
            )
        )
    seeds = {len(item.pair.seeds) for item in comparison.compared}
    has_seeds = max(seeds, default=1) > 1
    return Sheet(
        name="compare",
        title="Comparison",
        columns=columns("runs", "A", "B", "B − A (95 %)", "relabelled", texts=("runs",)),
        rows=tuple(rows),
        caption=(
            f"A: {comparison.folders[0]}. B: {comparison.folders[1]}. {' and '.join(measures)} on the same clips, "
            f"{'mean of ' if has_seeds else ''}{_range(seeds)} seed{'s' if has_seeds else ''}. Interval: Student's t "
            f"over speakers{' and seeds' if has_seeds else ''}, {DASH} where too few speakers were tested. "
            "Relabelled: clips with another prediction."
        ),
        stamp=stamp_of(comparison.compared),
    )


def lines(comparison: Comparison) -> Iterator[str]:
    """Sentences below the table: facts that differ, wall time, and runs that only one folder has."""
    yield from _change_lines(comparison.compared)
    times = [item.seconds for item in comparison.compared]
    if any(None not in pair for pair in times):
        first, second = (math.fsum(pair[side] or 0.0 for pair in times if None not in pair) for side in (0, 1))
        yield f"wall time: {duration_text(first)} in A, {duration_text(second)} in B"
    for folder, names in (("A", comparison.only_first), ("B", comparison.only_second)):
        if names:
            rest = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            yield f"only in {folder}: {'; '.join(names[:MOST_NAMES])}{rest}"


def failures(comparison: Comparison) -> Iterator[str]:
    """Reasons for which the comparison does not pass its threshold, a line each."""
    if comparison.threshold is None:
        return
    for item in comparison.fallen:
        yield (
            f"{item.label}: {item.main.title} is worse by {item.main.fall:.1f} points, more than "
            f"{comparison.threshold:g}"
        )
    if comparison.only_first:
        count = len(comparison.only_first)
        yield f"{count} {'runs of A have' if count > 1 else 'run of A has'} no finished counterpart in B"


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON; scores and intervals are fractions, falls are points."""
    return {
        "first": str(comparison.folders[0]),
        "second": str(comparison.folders[1]),
        "threshold": comparison.threshold,
        "passes": comparison.passes,
        "fallen": [item.label for item in comparison.fallen],
        "pairs": [_pair_dict(item) for item in comparison.compared],
        "not_compared": list(comparison.refused),
        "only_in_first": list(comparison.only_first),
        "only_in_second": list(comparison.only_second),
        "left_out": list(comparison.notes),
    }


def _pair_dict(item: Compared) -> dict[str, Any]:
    return {
        "label": item.label,
        "folders": [[str(run.path) for run in config.runs] for config in (item.pair.first, item.pair.second)],
        "seeds": list(item.pair.seeds),
        "measure": item.main.name,
        "fall": item.main.fall,
        "scores": [_score_dict(score) for score in item.scores],
        "clips": item.clips,
        "relabelled": item.relabelled,
        "speakers": item.speakers,
        "differs": [
            {"kind": change.kind, "name": change.name, "seed": seed, "first": change.first, "second": change.second}
            for seed, change in item.changes
        ],
        "wall_seconds": list(item.seconds),
        "synthetic": item.synthetic,
    }


def _score_dict(score: Difference) -> dict[str, Any]:
    return {
        "measure": score.name,
        "first": score.first,
        "second": score.second,
        "difference": score.value,
        "interval": None if score.interval is None else list(score.interval),
        "higher_is_better": score.measure.higher_is_better,
    }


def _difference_text(difference: Difference) -> str:
    scale, digits = difference.measure.scale, 1 if difference.measure.in_per_cent else 3
    text = signed_text(scale * difference.value, digits)
    if difference.interval is None:
        return f"{text} ({DASH})"
    low, high = (signed_text(scale * end, digits) for end in difference.interval)
    return f"{text} ({low} to {high})"


def _change_lines(compared: Iterable[Compared]) -> Iterator[str]:
    """A line for each fact that differs, with the number of runs; digests are only named."""
    runs = sum(len(item.pair.seeds) for item in compared)
    counts: dict[Change, int] = {}
    for item in compared:
        for _, change in item.changes:
            is_digest = change.kind in DIGESTS
            fact = Change(kind=change.kind, name=change.name, first="", second="") if is_digest else change
            counts[fact] = counts.get(fact, 0) + 1
    if not counts:
        yield "settings, inputs, versions and identities are equal"
    for fact, count in counts.items():
        where = "" if count == runs else f" ({count} of {runs} runs)"
        values = "" if fact.kind in DIGESTS else f": {fact.first or ABSENT} → {fact.second or ABSENT}"
        kind = "" if fact.kind in (fact.name, "axis") else f"{fact.kind} "
        yield f"differs: {kind}{fact.name}{values}{where}"


def _range(counts: Iterable[int]) -> str:
    least, most = min(counts := list(counts), default=1), max(counts, default=1)
    return f"{least}" if least == most else f"{least} to {most}"
