"""The choice of a state and a strength on inner folds."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from affetto.corpora.labels import EMOTIONS
from affetto.targets.classes import Classes
from affetto.training.selection import Choice, choose


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


def test_fits_side_by_side_leave_the_settings_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    filters = list(warnings.filters)
    blas = [library["num_threads"] for library in threadpool_info()]
    make_choice()
    assert [library["num_threads"] for library in threadpool_info()] == blas
    assert warnings.filters == filters
