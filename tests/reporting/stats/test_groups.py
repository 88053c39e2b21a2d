"""Parts of the test clips, and human raters beside: by hand, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_recall_fscore_support

from affetto.reporting.stats.groups import by_class, by_gender, by_speaker, gender_gap
from affetto.reporting.stats.raters import OTHERS, human_scores
from affetto.reporting.stats.systems import Predictions, System
from reporting.voices import LABELS, drawn, rows, told


def gendered(one: System) -> System:
    """Every second speaker is a woman, the others are men."""
    lines = {}
    for seed, run in one.runs.items():
        genders = ["female" if int(name[1:]) % 2 else "male" for name in run.speakers]
        lines[seed] = Predictions.from_rows(told(rows(run.truth, run.predicted, run.speakers), gender=genders))
    return System(one.name, one.corpus, lines)


def test_classes_are_scikit_learn_s_averaged_over_seeds():
    one = drawn(5, 0.6, 1, seeds=2)
    expected = np.mean(
        [precision_recall_fscore_support(run.truth, run.predicted)[:3] for run in one.runs.values()], axis=0
    )
    for number, scored in enumerate(by_class(one)):
        assert (scored.precision, scored.recall, scored.f1) == pytest.approx(expected[:, number])
        assert (scored.label, scored.clips) == (LABELS[number], (one.runs[0].truth == number).sum())


def test_speakers_are_scored_alone():
    one = gendered(drawn(3, 0.6, 1, seeds=2))
    owner = np.array(one.runs[0].speakers) == "s01"
    scored = by_speaker(one)[1]
    assert (scored.speaker, scored.gender, scored.clips) == ("s01", "female", 12)
    truth = one.runs[0].truth[owner]
    called = [run.predicted[owner] for run in one.runs.values()]
    assert scored.macro_f1 == pytest.approx(np.mean([f1_score(truth, each, average="macro") for each in called]))
    assert scored.uar == pytest.approx(np.mean([balanced_accuracy_score(truth, each) for each in called]))
    assert by_speaker(drawn(3, 0.6, 1))[0].gender is None


def test_genders_are_scored_on_their_own_clips_and_the_gap_is_theirs():
    one = gendered(drawn(24, 0.6, 1, clips=9))
    female, male = by_gender(one)
    women = np.array([int(name[1:]) % 2 == 1 for name in one.runs[0].speakers])
    run = one.runs[0]
    uar = [balanced_accuracy_score(run.truth[part], run.predicted[part]) for part in (women, ~women)]
    assert (female.gender, female.speakers, female.clips) == ("female", 12, 108)
    assert [part.estimates["uar"].value for part in (female, male)] == pytest.approx(uar)
    gap = gender_gap(one)
    assert gap.difference == pytest.approx(uar[0] - uar[1]) and (gap.women, gap.men) == (12, 12)
    assert gap.interval_by == "t" and gap.interval[0] < gap.difference < gap.interval[1]
    widths = [part.estimates["uar"].high - part.estimates["uar"].low for part in (female, male)]
    assert gap.interval[1] - gap.interval[0] == pytest.approx(np.hypot(*widths), rel=0.1)


def test_the_gap_has_welch_s_interval():
    one = gendered(drawn(7, 0.6, 1))
    each = by_speaker(one)
    women, men = ([s.accuracy for s in each if s.gender == gender] for gender in ("female", "male"))
    gap = gender_gap(one, "accuracy")
    expected = stats.ttest_ind(women, men, equal_var=False).confidence_interval(0.95)
    assert gap.interval_by == "t" and gap.interval == pytest.approx(tuple(expected))


def test_no_gap_where_a_gender_is_missing():
    assert gender_gap(drawn(4, 0.6, 1)) is None and by_gender(drawn(4, 0.6, 1)) == ()
    assert gender_gap(gendered(drawn(1, 0.6, 1))) is None
    alone = gender_gap(gendered(drawn(5, 0.6, 1)))  # of two women
    assert (alone.interval, alone.interval_by) == (None, "none")
    lone = gender_gap(gendered(drawn(3, 0.6, 1)))  # of one woman, without whom nothing is left
    assert (lone.interval, 1 in (lone.women, lone.men)) == (None, True) and np.isfinite(lone.difference)


RATINGS = [{"anger": 4, "joy": 1}, {"anger": 1, "boredom": 4}, {"joy": 5}, {"sadness": 1, "joy": 1}, None]
TRUTH, CALLED, SPEAKERS = [0, 0, 1, 2, 2], [0, 1, 1, 1, 2], ["a", "a", "b", "b", "b"]


def test_humans_by_hand_on_the_rated_clips_alone():
    lines = told(rows(TRUTH, CALLED, SPEAKERS), ratings=RATINGS)
    result = human_scores(System("lora", "emozionalmente", {0: Predictions.from_rows(lines)}))
    # Anger .8 and .2, joy 1, sadness .5; the last clip, rated by nobody, is left out for the system too.
    assert result.recall == pytest.approx({"anger": 0.5, "joy": 1.0, "sadness": 0.5})
    assert result.uar == pytest.approx(2 / 3)
    assert result.system_recall == pytest.approx({"anger": 0.5, "joy": 1.0, "sadness": 0.0})
    assert result.system_uar == pytest.approx(0.5)
    assert result.confusion["anger"] == pytest.approx({"anger": 0.5, "joy": 0.1, "sadness": 0.0, OTHERS: 0.4})
    assert (result.clips, result.unrated, result.ratings) == (4, 1, 17)
    assert result.versus.difference == pytest.approx(0.5 - 2 / 3)
    assert result.versus.per_speaker["emozionalmente"] == pytest.approx({"a": 0.0, "b": (1 + 0) / 2 - (1 + 0.5) / 2})
    assert (result.versus.second, result.versus.p) == ("human raters", None)


def test_humans_are_the_same_for_every_seed_and_none_where_nobody_rated():
    lines = told(rows(TRUTH, CALLED, SPEAKERS), ratings=RATINGS)
    other = told(rows(TRUTH, TRUTH, SPEAKERS), ratings=RATINGS)
    both = human_scores(System("lora", "e", {0: Predictions.from_rows(lines), 1: Predictions.from_rows(other)}))
    assert both.uar == pytest.approx(2 / 3) and both.system_uar == pytest.approx(0.75)
    assert human_scores(drawn(4, 0.6, 1)) is None


def test_own_classes_have_no_raters():
    labels = ("calm", "loud")
    lines = told(rows([0, 1], [0, 1], ["a", "b"], labels), ratings=[{"joy": 5}, {"anger": 5}])
    assert human_scores(System("lora", "e", {0: Predictions.from_rows(lines)})) is None
