"""Ranks over blocks, by hand, and the critical values that Demšar prints."""

from __future__ import annotations

import pytest
from scipy.stats import friedmanchisquare

from affetto.reporting.stats.ranks import critical_difference, indistinct, rank


def test_ranks_and_wins_by_hand() -> None:
    scores = {"x": {"a": 0.5, "b": 0.7, "c": 0.1}, "y": {"a": 0.6, "b": 0.6, "c": 0.2}}
    ranking = rank(scores)
    assert ranking.methods == ("b", "a", "c") and ranking.mean_ranks == (1.25, 1.75, 3.0)
    assert ranking.wins == ((1.0, 1.5, 2.0), (0.5, 1.0, 2.0), (0.0, 0.0, 1.0)) and ranking.critical is None
    assert (
        rank({"x": {"a": 1.0, "b": 0.5, "c": 0.2}}) is None
        and rank({"x": {"a": 1.0, "b": 0.5}, "y": {"a": 1.0}}) is None
    )


@pytest.mark.parametrize(("methods", "quantile"), [(2, 1.960), (5, 2.728), (10, 3.164)])
def test_the_critical_values_are_those_of_the_table(methods, quantile) -> None:
    """Demšar 2006, table 5a."""
    assert critical_difference(methods, 20) == pytest.approx(
        quantile * (methods * (methods + 1) / 120) ** 0.5, rel=1e-3
    )


def test_a_test_is_made_from_five_blocks_on() -> None:
    scores = {f"block {n}": {"a": 0.9, "b": 0.5 + 0.01 * n, "c": 0.52 + 0.004 * n, "d": 0.1} for n in range(8)}
    ranking = rank(scores)
    columns = [[block[method] for block in scores.values()] for method in "abcd"]
    assert ranking.p == pytest.approx(friedmanchisquare(*columns).pvalue)
    assert ranking.methods[0] == "a" and ranking.methods[-1] == "d"
    means = dict(zip(ranking.methods, ranking.mean_ranks, strict=True))
    assert ranking.critical == pytest.approx(1.66, abs=0.01) and means["b"] == means["c"] == 2.5
    assert indistinct(ranking) == ["b", "c"], "1.5 is below the critical difference, 3 is not"


def test_a_method_that_was_run_on_few_blocks_is_left_out() -> None:
    scores = {f"{n}": {"a": 0.1, "b": 0.2, "c": 0.3} | ({"d": 0.4} if n < 2 else {}) for n in range(6)}
    ranking = rank(scores)
    assert ranking.methods == ("c", "b", "a") and ranking.blocks == 6
