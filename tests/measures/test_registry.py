"""The records of measures: found without a list, and enough for scores and intervals of any kind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from affetto.errors import UserError
from affetto.measures.classification import MACRO_F1, UAR
from affetto.measures.measure import (
    DimensionMeasure,
    DistributionMeasure,
    LabelMeasure,
    MultilabelMeasure,
    ProbabilityMeasure,
)
from affetto.measures.probability import LOG_LOSS
from affetto.measures.registry import (
    MEASURES,
    class_measure,
    dimension_measures,
    distribution_measures,
    label_measure,
    multilabel_measures,
    shown_measures,
)
from affetto.measures.scores import completed, scores


def test_the_registry_finds_the_built_in_measures_in_their_order() -> None:
    of_classes = ["macro_f1", "uar", "weighted_f1", "accuracy", "log_loss", "ece", "brier"]
    of_dimensions = ["ccc", "pearson", "mae", "rmse"]
    of_shares = ["kl", "js", "cross_entropy", "majority_macro_f1", "any_rater_macro_f1"]
    of_labels = ["multilabel_micro_f1", "multilabel_macro_f1", "mean_average_precision"]
    assert list(MEASURES) == of_classes + of_dimensions + of_shares + of_labels
    assert [measure.name for measure in shown_measures()] == ["macro_f1", "uar", "weighted_f1", "accuracy"]
    assert [measure.name for measure in dimension_measures()] == of_dimensions
    assert [measure.name for measure in distribution_measures()] == of_shares
    assert [measure.name for measure in multilabel_measures()] == of_labels


def test_unknown_measures_and_those_without_a_matrix_are_named() -> None:
    with pytest.raises(UserError, match="unknown measure 'macrof1': did you mean 'macro_f1'"):
        label_measure("macrof1")
    with pytest.raises(UserError, match="'log_loss' needs probabilities"):
        label_measure("log_loss")
    with pytest.raises(UserError, match="'ccc' is not one of classes; known: macro_f1, uar"):
        class_measure("ccc")


def test_training_s_scores_are_bit_for_bit_those_of_scikit_learn() -> None:
    """The best epoch is chosen by them: a last digit would choose another one."""
    generator = np.random.default_rng(0)
    for _ in range(200):
        truth, called = generator.integers(0, 7, (2, 84))
        assert MACRO_F1.of_labels(truth, called, 7) == f1_score(truth, called, average="macro")
        assert UAR.of_labels(truth, called, 7) == np.mean([(called[truth == c] == c).mean() for c in np.unique(truth)])


def test_scores_of_earlier_runs_are_completed_from_their_matrix() -> None:
    test = scores(["a", "b", "b"], np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]]), ["a", "b"], ["s"] * 3)
    uar = test.pop("uar")
    assert completed(test) == test | {"uar": uar}
    with pytest.raises(ValueError, match="no confusion matrix"):
        completed(test | {"confusion": [[1, 2]]})


def test_an_interval_of_a_measure_of_probabilities_is_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = ProbabilityMeasure(name="toy", title="toy", function=LOG_LOSS.function, range=(0.0, np.inf))
    monkeypatch.setattr(MEASURES, "_records", {**MEASURES, "toy": toy})
    right = np.array([0.5, 0.25, 0.8, 0.9, 0.6, 0.1])
    result = scores(["a"] * 6, np.column_stack([right, 1 - right]), ["a", "b"], [*"xxyyzz"])
    losses = -np.log(right)
    assert result["toy"] == pytest.approx(losses.mean())
    half = stats.t.ppf(0.975, 2) * stats.sem(losses.reshape(3, 2).mean(1))
    assert result["interval"]["toy"] == pytest.approx([max(0, losses.mean() - half), losses.mean() + half])
    one = scores(["a"], np.array([[0.5, 0.5]]), ["a", "b"], ["s"])
    assert "toy" not in one["interval"] and json.dumps(one, allow_nan=False)


def test_the_docs_list_every_measure() -> None:
    page = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text()
    matches = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| (\w+) \| (\w+) \|", page, re.MULTILINE)
    rows = {row[0]: row[1:] for row in matches}
    assert list(rows) == list(MEASURES)
    for name, (title, values, better, needs) in rows.items():
        measure = MEASURES[name]
        low, high = (f"{end:g}".replace("inf", "∞") for end in measure.range)
        assert (title, values) == (measure.title, f"{low} to {high}")
        assert better == ("higher" if measure.higher_is_better else "lower")
        kinds = {LabelMeasure: "labels", DimensionMeasure: "dimensions", DistributionMeasure: "shares"}
        kinds |= {ProbabilityMeasure: "probabilities", MultilabelMeasure: "scores"}
        assert needs == next(word for kind, word in kinds.items() if isinstance(measure, kind))
