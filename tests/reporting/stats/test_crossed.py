"""Means and differences over tests that share their speakers, against what leaving people out by hand gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from affetto.measures import intervals
from affetto.reporting.stats import crossed, estimation, paired
from affetto.reporting.stats.crossed import TestsOnCorpus, mean_score
from affetto.reporting.stats.systems import System
from reporting.voices import drawn


def without(system: System, speaker: str) -> System:
    run = next(iter(system.runs.values()))
    return system.select([name != speaker for name in run.speakers])


def score(system: System) -> float:
    return float(np.mean(list(estimation.score_by_seed(system, "macro_f1").values())))


@pytest.fixture(scope="module")
def pairs() -> list[tuple[System, System]]:
    """Two systems in two tests on one corpus; the second test lacks a speaker."""
    first, second = (drawn(6, accuracy, seed, seeds=2) for accuracy, seed in ((0.7, 1), (0.5, 2)))
    third, fourth = (without(drawn(6, accuracy, seed, seeds=2), "s02") for accuracy, seed in ((0.6, 3), (0.5, 4)))
    return [(first, second), (third, fourth)]


@pytest.fixture(scope="module")
def tests(pairs: list[tuple[System, System]]) -> TestsOnCorpus:
    return TestsOnCorpus(tuple(paired.match_pairs(pairs, "macro_f1")))


def test_a_mean_leaves_a_speaker_out_of_all_tests_on_a_corpus(pairs: list[tuple[System, System]]) -> None:
    systems = [first for first, _ in pairs]
    other = drawn(5, 0.6, 9, corpus="demos", seeds=2)
    mean = mean_score({"emovo": systems, "demos": [other]})
    assert mean is not None and mean.interval is not None
    assert mean.value == pytest.approx((np.mean([score(system) for system in systems]) + score(other)) / 2)
    assert (mean.tests, mean.speakers) == (3, {"emovo": 6, "demos": 5})

    def sampled(group: list[System]) -> intervals.Sampled:
        names = sorted({name for system in group for name in system.speakers})
        left = [
            np.mean([score(without(system, name)) if name in system.speakers else score(system) for system in group])
            for name in names
        ]
        clips = [sum(next(iter(s.runs.values())).speakers.count(name) for s in group) for name in names]
        return intervals.jackknife(float(np.mean([score(s) for s in group])), np.array(left), np.array(clips))

    by_seed = []
    for seed in (0, 1):
        emovo = np.mean([estimation.score_by_seed(system, "macro_f1")[seed] for system in systems])
        by_seed.append((emovo + estimation.score_by_seed(other, "macro_f1")[seed]) / 2)
    expected = intervals.over_seeds(intervals.mean([sampled(systems), sampled([other])]), np.array(by_seed))
    assert mean.interval == pytest.approx(expected.interval(least=0, most=1))


def test_few_speakers_give_a_mean_without_interval_and_other_seeds_none() -> None:
    few, one = drawn(2, 0.6, 1), drawn(6, 0.6, 1)
    mean = mean_score({"emovo": [few, one]})
    assert mean is not None and mean.interval is None and mean.value == pytest.approx((score(few) + score(one)) / 2)
    assert mean_score({"emovo": [one, replace(one, runs={7: one.runs[0]})]}) is None


def test_a_speaker_is_exchanged_in_all_tests_at_once(tests: TestsOnCorpus) -> None:
    assert tests.speakers == tuple(f"s0{n}" for n in range(6)) and tests.clips.tolist() == [24, 24, 12, 24, 24, 24]
    swapped = np.zeros((8, 6))
    swapped[1] = 1
    swapped[2:] = np.eye(6)
    exchanged = tests.exchanged(swapped)
    assert exchanged[0] == pytest.approx(tests.difference()[0]) and exchanged[1] == pytest.approx(-exchanged[0])
    alone = tests.pairs[0].exchanged(np.eye(6)[2:3]) + tests.pairs[1].difference()
    assert exchanged[4] == pytest.approx(alone[0] / 2), "the second test lacks the speaker"


def test_one_test_a_corpus_is_the_usual_comparison(pairs: list[tuple[System, System]]) -> None:
    assert crossed.compare({"emovo": pairs[:1]}) == paired.compare(pairs[:1])
    both = crossed.compare({"emovo": pairs})
    differences = [paired.difference(pair) for pair in pairs]
    assert both.difference == pytest.approx(np.mean(differences)) and both.speakers == {"emovo": 6}
    gaps = [paired.compare([pair]).per_speaker["emovo"] for pair in pairs]
    assert both.per_speaker["emovo"]["s00"] == pytest.approx((gaps[0]["s00"] + gaps[1]["s00"]) / 2)
    assert both.per_speaker["emovo"]["s02"] == pytest.approx(gaps[0]["s02"])
