"""Two systems with different labels or clips, on what they share: a model of others beside a trained one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from affetto.corpora.labels import in_order
from affetto.reporting.stats.systems import Predictions, System


def align(trained: System, outside: System) -> tuple[System, System] | None:
    """The two on their common clips, with the labels of both, at the seeds of the first; None without a common clip.

    The second has one run, which stands beside each seed of the first: nothing of it was drawn. Clips whose truths or
    speakers differ are no common clips.
    """
    (answers,) = outside.runs.values()
    run = next(iter(trained.runs.values()))
    facts = _facts(answers)
    common = {clip for clip, fact in _facts(run).items() if facts.get(clip) == fact}
    if not common:
        return None
    labels = in_order({*run.labels, *answers.labels})
    beside = _select(answers, common, labels)
    return (
        System(
            trained.name, trained.corpus, {seed: _select(run, common, labels) for seed, run in trained.runs.items()}
        ),
        System(outside.name, trained.corpus, dict.fromkeys(trained.runs, beside)),
    )


def _facts(run: Predictions) -> dict[str, tuple[str, str]]:
    """{clip: (its label, its speaker)}."""
    labels = [run.labels[column] for column in run.truth]
    return dict(zip(run.clips, zip(labels, run.speakers, strict=True), strict=True))


def _select(run: Predictions, clips: set[str], labels: tuple[str, ...]) -> Predictions:
    """The predictions of these clips, with a column for each of these labels."""
    selected = run.select([clip in clips for clip in run.clips])
    columns = np.array([labels.index(label) for label in run.labels])
    probabilities = np.zeros((len(selected.clips), len(labels)))
    probabilities[:, columns] = selected.probabilities
    return replace(selected, truth=columns[selected.truth], probabilities=probabilities, labels=labels)
