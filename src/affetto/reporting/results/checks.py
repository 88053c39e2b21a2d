"""Checks of a run's scores against its predictions: tables use both, and must not mix two results.

Where the two files disagree, neither is trusted. All that follows from the predictions is computed from them anew, so
that a run that is older than a measure has it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from affetto.errors import UserError
from affetto.measures.confusion import Counts
from affetto.measures.registry import MEASURES
from affetto.measures.scores import confusion_scores, counted_scores, probability_scores
from affetto.reporting.results.lines import Rows, read_lines
from affetto.reporting.results.records import Run
from affetto.reporting.stats.systems import Predictions, System
from affetto.targets.scored import Scored
from affetto.training.runs import METRICS

LAST_DIGIT = 1.5e-6
"""Probabilities are written to six decimals: of two that differ by at most the last one, either may be the larger."""
CLOSE = 1e-6
"""Largest difference of equal scores."""


def check_run(run: Run) -> Run:
    """Return the finished run with its predictions, and with the scores that follow from them.

    Raises UserError where it has no predictions, and where its metrics contradict them.
    """
    rows = read_lines(run.path / run.predictions_file)
    if not rows:
        raise UserError(f"{run.path / run.predictions_file}: no predictions; run again")
    if run.target.learns_from_annotations:
        run = _check_target(run, rows)
    if not run.target.has_classes:
        return run
    predictions = Predictions.from_rows(rows, source=str(run.path / run.predictions_file))
    system = System(run.axes.method, run.axes.corpus, {run.axes.seed: predictions})
    by_speaker = system.by_speaker([run.axes.seed])[:, 0]
    try:
        problem = _find_difference(run.test, by_speaker, system, predictions)
    except (KeyError, TypeError, ValueError, IndexError):
        problem = "its scores are not of the form that affetto writes"
    if problem:
        raise _contradiction(run, problem)
    test = {
        **run.test,
        **probability_scores(predictions.probabilities, predictions.truth),
        **counted_scores(by_speaker, system.speakers, system.labels),
    }
    return replace(run, metrics={**(run.metrics or {}), "test": test}, predictions=predictions)


def _check_target(run: Run, rows: Rows) -> Run:
    """Return the run with its lines and with the scores that its target computes from them; raises as `check_run`."""
    target, file = run.target, run.path / run.predictions_file
    try:
        scores = target.scores(rows)
        by_clip = sorted(rows, key=clip_name)
    except (KeyError, TypeError, IndexError, ValueError) as problem:
        raise UserError(f"{file}: not predictions that affetto wrote ({problem!r}); run again") from None
    double = next((clip_name(row) for row, after in pairwise(by_clip) if clip_name(row) == clip_name(after)), None)
    if double is not None:
        raise UserError(f"{file}: clip {double!r} is predicted twice; run again")
    try:
        difference = _first_difference(target.scored(run.test), target.scored(scores))
    except (KeyError, TypeError, ValueError, IndexError):
        difference = "its scores are not of the form that affetto writes"
    if difference:
        raise _contradiction(run, difference)
    return replace(run, metrics={**(run.metrics or {}), "test": {**run.test, **scores}}, rows=by_clip)


def _first_difference(written: Sequence[Scored], computed: Sequence[Scored]) -> str:
    """Describe the first score that is not that of the predictions; "" where all agree."""
    for first, second in zip(written, computed, strict=True):
        if not abs(first.value - second.value) <= CLOSE * max(1.0, abs(second.value)):
            return f"{first.title} is {first.value:.4f}, by the predictions {second.value:.4f}"
    return ""


def clip_name(row: Mapping[str, Any]) -> str:
    """Name of a line's clip among those of several corpora."""
    return f"{row['corpus']}:{row['file']}" if "corpus" in row else str(row["file"])


def _contradiction(run: Run, problem: str) -> UserError:
    part = "probe.test" if run.is_beside else "test"
    return UserError(
        f"{run.path / METRICS}: broken, or not of {run.predictions_file} beside it ({part}: {problem}); "
        "remove it and run again"
    )


def _find_difference(test: Mapping[str, Any], by_speaker: Counts, system: System, predictions: Predictions) -> str:
    """Describe the first difference between scores and predictions; "" where they agree."""
    if set(test["labels"]) != set(system.labels):
        return f"it has the labels {', '.join(test['labels'])}, the predictions {', '.join(system.labels)}"
    order = [test["labels"].index(label) for label in system.labels]
    written = np.array(test["confusion"], dtype=np.int64)[np.ix_(order, order)]
    differing = int(np.abs(written - by_speaker.sum(axis=0)).sum()) / 2
    first, second = np.sort(predictions.probabilities, axis=1)[:, :-3:-1].T
    if differing > np.count_nonzero(first - second <= LAST_DIGIT):
        return f"its confusion matrix differs in {differing:.0f} clip{'s' if differing > 1 else ''}"
    for name, value in confusion_scores(written).items():
        if name in test and not abs(float(test[name]) - value) <= CLOSE:
            return f"{MEASURES[name].title} is {float(test[name]):.4f}, by the predictions {value:.4f}"
    speakers = set(system.speakers) ^ set(test["per_speaker"])
    if speakers:
        return f"speaker {min(speakers)!r} is in only one of the two files"
    return ""
