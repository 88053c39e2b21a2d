"""Measures of dimensions, of raters' shares and of several labels: by formula, by hand, beside scikit-learn."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import average_precision_score, f1_score

from affetto.measures.distribution import ANY_RATER_F1, CROSS_ENTROPY, JS, KL, MAJORITY_F1
from affetto.measures.measure import DimensionMeasure
from affetto.measures.moments import moments
from affetto.measures.multilabel import MACRO_F1, MEAN_AVERAGE_PRECISION, MICRO_F1
from affetto.measures.registry import dimension_measures, distribution_measures, multilabel_measures
from affetto.measures.regression import CCC, MAE, PEARSON, RMSE
from affetto.measures.target_scores import dimension_scores, distribution_scores, multilabel_scores

NAMES = ["arousal", "valence"]


def concordance(truth: np.ndarray, prediction: np.ndarray) -> float:
    """CCC by the formula of Lin (1989), as audmetric computes it."""
    a, b = prediction - prediction.mean(), truth - truth.mean()
    bias = prediction.mean() - truth.mean()
    return float(2 * (a @ b) / (a @ a + b @ b + len(truth) * bias**2))


def drawn(clips: int = 60, speakers: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Truth and prediction (clips, 2) far from 0, of speakers of unequal size."""
    generator = np.random.default_rng(seed)
    truth = 100 + generator.normal(size=(clips, 2))
    prediction = truth * [0.7, -0.2] + generator.normal(size=(clips, 2)) + [30, 120]
    return truth, prediction, [f"s{number}" for number in generator.integers(0, speakers, clips)]


def test_dimensions_have_the_values_of_their_formulas() -> None:
    truth, prediction, speakers = drawn()
    result = dimension_scores(truth, prediction, NAMES, speakers)
    for column, name in enumerate(NAMES):
        x, y = truth[:, column], prediction[:, column]
        expected = {"ccc": concordance(x, y), "pearson": np.corrcoef(x, y)[0, 1]}
        expected |= {"mae": np.abs(x - y).mean(), "rmse": ((x - y) ** 2).mean() ** 0.5}
        values = result["dimensions"][name]
        assert {key: values[key] for key in expected} == pytest.approx(expected, rel=0, abs=1e-12)
        assert values["n"] == 60
        assert values["chance"] == {"ccc": 0, "pearson": 0, "rmse": pytest.approx(x.std())}
    assert result["mean_ccc"] == pytest.approx(np.mean([result["dimensions"][name]["ccc"] for name in NAMES]))
    rows = np.array(speakers) == "s3"
    expected_ccc = [concordance(truth[rows, column], prediction[rows, column]) for column in (0, 1)]
    speaker = result["per_speaker"]["s3"]
    assert [speaker["ccc_arousal"], speaker["ccc_valence"]] == pytest.approx(expected_ccc)
    assert (speaker["mean_ccc"], speaker["n"]) == (pytest.approx(np.mean(expected_ccc)), rows.sum())
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_intervals_of_dimensions_leave_each_speaker_out() -> None:
    truth, prediction, speakers = drawn()
    result = dimension_scores(truth, prediction, NAMES, speakers)
    names, clips = np.unique(speakers, return_counts=True)
    kept = [np.array(speakers) != name for name in names]
    without = np.array([[concordance(truth[rows, c], prediction[rows, c]) for c in (0, 1)] for rows in kept])
    shares, freedom = clips / 60, 60**2 / (clips**2).sum() - 1
    for value, moved, ends in (
        (result["dimensions"]["arousal"]["ccc"], without[:, 0], result["dimensions"]["arousal"]["interval"]["ccc"]),
        (result["mean_ccc"], without.mean(axis=1), result["interval"]["mean_ccc"]),
    ):
        half = stats.t.ppf(0.975, freedom) * ((1 - shares) * (moved - value) ** 2).sum() ** 0.5
        assert ends == pytest.approx([value - half, value + half], abs=1e-9)
    assert (result["interval"]["over"], result["interval"]["units"]) == ("speakers", 6)
    assert dimension_scores(truth, prediction, NAMES, ["s"] * 60)["interval"]["over"] == "clips"


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        ([0.3], [0.7], 0),
        ([0.3], [0.3], 1),
        ([0.1, 0.1, 0.1], [0.1, 0.2, 0.4], 0),
        ([0.1, 0.2, 0.4], [0.1, 0.1, 0.1], 0),
        ([0.1, 0.1, 0.1], [0.2, 0.2, 0.2], 0),
        ([0.1, 0.1, 0.1], [0.1, 0.1, 0.1], 1),
        ([0.1, 0.2, 0.4], [0.1, 0.2, 0.4], 1),
        ([0.1, 0.2, 0.4], [-0.1, -0.2, -0.4], None),
    ],
)
def test_one_clip_and_constants_have_defined_values(truth, prediction, expected) -> None:
    result = dimension_scores(np.array([truth]).T, np.array([prediction]).T, ["valence"], list("abc")[: len(truth)])
    values = result["dimensions"]["valence"]
    if expected is None:
        assert values["pearson"] == pytest.approx(-1) and values["ccc"] < 0
    else:
        assert (values["ccc"], values["pearson"]) == (expected, expected)
    assert json.dumps(result, allow_nan=False)
    if len(truth) == 1:
        assert values["interval"]["ccc"] == [-1, 1]


