"""The choice of a state and a strength on inner folds."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from affetto.corpora.labels import EMOTIONS
from affetto.splits import inner_folds
from affetto.targets.classes import Classes
from affetto.training.selection import Choice, Probe, choose


def blas_threads() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def make_choice(wait: Any = None) -> Choice:
    random = np.random.default_rng(0)
    truth = np.tile(np.arange(len(EMOTIONS)), 8)
    statistics = random.standard_normal((len(truth), 2, 12)) + np.eye(len(EMOTIONS), 12)[truth][:, None]

    def features(state: int) -> np.ndarray:
        if wait is not None:
            wait()
        return statistics[:, state]

    speakers = [f"s{n // 14}" for n in range(len(truth))]
    options: dict[str, Any] = {"target": Classes(EMOTIONS), "layers": range(2), "strengths": [0.1, 1.0], "folds": 2}
    return choose(features, truth, speakers, **options)


def test_inner_fits_run_side_by_side_to_the_same_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    alone = make_choice()
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    both = threading.Barrier(2)
    # Two threads meet in each fit; a thread alone would wait for the other until the barrier breaks.
    assert make_choice(lambda: both.wait(timeout=60)) == alone


def test_blas_has_one_thread_around_all_fits_and_then_those_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that limited BLAS for its own fit would take back the limit of others when it is done."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    seen: list[int] = []
    with threadpool_limits(2, "blas"):
        before = blas_threads()
        assert before == [2] * len(before) and before
        filters = list(warnings.filters)
        make_choice(lambda: seen.extend(blas_threads()))  # before each fit begins
        assert set(seen) == {1} and blas_threads() == before and warnings.filters == filters


def test_inner_fits_are_those_of_each_fold_alone() -> None:
    """Twelve clips of three speakers and six auxiliary ones, each with a copy, all options of `Probe.fit` in use."""
    random = np.random.default_rng(1)
    speakers, owners = [f"s{n // 4}" for n in range(12)], np.tile(np.arange(18), 2)
    truth, groups = random.integers(0, 2, 18)[owners], (owners >= 12).astype(int)
    weights, states = random.uniform(0.2, 1.0, 36), random.standard_normal((2, 36, 4)) + truth[:, None]
    scored: list[np.ndarray] = []

    class Watched(Classes):
        def probe_score(self, outputs: Any, truth_of_clips: Any) -> float:
            scored.append(outputs)
            assert (truth_of_clips == truth[:12]).all()
            return super().probe_score(outputs, truth_of_clips)

    target, strengths = Watched(("anger", "joy")), (0.1, 1.0)
    rows = {"clip_weights": weights, "groups": groups}
    options: dict[str, Any] = {"target": target, "balanced": False}
    choose(lambda state: states[state], truth, speakers, [0, 1], strengths, 3, owners=owners, **rows, **options)
    assert len(scored) == 4
    for state, strength in ((state, strength) for state in states for strength in strengths):
        expected = np.full((12, 2), np.nan)
        for _, held_out in inner_folds(speakers, 3):
            fit = [row for row in range(36) if owners[row] not in held_out]
            own = {name: values[fit] for name, values in rows.items()}
            own["owners"] = np.array([fit.index(owner) for owner in owners[fit]])
            expected[held_out] = Probe.fit(state[fit], truth[fit], strength, **own, **options).outputs(state[held_out])
        assert any(np.allclose(outputs, expected) for outputs in scored)


def test_every_state_is_tried_under_the_middle_strength_and_the_best_three_under_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(0)
    truth, speakers = np.tile(np.arange(2), 40), [f"s{n // 20}" for n in range(80)]
    # The last feature, which never varies, is the state's number.
    states = [
        np.c_[random.standard_normal(80) + signal * truth, np.full(80, n)] for n, signal in enumerate((0, 4, 1, 2, 3))
    ]
    fits: list[tuple[int, float]] = []
    fit = Probe.fit

    def noted(features: np.ndarray, truth: np.ndarray, strength: float, **options: Any) -> Probe:
        fits.append((int(features[0, -1]), strength))
        return fit(features, truth, strength, **options)

    monkeypatch.setattr(Probe, "fit", noted)
    options: dict[str, Any] = {"strengths": (1.0, 0.01, 0.1), "folds": 2, "target": Classes(("anger", "joy"))}
    choose(lambda state: states[state], truth, speakers, range(5), **options)
    tried = [(state, 0.1) for state in range(5)] + [(state, c) for state in (1, 3, 4) for c in (0.01, 1.0)]
    assert sorted(fits) == sorted(2 * tried), "in each of two folds"
    fits.clear()
    choose(lambda state: states[state], truth, speakers, range(3), counts=(2,), **options)
    every = [(state, strength) for state in range(3) for strength in options["strengths"]]
    assert sorted(fits) == sorted(2 * every), "neighbours share their fits"
