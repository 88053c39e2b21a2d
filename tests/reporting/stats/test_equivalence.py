"""Equivalence and the smallest difference: against scipy's one-sided and noncentral t."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from affetto.measures.intervals import Sampled
from affetto.reporting.stats.equivalence import MARGIN, equivalence_p, smallest_difference


@pytest.mark.parametrize("shift", [-0.03, -0.01, 0.0, 0.015])
def test_equivalence_is_two_one_sided_t_tests(shift):
    values = np.random.default_rng(3).normal(shift, 0.02, 12)
    upper = stats.ttest_1samp(values, MARGIN, alternative="less").pvalue
    lower = stats.ttest_1samp(values, -MARGIN, alternative="greater").pvalue
    sampled = Sampled(float(values.mean()), float(values.var(ddof=1) / 12), 11.0)
    assert equivalence_p(sampled) == pytest.approx(max(upper, lower))


def test_speakers_who_do_not_differ_are_equivalent_and_those_who_all_differ_by_the_margin_are_not():
    assert equivalence_p(Sampled(0.0, 0.0, 5.0)) == 0 and equivalence_p(Sampled(MARGIN, 0.0, 5.0)) == 1


@pytest.mark.parametrize("freedom", [5, 11, 42])
def test_the_smallest_difference_is_shown_in_four_of_five_studies(freedom):
    smallest = smallest_difference(Sampled(0.0, 1.0, freedom))
    limit = stats.t.ppf(0.975, freedom)
    assert stats.nct.sf(limit, freedom, smallest) == pytest.approx(0.8, abs=0.03)
