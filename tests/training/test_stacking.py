"""Generators that wait for fits: what each gets back, and what an error of one does to the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from affetto.errors import UserError
from affetto.training import stacking
from affetto.training.loop import Fit
from affetto.training.stacking import Steps, drive, fitted, together


def request(name: str) -> Any:
    """Stand-in for a `FitRequest`: `fit_by_name` gives a fit of as many epochs as the name has letters, or fails."""
    return SimpleNamespace(name=name)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Names of the requests of each call."""
    calls: list[list[str]] = []

    def fit_by_name(requests: Any, _stack: int) -> list[Any]:
        calls.append([request.name for request in requests])
        return [UserError(name) if name == "broken" else Fit(epoch=len(name)) for name in calls[-1]]

    monkeypatch.setattr(stacking, "_run", fit_by_name)
    return calls


def run(*names: str) -> Steps[list[int]]:
    epochs = []
    for name in names:
        fit = yield from fitted(request(name))
        epochs.append(fit.epoch)
    return epochs


def test_each_generator_gets_its_own_fits_and_all_wait_together(fits: list[list[str]]) -> None:
    assert drive([run("a", "bbb"), run("cc"), run()], 1) == [[1, 3], [2], []]
    assert fits == [["a", "cc"], ["bbb"]]


def test_parts_of_a_run_are_begun_as_places_become_free(fits: list[list[str]]) -> None:
    parts = [run("a"), run("bb", "bbb"), run("cccc")]
    assert drive([together(parts, 2)], 1) == [[[1], [2, 3], [4]]]
    assert fits == [["a", "bb"], ["bbb", "cccc"]]


def test_an_error_ends_its_own_run_with_all_its_parts_and_no_other(fits: list[list[str]]) -> None:
    closed = []

    def part() -> Steps[list[int]]:
        try:
            return (yield from run("a", "bb"))
        finally:
            closed.append(True)

    failed, other = drive([together([part(), run("broken")], 2), run("cc", "ddd")], 1)
    assert isinstance(failed, UserError)
    assert str(failed) == "broken"
    assert other == [2, 3]
    assert fits == [["a", "broken", "cc"], ["ddd"]]
    assert closed == [True]
