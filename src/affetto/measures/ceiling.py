"""Human ceiling: each rater's answers against those of the other raters of the same clips.

A clip of n ratings gives n comparisons, and a clip of one rating gives none. A label is compared with the others'
majority (the first label in canonical order on a tie), a number with the mean of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from affetto.corpora.annotations import majority, mean_dimensions
from affetto.corpora.labels import in_order
from affetto.measures.classification import MACRO_F1, UAR
from affetto.measures.regression import CCC

if TYPE_CHECKING:
    from rich.table import Table

    from affetto.corpora.manifest import Manifest


def human_ceiling(manifest: Manifest) -> dict[str, Any] | None:
    """Scores of the raters against each other, ready for JSON; None where no clip has two comparable ratings.

    `labels` has `macro_f1`, `uar` and the number of comparisons, `dimensions` the `ccc` of each dimension with theirs.
    """
    pairs = list(_label_pairs(manifest))
    numbers: dict[str, list[tuple[float, float]]] = {}
    for name, mean, value in _number_pairs(manifest):
        numbers.setdefault(name, []).append((mean, value))
    if not pairs and not numbers:
        return None
    return {
        "labels": _of_labels(pairs) if pairs else None,
        "dimensions": {name: _of_numbers(values) for name, values in sorted(numbers.items())},
    }


def ceiling_table(manifest: Manifest) -> Table | None:
    """The human ceiling for a terminal; None where there is none."""
    from rich.markup import escape
    from rich.table import Table

    ceiling = human_ceiling(manifest)
    if ceiling is None:
        return None
    title = "each invented rater against the others" if manifest.synthetic else "each rater against the others"
    table = Table(title, "score", "comparisons", box=None)
    if labels := ceiling["labels"]:
        for measure in (MACRO_F1, UAR):
            table.add_row(measure.title, measure.text(labels[measure.name]), f"{labels['n']:,}")
    for name, scores in ceiling["dimensions"].items():
        table.add_row(f"{CCC.title} of {escape(name)}", CCC.text(scores[CCC.name]), f"{scores['n']:,}")
    return table


def _label_pairs(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """The others' majority and the label of each rater who gave one; a rater of several counts by the first."""
    for clip in manifest.clips:
        ratings = [rating for rating in clip.ratings if rating.labels]
        for number, rating in enumerate(ratings if len(ratings) > 1 else []):
            yield majority(ratings[:number] + ratings[number + 1 :])[0], rating.labels[0]


def _number_pairs(manifest: Manifest) -> Iterator[tuple[str, float, float]]:
    """Name, mean of the others and value of each rater's dimensions."""
    for clip in manifest.clips:
        ratings = [rating for rating in clip.ratings if rating.dimensions]
        for number, rating in enumerate(ratings if len(ratings) > 1 else []):
            means = dict(mean_dimensions(ratings[:number] + ratings[number + 1 :]))
            for name, value in rating.dimensions:
                if name in means:
                    yield name, means[name], value


def _of_labels(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    labels = in_order({label for pair in pairs for label in pair})
    column = {label: number for number, label in enumerate(labels)}
    truth, called = np.array([[column[label] for label in pair] for pair in pairs]).T
    scores = {measure.name: measure.of_labels(truth, called, len(labels)) for measure in (MACRO_F1, UAR)}
    return {**scores, "n": len(pairs)}


def _of_numbers(pairs: list[tuple[float, float]]) -> dict[str, Any]:
    truth, values = np.array(pairs).T
    return {CCC.name: float(CCC.of_predictions(values[:, None], truth[:, None])[0]), "n": len(pairs)}
