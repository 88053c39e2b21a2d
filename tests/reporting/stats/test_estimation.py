"""Spread over seeds, the interval over speakers: by hand, and against what metrics.json holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from affetto.errors import UserError
from affetto.measures import intervals
from affetto.measures.registry import shown_measures
from affetto.measures.scores import scores
from affetto.reporting.stats.estimation import estimate, interval_words, over_corpora, over_seeds, score_by_seed
from affetto.reporting.stats.systems import Predictions, System
from reporting.voices import drawn, rows, system


def metrics(predictions):
    truth = [predictions.labels[n] for n in predictions.truth]
    return scores(truth, predictions.probabilities, predictions.labels, predictions.speakers)


def test_over_seeds_is_mean_and_sample_deviation():
    spread = over_seeds({0: 1.0, 1: 2.0, 2: 6.0})
    assert (spread.mean, spread.deviation, spread.seeds) == (3.0, pytest.approx(7**0.5), (0, 1, 2))
    assert over_seeds({4: 0.5}).deviation is None


def test_over_corpora_averages_the_corpora_of_each_seed_first():
    # Means of seeds 0 and 1: 2 and 3. Seed 2 is missing on one corpus, and so is left out.
    spread = over_corpora({"emovo": {0: 1.0, 1: 5.0, 2: 9.0}, "demos": {0: 3.0, 1: 1.0}})
    assert (spread.mean, spread.deviation) == (2.5, pytest.approx(0.5**0.5))
    assert (spread.seeds, spread.corpora) == ((0, 1), ("emovo", "demos"))
    # The mean of the corpora's own deviations would be another number, 2.12.
    with pytest.raises(ValueError, match="no seed"):
        over_corpora({"emovo": {0: 1.0}, "demos": {1: 1.0}})


def test_one_seed_s_score_and_interval_are_those_of_metrics_json():
    one = drawn(12, 0.6, 3)
    told = metrics(one.runs[0])
    for measure in (measure.name for measure in shown_measures()):
        result = estimate([one], measure)
        assert result.value == pytest.approx(told[measure])
        assert [result.low, result.high] == pytest.approx(told["interval"][measure])
        assert score_by_seed(one, measure) == {0: pytest.approx(told[measure])}
    assert (result.over, result.units, result.seeds) == (("speakers",), (12,), (0,))


def test_the_interval_is_student_s_around_the_pooled_score_by_leaving_out_speakers():
    one = drawn(6, 0.6, 3)
    run, owner = one.runs[0], np.array(one.runs[0].speakers)
    without = [
        f1_score(run.truth[owner != name], run.predicted[owner != name], average="macro") for name in one.speakers
    ]
    result = estimate([one])
    error = (5 / 6 * np.sum((np.array(without) - result.value) ** 2)) ** 0.5
    assert (result.low, result.high) == pytest.approx(stats.t.interval(0.95, 5, result.value, error))
    assert (result.effective, result.half) == ((6.0,), pytest.approx((result.high - result.low) / 2))
    # Of accuracy, a plain mean over speakers of equal size, it is the textbook's interval.
    right = (run.truth == run.predicted).reshape(6, -1).mean(axis=1)
    accuracy = estimate([one], "accuracy")
    assert (accuracy.low, accuracy.high) == pytest.approx(stats.t.interval(0.95, 5, right.mean(), stats.sem(right)))


def test_speakers_of_unequal_size_count_by_their_clips():
    sizes = [60, 20, 10, 10]
    names = [f"s{n}" for n, clips in enumerate(sizes) for _ in range(clips)]
    one = drawn(1, 0.6, 3, clips=100)
    uneven = system(one.runs[0].truth.tolist(), {0: one.runs[0].predicted.tolist()}, names)
    result = estimate([uneven], "accuracy")
    assert result.effective == (pytest.approx(100**2 / (60**2 + 20**2 + 2 * 10**2)),)
    right = [
        np.mean(np.equal(uneven.runs[0].truth, uneven.runs[0].predicted)[np.array(names) == f"s{n}"]) for n in range(4)
    ]
    share = np.array(sizes) / 100
    error = np.sum(share**2 / (1 - share) * (np.array(right) - result.value) ** 2) ** 0.5
    half = stats.t.ppf(0.975, result.effective[0] - 1) * error
    assert result.half == pytest.approx(half)


def test_seeds_are_averaged_and_their_spread_is_in_the_interval():
    one = drawn(12, 0.6, 3)
    twice = system(
        one.runs[0].truth.tolist(), {s: one.runs[0].predicted.tolist() for s in (0, 1)}, one.runs[0].speakers
    )
    assert estimate([twice]).low == pytest.approx(estimate([one]).low)
    three = drawn(12, 0.6, 3, seeds=3)
    by_seed = np.array([metrics(run)["macro_f1"] for run in three.runs.values()])
    result = estimate([three])
    assert result.value == pytest.approx(by_seed.mean())
    # The speakers' variance, 11 degrees of freedom, and the seeds', 2: Satterthwaite.
    owner = np.array(three.runs[0].speakers)
    without = [
        np.mean([f1_score(r.truth[owner != s], r.predicted[owner != s], average="macro") for r in three.runs.values()])
        for s in three.speakers
    ]
    speakers, seeds = 11 / 12 * np.sum((np.array(without) - by_seed.mean()) ** 2), by_seed.var(ddof=1) / 3
    freedom = (speakers + seeds) ** 2 / (speakers**2 / 11 + seeds**2 / 2)
    assert result.half == pytest.approx(stats.t.ppf(0.975, freedom) * (speakers + seeds) ** 0.5)


def test_several_corpora_weigh_the_same():
    big, small = drawn(40, 0.9, 1, corpus="demos"), drawn(12, 0.4, 2, corpus="emovo")
    both, one, other = (estimate(some, "accuracy") for some in ([big, small], [big], [small]))
    assert both.value == pytest.approx((one.value + other.value) / 2)
    # The mean of a and b is half of a - (-b), whose interval is Welch's.
    a, b = ((p.runs[0].truth == p.runs[0].predicted).reshape(-1, 12).mean(axis=1) for p in (big, small))
    low, high = stats.ttest_ind(a, -b, equal_var=False).confidence_interval(0.95)
    assert (both.low, both.high) == pytest.approx((low / 2, high / 2))
    assert both.units == (40, 12) and both.low < both.value < both.high < 1


@pytest.mark.parametrize("speakers", [1, 2])
def test_too_few_speakers_are_drawn_by_clip_and_it_is_told(speakers):
    alone = estimate([drawn(speakers, 0.6, 3, clips=60)], "accuracy")
    n = 60 * speakers
    assert (alone.over, alone.units) == (("clips",), (n,))
    error = (alone.value * (1 - alone.value) / (n - 1)) ** 0.5
    assert alone.half == pytest.approx(stats.t.ppf(0.975, n - 1) * error)
    assert "nothing is said of other voices" in interval_words([alone])


def test_p_is_that_of_student_s_interval_from_both_sides():
    for value in (0.1, -0.1):
        sampled = intervals.Sampled(value, 0.0016, 5)
        low, high = sampled.interval(1 - sampled.p)
        assert min(abs(low), abs(high)) == pytest.approx(0, abs=1e-9)
    assert intervals.Sampled(0.0, 0.0016, 5).p == 1


def test_an_interval_ends_where_scores_do():
    names = [f"s{n // 10}" for n in range(30)]
    truth = [n % 3 for n in range(30)]
    wide = estimate([system(truth, {0: [*truth[:20], *([0] * 10)]}, names)])
    assert wide.high == 1.0 and wide.half > wide.high - wide.value > 0


def test_a_published_score_is_expected_within_the_errors_of_both():
    one = estimate([drawn(12, 0.6, 3)])
    near, far = one.value + 1.4 * one.half, one.value + 1.42 * one.half
    assert near > one.high and one.expects(near) is True and one.expects(far) is False
    alone = estimate([drawn(1, 0.6, 4, clips=30)])
    assert alone.expects(alone.value) is True and alone.expects(alone.value + 2 * alone.half) is None


def test_captions_say_what_was_drawn_and_how():
    few, many, uneven = (
        drawn(6, 0.6, 1, seeds=3),
        drawn(43, 0.6, 1),
        replace(estimate([drawn(43, 0.6, 1)]), effective=(15.2,)),
    )
    assert interval_words([estimate([few])]) == "95 % interval by Student's t over 6 speakers and 3 seeds"
    words = interval_words([estimate([few]), estimate([many])], folds=True)
    assert words.startswith(
        "95 % interval by Student's t over 6 to 43 speakers and 1 to 3 seeds. The models of the folds"
    )
    assert "43 speakers (unequal in size: as telling as 15 equal ones)" in interval_words([uneven])
    assert interval_words([]) == "95 % interval by Student's t over speakers"
    assert "(†: too few speakers" in interval_words([estimate([drawn(1, 0.6, 1)])], mark="†")
    assert interval_words([metrics(many.runs[0])["interval"]]) == "95 % interval by Student's t over 43 speakers"


def test_seeds_must_be_of_the_same_clips():
    truth, names = [0, 1, 2], ["a", "a", "b"]
    first = Predictions.from_rows(rows(truth, truth, names))
    with pytest.raises(UserError, match=r"differ in the truth of 1 clips, such as '0002.wav'"):
        System("lora", "emovo", {0: first, 1: Predictions.from_rows(rows([0, 1, 1], truth, names))})
    with pytest.raises(UserError, match="not tested on the same clips"):
        System("lora", "emovo", {0: first, 1: Predictions.from_rows(rows([0, 1], [0, 1], ["a", "b"]))})


def test_predictions_are_sorted_by_clip_and_refuse_doubles():
    lines = rows([0, 1, 2], [0, 2, 2], ["a", "b", "b"])
    backwards = Predictions.from_rows(reversed(lines))
    assert backwards.clips == ("0000.wav", "0001.wav", "0002.wav")
    assert backwards.predicted.tolist() == [0, 2, 2]
    assert Predictions.from_rows({**line, "corpus": "demos"} for line in lines).clips[0] == "demos:0000.wav"
    with pytest.raises(UserError, match=r"clip '0001.wav' is predicted twice"):
        Predictions.from_rows([*lines, lines[1]])
    with pytest.raises(UserError, match="not predictions that affetto wrote"):
        Predictions.from_rows([{"file": "a.wav"}])
    with pytest.raises(UserError, match="not predictions that affetto wrote"):
        Predictions.from_rows([])


@pytest.mark.parametrize(
    "broken", [float("nan"), float("inf"), -0.2, 1.5, 0.5], ids=["NaN", "infinite", "below 0", "above 1", "sum of 0.6"]
)
def test_probabilities_that_are_none_are_refused_with_the_file_and_the_clip(broken):
    lines = rows([0, 1, 2], [0, 2, 2], ["a", "b", "b"])
    lines[1]["probabilities"] = lines[1]["probabilities"] | {"sadness": broken}
    with pytest.raises(
        UserError, match=r"^runs/a: 1 of 3 clips have no probabilities .* such as '0001.wav' \(anger 0.05,"
    ):
        Predictions.from_rows(lines, source="runs/a")
