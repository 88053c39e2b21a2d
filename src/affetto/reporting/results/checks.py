"""Checks of a run's scores against its predictions: tables are made of both, and must tell of one thing.

Of two files that disagree neither is believed. What follows from the predictions is computed from them anew, so that
a run made before a measure was has it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from affetto.errors import UserError
from affetto.reporting.results.records import Run, read_lines
from affetto.reporting.stats.systems import Predictions, System
from affetto.training.evaluate import MEASURES, Counts, counted_scores, measures
from affetto.training.runs import METRICS

LAST_DIGIT = 1.5e-6
"""Probabilities are written to six decimals: of two that differ by the last one at most either may be the larger."""
CLOSE = 1e-6


def checked(run: Run) -> Run:
    """The run that is done, with its predictions, and with the scores that they give.

    Raises UserError where it has no predictions, and where its metrics are not of them.
    """
    rows = read_lines(run.path / run.tested)
    if not rows:
        raise UserError(f"{run.path / run.tested}: no predictions; run again")
    predictions = Predictions.from_rows(rows, source=str(run.path / run.tested))
    system = System(run.axes.method, run.axes.corpus, {run.axes.seed: predictions})
    by_speaker = system.by_speaker([run.axes.seed])[:, 0]
    try:
        problem = _disagreement(run.test, by_speaker, system, predictions)
    except (KeyError, TypeError, ValueError, IndexError):
        problem = "its scores are not of the form that affetto writes"
    if problem:
        part = "probe.test" if run.tested != Run.tested else "test"
        raise UserError(
            f"{run.path / METRICS}: broken, or not of {run.tested} beside it ({part}: {problem}); "
            "remove it and run again"
        )
    test = {**run.test, **counted_scores(by_speaker, system.speakers, system.labels)}
    return replace(run, metrics={**(run.metrics or {}), "test": test}, scored=predictions)


def completed(test: Mapping[str, Any]) -> dict[str, Any]:
    """Scores with the measures that they lack, from their confusion matrix. Raises ValueError where that is none."""
    matrix = np.array(test["confusion"], dtype=np.int64)
    if matrix.ndim != 2 or matrix.shape != (len(test["labels"]),) * 2:
        raise ValueError("no confusion matrix")
    return {**{name: float(value[0]) for name, value in measures(matrix[None]).items()}, **test}


def _disagreement(test: Mapping[str, Any], by_speaker: Counts, system: System, predictions: Predictions) -> str:
    """The first difference between scores and predictions, in words; "" where they agree."""
    if set(test["labels"]) != set(system.labels):
        return f"it has the labels {', '.join(test['labels'])}, the predictions {', '.join(system.labels)}"
    order = [test["labels"].index(label) for label in system.labels]
    written = np.array(test["confusion"], dtype=np.int64)[np.ix_(order, order)]
    differing = int(np.abs(written - by_speaker.sum(axis=0)).sum()) / 2
    first, second = np.sort(predictions.probabilities, axis=1)[:, :-3:-1].T
    if differing > np.count_nonzero(first - second <= LAST_DIGIT):
        return f"its confusion matrix differs in {differing:.0f} clip{'s' if differing > 1 else ''}"
    for name, value in measures(written[None]).items():
        if name in test and not abs(float(test[name]) - float(value[0])) <= CLOSE:
            return f"{MEASURES[name].title} is {float(test[name]):.4f}, by the predictions {float(value[0]):.4f}"
    speakers = set(system.speakers) ^ set(test["per_speaker"])
    if speakers:
        return f"speaker {min(speakers)!r} is in one of them only"
    return ""
