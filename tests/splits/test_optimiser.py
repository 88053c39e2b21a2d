"""The search over assignments: its cost by hand, its optimum against brute force, its determinism."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affetto.splits import optimiser
from affetto.splits.optimiser import ABSENT, EMPTY, Problem, assign, coded

TARGETS = (8, 1, 1)


def random_counts(seed: int, speakers: int, classes: int = 3, most: int = 9) -> np.ndarray:
    """Counts per class, then per gender (one gender a speaker)."""
    draw = np.random.default_rng(seed)
    by_class = draw.integers(0, most, (speakers, classes))
    by_class[:, 0] += 1
    female = draw.integers(0, 2, speakers)
    total = by_class.sum(1)
    return np.concatenate([by_class, np.stack([total * female, total * (1 - female)], axis=1)], axis=1)


def exact_cost(counts: np.ndarray, classes: int, targets: tuple[int, ...], assigned: tuple[int, ...]) -> Fraction:
    """The cost as its description says it, in fractions; absent classes and empty parts as there."""
    parts = range(len(targets))
    total = int(counts[:, :classes].sum())
    cost = Fraction(0)
    for part in parts:
        members = [unit for unit, home in enumerate(assigned) if home == part]
        here = counts[members].sum(0)
        clips = int(here[:classes].sum())
        target = Fraction(targets[part], sum(targets))
        cost += optimiser.SIZE_WEIGHT * abs(Fraction(clips, total) - target)
        cost += optimiser.NUMBER_WEIGHT * abs(Fraction(len(members), len(counts)) - target)
        if not clips:
            cost += Fraction(EMPTY + ABSENT * targets[part] * classes, 10**6)
            continue
        for features, weight in ((slice(0, classes), optimiser.CLASS_WEIGHT), (slice(classes, None), 1)):
            shares = zip(here[features].tolist(), counts[:, features].sum(0).tolist(), strict=True)
            cost += weight * sum(abs(Fraction(n, clips) - Fraction(m, total)) for n, m in shares) / 2
        absent = sum(n == 0 and m > 0 for n, m in zip(here[:classes], counts[:, :classes].sum(0), strict=True))
        cost += Fraction(ABSENT * targets[part] * int(absent), 10**6)
    return cost


def test_coded_sorts_the_names() -> None:
    names, codes = coded(["b", "a", "b", "c"])
    assert names == ("a", "b", "c")
    assert codes.tolist() == [1, 0, 1, 2]


def test_cost_by_hand() -> None:
    # two classes and one gender: 8 + 2 clips of three speakers, 8/1/1 met by size, not by class or number
    counts = np.array([[4, 4, 8], [1, 0, 1], [0, 1, 1]])
    problem = Problem.plain(counts, 2, TARGETS)
    cost = int(problem.cost(problem.counts(np.array([0, 1, 2]))))
    number = (800_000 - 333_333) + 2 * (333_333 - 100_000)
    classes = 2 * 500_000  # both small parts are all one class, where the corpus is half and half
    absent = 2 * ABSENT
    expected = optimiser.CLASS_WEIGHT * classes + optimiser.NUMBER_WEIGHT * number + absent
    assert cost == pytest.approx(expected, abs=10)


@pytest.mark.parametrize("seed", range(4))
def test_enumeration_is_the_brute_force_optimum(seed: int) -> None:
    counts = random_counts(seed, speakers=5)
    every = itertools.product(range(3), repeat=5)
    best = min(exact_cost(counts, 3, TARGETS, assigned) for assigned in every)
    found = exact_cost(counts, 3, TARGETS, tuple(assign(Problem.plain(counts, 3, TARGETS), seed)))
    assert float(found) == pytest.approx(float(best), abs=1e-3)  # the search counts in whole millionths


@pytest.mark.parametrize("seed", range(3))
def test_search_reaches_what_enumeration_finds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem.plain(random_counts(seed, speakers=9), 3, TARGETS)
    enumerated = problem.cost(problem.counts(assign(problem, seed)))
    monkeypatch.setattr(optimiser, "ENUMERATED", 0)
    assert problem.cost(problem.counts(assign(problem, seed, steps=1000))) == enumerated


def test_search_is_never_worse_than_its_start() -> None:
    problem = Problem.plain(random_counts(7, speakers=30), 3, TARGETS)
    start = assign(problem, 0, steps=2000)
    for steps in (0, 1, 200):
        again = assign(problem, 1, start=start, steps=steps)
        assert problem.cost(problem.counts(again)) <= problem.cost(problem.counts(start))


def test_seed_decides_between_equals_and_nothing_else() -> None:
    problem = Problem.plain(np.tile([2, 2, 4], (6, 1)), 2, TARGETS)
    found = {tuple(assign(problem, seed).tolist()) for seed in range(20)}
    assert len(found) > 5
    assert {tuple(np.bincount(assigned).tolist()) for assigned in found} == {(4, 1, 1)}
    assert tuple(assign(problem, 3)) == tuple(assign(problem, 3))


def test_search_is_pinned() -> None:
    """The same on every machine and with every version of numpy: an assignment written down once."""
    problem = Problem.plain(random_counts(5, speakers=14), 3, TARGETS)
    assert "".join(map(str, assign(problem, 0, steps=300))) == "00011200000020"


def test_genders_are_balanced_when_all_else_is_equal() -> None:
    counts = np.array([[2, 2, 4, 0]] * 12 + [[2, 2, 0, 4]] * 18)
    problem = Problem.plain(counts, 2, (1, 1, 1))
    genders = problem.counts(assign(problem, 0, steps=1500))[:, 2:4]
    assert genders.tolist() == [[16, 24]] * 3


def test_parts_get_their_share_of_speakers_with_few_clips() -> None:
    # 30 speakers of 10 clips and 30 of two: the small parts could be made up of the latter alone
    counts = np.array([[5, 5]] * 30 + [[1, 1]] * 30)
    assigned = assign(Problem.plain(counts, 2, TARGETS), 0, steps=2000)
    assert np.bincount(assigned).tolist() == [48, 6, 6]


def test_rare_class_is_trained_first() -> None:
    counts = np.array([[5, 0]] * 11 + [[5, 2]])
    assert assign(Problem.plain(counts, 2, TARGETS), 0, steps=500)[11] == 0


def test_units_may_bring_different_clips_to_different_parts() -> None:
    # each unit has clips for one part only, as speakers have whose prompts are assigned: all can be kept
    home = np.array([0] * 8 + [1] + [2] + [0] * 2)
    brings = np.zeros((12, 3, 2), dtype=np.int64)
    brings[np.arange(12), home] = [3, 3]
    problem = Problem(brings, np.array([36, 36]), 2, 0, TARGETS)
    assert assign(problem, 0, steps=500).tolist() == home.tolist()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 20), st.integers(3, 6))
def test_no_part_stays_empty(seed: int, speakers: int, parts: int) -> None:
    counts = random_counts(seed, speakers, most=1 + seed % 40)
    counts[0] *= 50  # one who says more than all others together
    if speakers >= parts:
        assigned = assign(Problem.plain(counts, 3, (1,) * parts), seed, steps=20)
        assert set(assigned.tolist()) == set(range(parts))
