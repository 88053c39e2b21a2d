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
from affetto.measures.measure import ClassMeasure, LabelMeasure, ProbabilityMeasure
from affetto.measures.probability import finite
from affetto.measures.registry import label_measures, shown_measures
from affetto.measures.units import speaker_numbers, units_of

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
    names, owner = speaker_numbers(speakers)
    by_speaker = confusions(true, values.argmax(axis=1), owner, len(names), len(labels))
    return {
        **probability_scores(values, true),
        **counted_scores(by_speaker, names, labels),
        "interval": _interval(true, values, owner, by_speaker),
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

    It is over clips where the speakers are too few (`units_of`). See `affetto.measures.intervals`.
    """
    units, matrices = units_of(speaker, len(by_speaker)), by_speaker
    if units.over == "clips":
        called = probabilities.argmax(axis=1)
        matrices = confusions(true, called, units.owner, len(units), by_speaker.shape[1])
    if len(units) < 2:  # nothing is known from one clip
        return {**units.facts(), **{m.name: list(m.range) for m in shown_measures() if np.isfinite(m.range).all()}}

    def without_each(measure: ClassMeasure) -> Floats:
        if isinstance(measure, LabelMeasure):
            confusion = matrices.sum(axis=0)
            return measure.of_confusions(confusion - matrices, never_true=confusion.sum(axis=1) == 0)
        assert isinstance(measure, ProbabilityMeasure)
        return measure.without_each(probabilities, true, units.owner, len(units))

    ends = {
        measure.name: units.ends(measure.of_predictions(probabilities, true), without_each(measure), *measure.range)
        for measure in shown_measures()
    }
    return {**units.facts(), **ends}
