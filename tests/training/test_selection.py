"""The choice of a state and a strength on inner folds."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from affetto.corpora.labels import EMOTIONS
from affetto.targets.classes import Classes
from affetto.training.selection import Choice, choose


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
