"""Two systems on the same speakers: against enumeration by hand, scipy, and worked examples."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, f1_score

from affetto.errors import UserError
from affetto.reporting.stats.paired import compare, holm, match_pairs, permutation_p, smallest_p
from reporting.voices import drawn, system


def exchange(first, second, measure="macro_f1") -> float:
    return permutation_p(match_pairs([(first, second)], measure))


def by_hand(first, second, measure) -> float:
    """p by exchanging the predictions themselves, scored by scikit-learn."""
    score = {
        "macro_f1": lambda t, p: f1_score(t, p, average="macro"),
        "uar": lambda t, p: balanced_accuracy_score(t, p),
    }[measure]
    truth, owner = first.runs[0].truth, np.array(first.runs[0].speakers)
    differences = []
    for flags in itertools.product((False, True), repeat=len(first.speakers)):
        swap = np.isin(owner, [name for name, flag in zip(first.speakers, flags, strict=True) if flag])
        of_seeds = []
        for seed in first.seeds:
            one, other = first.runs[seed].predicted, second.runs[seed].predicted
            of_seeds.append(score(truth, np.where(swap, other, one)) - score(truth, np.where(swap, one, other)))
        differences.append(np.mean(of_seeds))
    return float(np.mean(np.abs(differences) >= abs(differences[0]) - 1e-9))


@pytest.mark.parametrize("measure", ["macro_f1", "uar"])
@pytest.mark.parametrize(("speakers", "seeds"), [(3, 1), (4, 1), (4, 3)])
def test_permutation_p_is_the_share_of_all_exchanges(speakers, seeds, measure):
    for attempt in range(3):
        first = drawn(speakers, 0.7, 10 + attempt, seeds=seeds)
        second = drawn(speakers, 0.5, 20 + attempt, seeds=seeds)
        assert exchange(first, second, measure) == pytest.approx(by_hand(first, second, measure))


def test_the_smallest_p_is_two_of_all_exchanges():
    # Always right against always wrong: only the observed order and its mirror image are so far apart.
    truth, names = [0, 1, 2] * 5, [f"s{n // 3}" for n in range(15)]
    right, wrong = system(truth, {0: truth}, names), system(truth, {0: [1, 2, 0] * 5}, names)
    assert exchange(right, wrong) == smallest_p(5) == 2 / 2**5
    assert smallest_p(88) == 2 / 10_000


def test_drawn_exchanges_agree_with_all_of_them(monkeypatch):
    first, second = drawn(13, 0.62, 1), drawn(13, 0.55, 2)
    exact = exchange(first, second)
    monkeypatch.setattr("affetto.reporting.stats.paired.EXACT_SPEAKERS", 5)
    assert 0.02 < exact < 0.9
    assert exchange(first, second) == pytest.approx(exact, abs=0.02)


def test_identical_systems_differ_by_nothing():
    one = drawn(12, 0.6, 1, seeds=2)
    result = compare([(one, one)])
    assert (result.difference, result.interval, result.p) == (0, (0, 0), 1)
    assert (result.effect_size, result.share_better, result.models_differ) == (0, 0.5, False)


def test_difference_is_that_of_the_pooled_scores_and_turns_its_sign():
    first, second = drawn(12, 0.8, 1, seeds=2, name="lora"), drawn(12, 0.5, 2, seeds=2, name="frozen")
    result, back = compare([(first, second)]), compare([(second, first)])
    expected = np.mean(
        [
            f1_score(first.runs[s].truth, first.runs[s].predicted, average="macro")
            - f1_score(second.runs[s].truth, second.runs[s].predicted, average="macro")
            for s in (0, 1)
        ]
    )
    assert result.difference == pytest.approx(expected) == pytest.approx(-back.difference)
    assert result.interval == pytest.approx((-back.interval[1], -back.interval[0]))
    assert result.p == back.p and result.models_differ
    assert result.effect_size == pytest.approx(-back.effect_size) and result.effect_size > 0.8
    assert (result.first, result.second, result.speakers) == ("lora", "frozen", {"emovo": 12})
    assert result.share_better == pytest.approx(1 - back.share_better)


def test_pairing_makes_the_interval_narrower_than_two_apart():
    # Both systems find the same speakers hard; what differs between them is steady.
    truth, names = [0, 1, 2, 0, 1, 2] * 20, [f"s{n // 6:02d}" for n in range(120)]
    hard = np.arange(120) // 6 % 2 == 0
    base = np.where(hard, (np.array(truth) + 1) % 3, truth)
    better = np.where(np.arange(120) % 6 == 0, truth, base)
    result = compare([(system(truth, {0: better.tolist()}, names), system(truth, {0: base.tolist()}, names))], "uar")
    assert result.interval[0] > 0 and result.interval[1] - result.interval[0] < 0.12
    assert result.share_better == pytest.approx(0.75)  # better with ten speakers, even with ten


def test_the_interval_is_student_s_around_the_difference_and_under_ten_speakers_there_is_no_test():
    first, second = drawn(6, 0.8, 1), drawn(6, 0.5, 2)
    result = compare([(first, second)], "accuracy")
    gaps = np.array(list(result.per_speaker["emovo"].values()))
    expected = stats.t.interval(0.95, 5, gaps.mean(), stats.sem(gaps))
    assert result.interval_by == "t" and result.interval == pytest.approx(expected)
    assert (result.p, result.models_differ, result.smallest_p) == (None, None, 2 / 64)
    assert result.effect_size == pytest.approx(gaps.mean() / gaps.std(ddof=1))
    low, high = compare([(first, second)]).interval
    assert (low + high) / 2 == pytest.approx(compare([(first, second)]).difference)
    # Scores differ by 1 at the most, however wide the interval of three speakers.
    wide = compare([(drawn(3, 0.8, 2, spread=0.3), drawn(3, 0.1, 2))]).interval
    assert wide[1] == 1 and wide[0] < 0.5


def test_each_speaker_s_difference_is_averaged_over_seeds():
    first, second = drawn(6, 0.8, 1, seeds=2), drawn(6, 0.5, 2, seeds=2)
    owner = np.array(first.runs[0].speakers) == "s03"
    of_seeds = [
        balanced_accuracy_score(first.runs[s].truth[owner], first.runs[s].predicted[owner])
        - balanced_accuracy_score(second.runs[s].truth[owner], second.runs[s].predicted[owner])
        for s in (0, 1)
    ]
    found = compare([(first, second)], "uar").per_speaker["emovo"]["s03"]
    assert found == pytest.approx(np.mean(of_seeds))


def test_few_effective_speakers_are_few_however_many_heads():
    names = ["s00"] * 100 + [f"s{n:02d}" for n in range(1, 13) for _ in range(5)]
    truth = [n % 3 for n in range(160)]
    first, second = (
        system(truth, {0: [(label + (n % step == 0)) % 3 for n, label in enumerate(truth)]}, names) for step in (3, 7)
    )
    result = compare([(first, second)])
    assert result.speakers == {"emovo": 13} and result.effective["emovo"] == pytest.approx(160**2 / (100**2 + 12 * 25))
    assert result.has_few_speakers and result.p is None and result.interval is not None


@pytest.mark.parametrize("speakers", [1, 2])
def test_too_few_speakers_leave_no_interval(speakers):
    pairs = [
        (drawn(12, 0.8, 1, corpus="demos"), drawn(12, 0.5, 2, corpus="demos")),
        (drawn(speakers, 0.8, 3, corpus="emovo"), drawn(speakers, 0.5, 4, corpus="emovo")),
    ]
    result = compare(pairs)
    assert (result.interval, result.interval_by, result.p) == (None, "none", None)
    assert not result.allows_interval and result.speakers == {"demos": 12, "emovo": speakers}


def test_speakers_who_differ_by_the_very_same_give_no_interval_without_width():
    truth, names = [0, 1, 2] * 4, [f"s{n // 3}" for n in range(12)]
    right, other = system(truth, {0: truth}, names), system(truth, {0: [0, 1, 1] * 4}, names)
    result = compare([(right, other)])
    assert (
        result.difference > 0.2 and (result.interval, result.interval_by) == (None, "none") and result.allows_interval
    )


def test_seeds_that_scatter_are_in_the_interval_and_in_the_verdict_on_methods():
    """Two methods whose models are the same speaker by speaker, but each training is better or worse as a whole."""
    truth, names = [n % 3 for n in range(20 * 30)], [f"s{n // 30:02d}" for n in range(20 * 30)]

    def trained(wrong: list[int], salt: int):
        runs = {}
        for seed, count in enumerate(wrong):
            order = np.random.default_rng((salt, seed)).permuted(np.tile(np.arange(30), (20, 1)), axis=1).ravel()
            runs[seed] = [(label + (place < count)) % 3 for label, place in zip(truth, order, strict=True)]
        return system(truth, runs, names)

    lucky, steady = trained([6, 13, 6], 1), trained([12, 11, 13], 2)
    result = compare([(lucky, steady)])
    assert result.models_differ and result.methods_differ is False
    assert result.interval[0] < 0 < result.interval[1] and result.seeds_p > 0.05 > result.p
    alone = compare([(drawn(20, 0.8, 1), drawn(20, 0.5, 2))])
    assert alone.models_differ and (alone.seeds_p, alone.methods_differ) == (None, None)


def test_several_corpora_are_averaged_and_tested_as_one():
    names = ("demos", "emozionalmente")
    firsts = [drawn(n, 0.7, n, corpus=c) for n, c in zip((10, 30), names, strict=True)]
    seconds = [drawn(n, 0.6, n + 1, corpus=c) for n, c in zip((10, 30), names, strict=True)]
    single = [compare([pair]) for pair in zip(firsts, seconds, strict=True)]
    both = compare(list(zip(firsts, seconds, strict=True)))
    assert both.difference == pytest.approx(np.mean([each.difference for each in single]))
    assert both.interval_by == "t" and both.interval[0] < both.difference < both.interval[1]
    assert both.p is not None and both.p >= both.smallest_p
    assert both.per_speaker == {c: each.per_speaker[c] for c, each in zip(names, single, strict=True)}


def test_only_shared_seeds_are_compared():
    three, one = drawn(12, 0.7, 1, seeds=3), drawn(12, 0.6, 2)
    assert compare([(three, one)]).seeds == (0,)
    other = system(one.runs[0].truth.tolist(), {7: one.runs[0].predicted.tolist()}, one.runs[0].speakers)
    with pytest.raises(ValueError, match="no seed"):
        compare([(three, other)])


def test_other_clips_are_refused():
    with pytest.raises(UserError, match="not tested on the same clips"):
        compare([(drawn(12, 0.7, 1), drawn(11, 0.7, 1))])
    truth, names = [0, 1, 2, 0], ["a", "a", "b", "b"]
    with pytest.raises(UserError, match="differ in the speaker of 1 clips"):
        compare([(system(truth, {0: truth}, names), system(truth, {0: truth}, ["a", "b", "b", "b"]))])


def test_holm_by_hand():
    one = compare([(drawn(12, 0.7, 1), drawn(12, 0.6, 2))])
    family = [replace(one, p=p) for p in (0.04, 0.01, None, 0.03)]
    # Sorted .01 .03 .04, times 3 2 1: .03 .06 .04; never below the one before it: .03 .06 .06.
    adjusted = holm(family)
    assert [each.adjusted_p for each in adjusted] == pytest.approx([0.06, 0.03, None, 0.06])
    assert [each.family for each in adjusted] == [3, 3, 1, 3]
    assert [each.models_differ for each in adjusted] == [False, True, None, False]
    # The methods' p are a family of their own, of those that have one.
    family = [replace(one, p=0.001, seeds_p=p) for p in (0.02, None, 0.03)]
    adjusted = holm(family)
    assert [each.adjusted_seeds_p for each in adjusted] == pytest.approx([0.04, None, 0.04])
    assert [each.methods_differ for each in adjusted] == [True, None, True]


def test_p_is_even_where_nothing_differs():
    values = [exchange(drawn(10, 0.6, 2 * n), drawn(10, 0.6, 2 * n + 1)) for n in range(120)]
    assert np.mean(np.array(values) <= 0.2) == pytest.approx(0.2, abs=0.11)
    assert np.mean(values) == pytest.approx(0.5, abs=0.08)