@pytest.mark.parametrize("measure", [CCC, PEARSON])
def test_a_set_that_is_constant_without_a_speaker_scores_0_without_them(measure: DimensionMeasure) -> None:
    owner = np.array([0, 0, 0, 1, 2, 2])
    # Subtracting the last two clips leaves a rounding error of 5e-17 for the variance of four equal numbers.
    truth = np.array([[1.1], [1.1], [1.1], [1.1], [3.7], [2.3]])
    prediction = np.array([[0.0], [1 / 7], [2 / 7], [3 / 7], [0.8], [0.6]])
    assert measure.function(moments(truth, prediction, owner, 3).without_each())[2, 0] == 0
    assert moments(truth, truth, owner, 3).without_each().is_exact.all()


def test_dimensions_are_written_as_fractions() -> None:
    assert [measure.scale for measure in (CCC, PEARSON, MAE, RMSE)] == [1, 1, 1, 1] and CCC.text(0.61) == "0.610"


def test_divergences_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    truth, prediction = generator.dirichlet(np.ones(4), (2, 30))
    assert KL.of_predictions(prediction, truth) == pytest.approx(stats.entropy(truth, prediction, axis=1).mean())
    squared = jensenshannon(truth, prediction, base=2, axis=1) ** 2
    assert JS.of_predictions(prediction, truth) == pytest.approx(squared.mean())
    entropy = stats.entropy(truth, axis=1) + stats.entropy(truth, prediction, axis=1)
    assert CROSS_ENTROPY.of_predictions(prediction, truth) == pytest.approx(entropy.mean())
    assert KL.of_predictions(truth, truth) == pytest.approx(0, abs=1e-12) and JS.of_predictions(truth, truth) == 0
    assert KL.of_predictions(np.eye(2)[[0]], np.eye(2)[[1]]) == pytest.approx(-np.log(1e-12))
    assert JS.of_predictions(np.eye(2)[[0]], np.eye(2)[[1]]) == 1


