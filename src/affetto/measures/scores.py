"""Scores of a set of predictions: every measure, by class and by speaker, the scores of chance, and intervals.

All of it can be recomputed from a run's predictions file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.errors import unknown
from affetto.measures.classification import ACCURACY, MACRO_F1, UAR
from affetto.measures.confusion import Counts, Floats, confusions, per_class
from affetto.measures.intervals import BY, LEVEL, can_be_drawn, effective, jackknife
from affetto.measures.measure import LabelMeasure, Measure, ProbabilityMeasure
from affetto.measures.probability import finite
from affetto.measures.registry import label_measures, shown_measures

OF_SPEAKERS = (MACRO_F1, UAR, ACCURACY)
"""Measures that a speaker's clips get by themselves."""


def scores(
    truth: Sequence[str],
    probabilities: np.ndarray,
    labels: Sequence[str],
    speakers: Sequence[str],
) -> dict[str, Any]:
    """All scores of one set of predictions, ready for JSON.

    `probabilities` (clips, labels) has its columns in the order of `labels`; the prediction is the largest, the first
    label on a tie. `confusion` has the truth in rows, predictions in columns. Raises ValueError for arguments that do
    not fit together, UserError for a true label that is not among `labels`.
    """
    true, values = _checked(truth, probabilities, labels, speakers)
    names, owner = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)
    by_speaker = confusions(true, values.argmax(axis=1), owner.reshape(-1), len(names), len(labels))
    return {
        **probability_scores(values, true),
        **counted_scores(by_speaker, names.tolist(), labels),
        "interval": _interval(true, values, owner.reshape(-1), by_speaker),
    }


def counted_scores(by_speaker: Counts, speakers: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    """All scores that follow from each speaker's matrix (speakers, truth, predicted), but no interval: for JSON."""
    confusion = by_speaker.sum(axis=0)
    of_speakers = {measure.name: measure.of_confusions(by_speaker) for measure in OF_SPEAKERS}
    return {
        **confusion_scores(confusion),
        "n": int(confusion.sum()),
        "labels": list(labels),
        "confusion": confusion.tolist(),
        "per_class": per_class(confusion, labels),
        "per_speaker": {
            str(name): {
                **{key: float(values[row]) for key, values in of_speakers.items()},
                "n": int(by_speaker[row].sum()),
            }
            for row, name in enumerate(speakers)
        },
        "chance": chance(confusion.sum(axis=1)),
    }


def confusion_scores(confusion: NDArray[Any]) -> dict[str, float]:
    """{measure: value} of the shown measures that follow from one matrix (truth, predicted)."""
    return {measure.name: float(measure.of_confusions(confusion[None])[0]) for measure in label_measures()}


def probability_scores(probabilities: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    """{measure: value} of the shown measures that need probabilities (clips, labels); `truth` (clips,) are columns."""
    return {
        measure.name: measure.of_predictions(probabilities, truth)
        for measure in shown_measures()
        if isinstance(measure, ProbabilityMeasure)
    }


def completed(test: Mapping[str, Any]) -> dict[str, Any]:
    """Scores with the measures that they lack, as far as these follow from their confusion matrix.

    Raises ValueError where that is no matrix of the labels.
    """
    matrix = np.array(test["confusion"], dtype=np.int64)
    if matrix.ndim != 2 or matrix.shape != (len(test["labels"]),) * 2:
        raise ValueError("no confusion matrix")
    return {**confusion_scores(matrix), **test}


def chance(support: Sequence[int] | np.ndarray) -> dict[str, float]:
    """Expected scores of a guesser that names each of the K labels with probability 1/K, exactly.

    `support` (labels,) holds the clips of each label. Measures for which no such score is known are left out.
    """
    counts = np.asarray(support, dtype=np.float64)
    return {measure.name: measure.chance(counts) for measure in shown_measures() if measure.chance is not None}


def _checked(
    truth: Sequence[str], probabilities: np.ndarray, labels: Sequence[str], speakers: Sequence[str]
) -> tuple[Counts, Floats]:
    """True label of each clip as a column number (clips,), and the probabilities (clips, labels) as float64."""
    column = {label: number for number, label in enumerate(labels)}
    if len(column) != len(labels) or len(labels) < 2:
        raise ValueError(f"labels must be two or more, each once: {list(labels)}")
    values = finite(probabilities)
    if values.shape != (len(truth), len(labels)) or len(speakers) != len(truth):
        raise ValueError(
            f"{len(truth)} true labels and {len(speakers)} speakers do not fit probabilities of shape "
            f"{values.shape} for {len(labels)} labels"
        )
    for label in truth:
        if label not in column:
            raise unknown("label", label, labels, hint="Map or drop the clips that the model has no label for.")
    return np.array([column[label] for label in truth], dtype=np.int64), values


def _interval(true: Counts, probabilities: Floats, speaker: NDArray[np.intp], by_speaker: Counts) -> dict[str, Any]:
    """Student's interval of the measures, over speakers, whose matrices are (speakers, truth, predicted).

    Clips of one speaker err together, so speakers are what is drawn; clips only where speakers are too few for it
    (`can_be_drawn`), and then the interval says nothing about other voices. See `affetto.measures.intervals`.
    """
    clips = by_speaker.sum(axis=(1, 2))
    over, matrices, owner = "speakers", by_speaker, speaker
    if not can_be_drawn(clips):
        n, k = len(true), by_speaker.shape[1]
        owner = np.arange(n)
        over, clips = "clips", np.ones(n, dtype=np.int64)
        matrices = confusions(true, probabilities.argmax(axis=1), owner, n, k)
    units = len(clips)
    facts = {"level": LEVEL, "by": BY, "over": over, "units": units, "effective": effective(clips)}
    if units < 2:  # nothing is known from one clip
        return {**facts, **{m.name: list(m.range) for m in shown_measures() if np.isfinite(m.range).all()}}

    def without_each(measure: Measure) -> Floats:
        if isinstance(measure, LabelMeasure):
            confusion = matrices.sum(axis=0)
            return measure.of_confusions(confusion - matrices, never_true=confusion.sum(axis=1) == 0)
        assert isinstance(measure, ProbabilityMeasure)
        return measure.without_each(probabilities, true, owner, units)

    ends = {}
    for measure in shown_measures():
        value = measure.of_predictions(probabilities, true)
        low, high = measure.range
        ends[measure.name] = list(jackknife(value, without_each(measure), clips).interval(least=low, most=high))
    return {**facts, **ends}
