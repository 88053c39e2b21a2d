"""Comparisons with a baseline that was run with other seeds than the method."""

from __future__ import annotations

import pytest

from affetto.reporting.results import contrasts
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from reporting.folders import write_grid


def compared(folder, runs):
    """The comparison of the frozen method with the probe."""
    evidence = Evidence(collect(write_grid(folder, runs)))
    (made,) = contrasts.contrasts(evidence, ["method"])
    assert {made.first, made.second} == {"frozen", "probe"}
    return made.comparison if made.first == "frozen" else None


def frozen(seeds, probe_skill=0.4):
    return [({"method": "frozen", "seed": seed}, {"skill": 0.6, "probe_skill": probe_skill}) for seed in seeds]


def probe(seeds):
    return [({"method": "probe", "seed": seed}, {"skill": 0.4}) for seed in seeds]


def test_no_seed_is_lost_where_the_baseline_was_run_with_one(tmp_path):
    """The probe beside each run stands for the run of its own; the difference is that of the table."""
    alone = compared(tmp_path / "alone", frozen((0, 1, 2)))
    both = compared(tmp_path / "both", frozen((0, 1, 2)) + probe((0,)))
    assert alone.seeds == both.seeds == (0, 1, 2)
    assert both.difference == pytest.approx(alone.difference)
    assert both.interval == pytest.approx(alone.interval)


def test_a_baseline_of_as_many_seeds_is_compared_itself(tmp_path):
    runs = frozen((0, 1)) + [({"method": "probe", "seed": seed}, {"skill": 0.55}) for seed in (0, 1)]
    itself = compared(tmp_path / "itself", runs)
    beside = compared(tmp_path / "beside", frozen((0, 1)))
    assert itself.seeds == (0, 1) and itself.difference < beside.difference


def test_without_a_baseline_beside_it_the_shared_seeds_are_compared(tmp_path):
    assert compared(tmp_path / "out", frozen((0, 1, 2), probe_skill=None) + probe((1,))).seeds == (1,)