def test_a_label_that_any_rater_named_is_right_for_one_measure_and_not_for_the_other() -> None:
    truth = np.array([[0.6, 0.4, 0.0], [0.4, 0.6, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
    called = np.eye(3)[[1, 1, 2, 2]]
    majority, any_rater = (
        f1_score([0, 1, 1, 0], [1, 1, 2, 2], average="macro"),
        f1_score([1, 1, 2, 0], [1, 1, 2, 2], average="macro"),
    )
    assert MAJORITY_F1.of_predictions(called, truth) == pytest.approx(majority)
    assert ANY_RATER_F1.of_predictions(called, truth) == pytest.approx(any_rater)


def test_shares_are_scored_without_each_speaker_as_by_hand() -> None:
    generator = np.random.default_rng(1)
    truth, prediction = generator.dirichlet(np.full(3, 0.5), (2, 40))
    owner = generator.integers(0, 4, 40)
    for measure in distribution_measures():
        expected = [measure.of_predictions(prediction[owner != n], truth[owner != n]) for n in range(4)]
        assert measure.without_each(prediction, truth, owner, 4) == pytest.approx(expected)
    result = distribution_scores(truth, prediction, ["a", "b", "c"], [f"s{number}" for number in owner])
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["chance"]["kl"] == pytest.approx(stats.entropy(truth, np.full(3, 1 / 3), axis=1).mean())
    low, high = result["interval"]["kl"]
    assert low < result["kl"] < high and result["per_speaker"]["s0"]["n"] == (owner == 0).sum()


def test_several_labels_are_scored_as_by_scikit_learn_with_ties() -> None:
    generator = np.random.default_rng(2)
    owner = generator.integers(0, 4, 50)
    truth = generator.random((50, 4)) < 0.4
    scores = generator.integers(0, 8, (50, 4)) / 8
    called = scores >= 0.5
    expected = {
        "multilabel_micro_f1": f1_score(truth, called, average="micro"),
        "multilabel_macro_f1": f1_score(truth, called, average="macro"),
        "mean_average_precision": average_precision_score(truth, scores, average="macro"),
    }
    result = multilabel_scores(truth, scores, list("abcd"), [f"s{number}" for number in owner])
    assert {name: result[name] for name in expected} == pytest.approx(expected, rel=0, abs=1e-12)
    assert result["per_label"]["b"] == {
        "f1": pytest.approx(f1_score(truth[:, 1], called[:, 1])),
        "average_precision": pytest.approx(average_precision_score(truth[:, 1], scores[:, 1])),
        "n": truth[:, 1].sum(),
    }
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    for measure in multilabel_measures():
        without = measure.function(scores, called, truth, owner, 4)[1:]
        rows = [owner != number for number in range(4)]
        assert without == pytest.approx([measure.of_predictions(scores[row], truth[row]) for row in rows], abs=1e-12)


def test_labels_that_no_clip_has_are_left_out_of_means() -> None:
    truth, scores = np.array([[1, 0, 0], [1, 0, 0]]), np.array([[0.9, 0.8, 0.1], [0.2, 0.1, 0.1]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = average_precision_score(truth[:, 0], scores[:, 0])
    assert MEAN_AVERAGE_PRECISION.of_predictions(scores, truth) == pytest.approx(first)
    assert MACRO_F1.of_predictions(scores, truth) == pytest.approx((2 / 3 + 0) / 2)
    assert MICRO_F1.of_predictions(scores, truth, np.array([0.1, 0.5, 0.5])) == pytest.approx(4 / 5)
    assert MEAN_AVERAGE_PRECISION.of_predictions(scores, np.zeros((2, 3))) == 0


def test_arguments_that_do_not_fit_together_are_refused() -> None:
    good, labels = np.array([[0.5, 0.5]]), ["a", "b"]
    with pytest.raises(ValueError, match=r"truth \(1, 2\) and prediction \(1, 2\) do not fit 2 speakers"):
        dimension_scores(good, good, labels, ["s", "t"])
    with pytest.raises(ValueError, match="each name once"):
        dimension_scores(good, good, ["a", "a"], ["s"])
    with pytest.raises(ValueError, match=r"1 of 1 clips have values that are not finite"):
        dimension_scores(good, good * np.nan, labels, ["s"])
    with pytest.raises(ValueError, match=r"shares in prediction .* do not sum to 1 \(first: clip 0, sum 1.5\)"):
        distribution_scores(good, np.array([[0.5, 1.0]]), labels, ["s"])
    with pytest.raises(ValueError, match="shares in truth that are negative"):
        distribution_scores(np.array([[-0.5, 1.5]]), good, labels, ["s"])
    with pytest.raises(ValueError, match="true labels must be 0 or 1"):
        multilabel_scores(good, good, labels, ["s"])


def test_every_measure_of_dimensions_stays_within_its_range() -> None:
    truth, prediction, speakers = drawn(seed=3)
    values = dimension_scores(truth, prediction, NAMES, speakers)["dimensions"]["valence"]
    for measure in dimension_measures():
        low, high = measure.range
        assert all(low <= end <= high for end in values["interval"][measure.name])
