"""Scores: by hand, beside scikit-learn, and what the intervals must do."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from affetto.errors import UserError
from affetto.measures.probability import expected_calibration_error
from affetto.measures.registry import label_measures
from affetto.measures.scores import chance, scores
from counting import count_calls

LABELS = ["anger", "joy", "sadness"]
LABEL_MEASURES = [measure.name for measure in label_measures()]


def one_hot(predicted: list[int], width: int) -> np.ndarray:
    return np.eye(width)[predicted]


def score(true: list[int], predicted: list[int], speakers: list[str] | None = None, labels=LABELS):
    names = [labels[index] for index in true]
    return scores(names, one_hot(predicted, len(labels)), labels, speakers or ["s"] * len(true))


def test_hand_computed_matrix():
    # anger: 3 of 4 right; joy: 2 of 4 right; sadness: 1 of 2 right.
    true = [0, 0, 0, 0, 1, 1, 1, 1, 2, 2]
    predicted = [0, 0, 0, 1, 1, 1, 0, 2, 2, 0]
    result = score(true, predicted)
    assert result["confusion"] == [[3, 1, 0], [1, 2, 1], [1, 0, 1]]
    f1 = {"anger": 2 * 3 / (4 + 5), "joy": 2 * 2 / (4 + 3), "sadness": 2 * 1 / (2 + 2)}
    assert {label: values["f1"] for label, values in result["per_class"].items()} == pytest.approx(f1)
    assert result["per_class"]["anger"] == pytest.approx({"precision": 3 / 5, "recall": 3 / 4, "f1": 2 / 3, "n": 4})
    assert result["macro_f1"] == pytest.approx(sum(f1.values()) / 3)
    assert result["uar"] == pytest.approx((3 / 4 + 2 / 4 + 1 / 2) / 3)
    assert result["weighted_f1"] == pytest.approx((4 * f1["anger"] + 4 * f1["joy"] + 2 * f1["sadness"]) / 10)
    assert result["accuracy"] == pytest.approx(0.6)
    assert result["n"] == 10 and result["labels"] == LABELS


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 7), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_parity_with_scikit_learn_defaults(width, n, seed):
    generator = np.random.default_rng(seed)
    true, predicted = generator.integers(0, width, (2, n)).tolist()
    labels = [f"label{index}" for index in range(width)]
    speakers = [f"s{index}" for index in generator.integers(0, 4, n)]
    result = score(true, predicted, speakers, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert result["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro"))
        assert result["uar"] == pytest.approx(balanced_accuracy_score(true, predicted))
        assert result["weighted_f1"] == pytest.approx(f1_score(true, predicted, average="weighted"))
        assert result["accuracy"] == pytest.approx(accuracy_score(true, predicted))
        assert result["confusion"] == confusion_matrix(true, predicted, labels=range(width)).tolist()
        for name, values in result["per_speaker"].items():
            own = [index for index, speaker in enumerate(speakers) if speaker == name]
            mine, called = [true[index] for index in own], [predicted[index] for index in own]
            assert values["n"] == len(own)
            assert values["macro_f1"] == pytest.approx(f1_score(mine, called, average="macro"))
            assert values["uar"] == pytest.approx(balanced_accuracy_score(mine, called))
            assert values["accuracy"] == pytest.approx(accuracy_score(mine, called))
    assert sum(values["n"] for values in result["per_speaker"].values()) == n


def test_speakers_with_one_label_and_all_right_score_one():
    result = score([0, 0, 1, 2, 2], [0, 0, 1, 2, 0], ["a", "a", "b", "c", "c"])
    assert result["per_speaker"]["a"] == {"macro_f1": 1.0, "uar": 1.0, "accuracy": 1.0, "n": 2}
    assert result["per_speaker"]["c"] == pytest.approx({"macro_f1": 1 / 3, "uar": 0.5, "accuracy": 0.5, "n": 2})


def test_labels_that_are_lost_with_a_speaker_are_not_punished():
    # Each speaker has one label and all is right: whoever is left out, every score is 1.
    interval = score([0, 1, 2], [0, 1, 2], ["a", "b", "c"])["interval"]
    assert interval["over"] == "speakers" and all(interval[name] == [1.0, 1.0] for name in LABEL_MEASURES)
    # Joy is true of c alone. Without c it is called once, by a, and left out of the mean rather than an F1 of 0.
    interval = score([0, 2, 0, 2, 1, 0], [1, 2, 0, 2, 1, 0], [*"aabbcc"])["interval"]["macro_f1"]
    macro = (4 / 5 + 2 / 3 + 1) / 3
    moves = np.array([1, (2 / 3 + 2 / 3 + 1) / 3, (2 / 3 + 1) / 2]) - macro
    assert interval == pytest.approx([macro - stats.t.ppf(0.975, 2) * (2 / 3 * (moves**2).sum()) ** 0.5, 1.0])


def test_a_label_never_true_but_predicted_counts_as_zero_in_estimate_and_interval():
    # Three speakers alike, so that nothing moves whoever is left out: the interval has no width.
    result = score([0, 1] * 3, [0, 2] * 3, [*"aabbcc"])
    assert result["macro_f1"] == pytest.approx(1 / 3)
    assert result["interval"]["macro_f1"] == pytest.approx([1 / 3, 1 / 3])
    assert result["uar"] == pytest.approx(1 / 2)


def test_one_clip_tells_nothing():
    assert score([0], [0])["interval"]["macro_f1"] == [0.0, 1.0]


def test_ties_go_to_the_first_label():
    result = scores(["joy"], np.array([[0.2, 0.4, 0.4]]), LABELS, ["s"])
    assert result["confusion"][1] == [0, 1, 0]


def test_chance_is_what_a_uniform_guesser_gets_on_average():
    support = np.array([5, 11, 2])
    guesses = np.eye(3)[np.random.default_rng(0).integers(0, 3, (20000, 18))]
    truth = np.eye(3)[np.repeat(np.arange(3), support)]
    hits, called = (guesses * truth).sum(axis=1), guesses.sum(axis=1)
    measured = (2 * hits / (support + called)).mean(axis=0)
    expected = chance(support)
    assert expected["macro_f1"] == pytest.approx(measured.mean(), abs=0.003)
    assert expected["weighted_f1"] == pytest.approx(measured @ support / 18, abs=0.003)
    assert expected["uar"] == expected["accuracy"] == pytest.approx(1 / 3)


def test_chance_by_hand_for_one_clip_each_of_two_labels():
    # m of the two clips called c: P = 1/4, 1/2, 1/4 and F1 = 0, 1/2 (half of them right), 2/3.
    assert chance([1, 1])["macro_f1"] == pytest.approx(1 / 2 * 1 / 2 + 1 / 4 * 2 / 3)


def clustered(speakers: int = 30, clips: int = 60) -> tuple[list[int], list[int], list[str]]:
    """Speakers who are nearly all right or nearly all wrong, in turn."""
    generator = np.random.default_rng(3)
    names = [f"s{speaker:02d}" for speaker in range(speakers) for _ in range(clips)]
    true = generator.integers(0, 3, speakers * clips)
    hard = np.repeat(np.arange(speakers) % 2 == 0, clips)
    wrong = generator.random(len(true)) < np.where(hard, 0.8, 0.05)
    return true.tolist(), np.where(wrong, (true + 1) % 3, true).tolist(), names


def test_speaker_interval_covers_the_estimate_and_is_wider_than_that_over_clips():
    true, predicted, names = clustered()
    by_speaker, by_clip = score(true, predicted, names), score(true, predicted)
    assert (by_speaker["interval"]["over"], by_speaker["interval"]["units"]) == ("speakers", 30)
    assert (by_clip["interval"]["over"], by_clip["interval"]["units"]) == ("clips", 1800)
    for name in LABEL_MEASURES:
        low, high = by_speaker["interval"][name]
        assert low < by_speaker[name] < high
        low_clip, high_clip = by_clip["interval"][name]
        assert low_clip < by_clip[name] < high_clip
        assert high - low > 3 * (high_clip - low_clip)


def test_clip_interval_of_accuracy_is_the_binomial_one():
    true, predicted = [0] * 100, [0] * 70 + [1] * 30
    interval = score(true, predicted, labels=["no", "yes"])["interval"]
    half = stats.t.ppf(0.975, 99) * (0.7 * 0.3 / 99) ** 0.5
    assert interval["accuracy"] == pytest.approx([0.7 - half, 0.7 + half])
    assert (interval["by"], interval["units"], interval["effective"]) == ("t", 100, 100)


def test_speaker_interval_of_accuracy_follows_the_standard_error_of_speakers():
    true, predicted, names = clustered()
    right = np.array(true) == np.array(predicted)
    per_speaker = right.reshape(30, 60).mean(axis=1)
    expected = stats.t.interval(0.95, 29, per_speaker.mean(), stats.sem(per_speaker))
    assert score(true, predicted, names)["interval"]["accuracy"] == pytest.approx(list(expected))


def test_same_numbers_whatever_the_order_of_clips():
    true, predicted, names = clustered(6, 20)
    order = np.random.default_rng(0).permutation(len(true))
    again = score(*(list(np.asarray(part)[order]) for part in (true, predicted, names)))
    assert again == score(true, predicted, names)


def test_result_is_plain_json():
    result = score([0, 1, 2, 2], [0, 1, 1, 2], ["a", "a", "b", "b"])
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_a_corpus_of_emozionalmente_s_size_is_scored_without_a_loop_over_clips():
    generator = np.random.default_rng(0)
    labels = list("abcdefg")
    probabilities = generator.dirichlet(np.ones(7), 6902)
    truth = [labels[index] for index in generator.integers(0, 7, 6902)]
    speakers = [f"s{index}" for index in generator.integers(0, 431, 6902)]
    scores(truth[:70], probabilities[:70], labels, speakers[:70])  # what is imported at the first call
    assert count_calls(lambda: scores(truth, probabilities, labels, speakers)) < len(truth)


def test_calibration_error_by_hand():
    # Two bins: (0, 0.5] has one clip of confidence 0.5, right; (0.5, 1] has 0.8 right and 0.6 wrong.
    probabilities = np.array([[0.5, 0.5], [0.8, 0.2], [0.4, 0.6]])
    expected = (abs(1 - 0.5) * 1 + abs(1 / 2 - 0.7) * 2) / 3
    assert expected_calibration_error(probabilities, [0, 0, 0], bins=2) == pytest.approx(expected)
    assert expected_calibration_error(np.eye(3), [0, 1, 2]) == 0


def test_calibrated_draws_have_a_small_calibration_error():
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), 20000)
    truth = (probabilities.cumsum(axis=1) > generator.random((20000, 1))).argmax(axis=1)
    assert expected_calibration_error(probabilities, truth) < 0.02
    sharpened = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    assert expected_calibration_error(sharpened, truth) > 0.15


def test_nan_is_refused_with_how_many():
    probabilities = one_hot([0, 1, 2], 3)
    probabilities[1, :2] = np.nan
    with pytest.raises(ValueError, match=r"2 of 9 probabilities .* 1 of 3 clips \(first: clip 1\)"):
        scores(["joy"] * 3, probabilities, LABELS, ["s"] * 3)
    with pytest.raises(ValueError, match="2 of 9"):
        expected_calibration_error(probabilities, [0, 1, 2])


@pytest.mark.parametrize(
    ("truth", "shape", "labels", "speakers", "why"),
    [
        (["joy"], (2, 3), LABELS, ["s"], "do not fit"),
        (["joy"], (1, 2), LABELS, ["s"], "do not fit"),
        (["joy"], (1, 3), LABELS, ["s", "t"], "do not fit"),
        ([], (0, 3), LABELS, [], "at least one clip"),
        (["joy"], (1, 3), ["joy", "joy", "anger"], ["s"], "each once"),
        (["joy"], (1, 1), ["joy"], ["s"], "two or more"),
    ],
)
def test_what_does_not_fit_together_is_refused(truth, shape, labels, speakers, why):
    with pytest.raises(ValueError, match=why):
        scores(truth, np.ones(shape), labels, speakers)


def test_an_unknown_true_label_is_the_user_s_to_mend():
    with pytest.raises(UserError, match="unknown label 'sadnes': did you mean 'sadness'"):
        scores(["sadnes"], one_hot([0], 3), LABELS, ["s"])
