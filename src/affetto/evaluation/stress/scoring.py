"""Main measures of a target on any set of clips, with any clips' answers: for random models and groups of clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.evaluation.stress.effects import labels_of
from affetto.measures.classification import UAR
from affetto.measures.measure import Measure
from affetto.measures.multilabel import MACRO_F1
from affetto.measures.regression import CCC
from affetto.reporting.stats.judged import marks, numbers
from affetto.targets.scored import MEAN_CCC
from affetto.targets.target import Rows, Target

Places = NDArray[np.intp]
"""Numbers of clips, (clips,)."""


@dataclass(frozen=True, kw_only=True)
class MainScore:
    """A main measure of the lines of a test."""

    name: str
    """Key, as in the differences of `stress.json`."""
    title: str
    measure: Measure
    of_clips: Callable[[Places, Places], float]
    """Function from clips and as many others, whose answers they get, to the score."""

    def of_own(self, clips: Places) -> float:
        """The score of these clips with their own answers."""
        return self.of_clips(clips, clips)


def main_scores(target: Target, rows: Rows) -> list[MainScore]:
    """UAR, then the mean CCC; macro F1 of several labels: what the target has of these."""
    return [*_of_labels(target, rows), *_of_dimensions(target, rows), *_of_marks(target, rows)]


def _of_labels(target: Target, rows: Rows) -> Iterator[MainScore]:
    if not target.has_classes:
        return
    column = {label: number for number, label in enumerate(target.labels)}
    truth = np.array([column[row["truth"]] for row in rows])
    called = np.array([column[label] for label in labels_of(rows)])

    def score(clips: Places, answers: Places) -> float:
        return UAR.of_labels(truth[clips], called[answers], len(column))

    yield MainScore(name=UAR.name, title=UAR.title, measure=UAR, of_clips=score)


def _of_dimensions(target: Target, rows: Rows) -> Iterator[MainScore]:
    if not target.has_dimensions:
        return
    truth, prediction = numbers(target, rows)

    def score(clips: Places, answers: Places) -> float:
        return float(CCC.of_predictions(prediction[answers], truth[clips]).mean())

    yield MainScore(name=MEAN_CCC, title=f"mean {CCC.title}", measure=CCC, of_clips=score)


def _of_marks(target: Target, rows: Rows) -> Iterator[MainScore]:
    if not target.has_marks:
        return
    truth, called = (marks(target.labels, rows, field) for field in ("truth", "prediction"))
    nobody: Any = np.zeros(len(rows), dtype=np.intp)

    def score(clips: Places, answers: Places) -> float:
        return float(
            MACRO_F1.function(called[answers].astype(np.float64), called[answers], truth[clips], nobody[clips], 0)[0]
        )

    yield MainScore(name=MACRO_F1.name, title=MACRO_F1.title, measure=MACRO_F1, of_clips=score)
