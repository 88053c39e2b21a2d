"""Grids of made-up runs that several tests read, and the figures that a test draws."""

from __future__ import annotations

import pytest

from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from reporting.folders import write_grid


@pytest.fixture(scope="session")
def paper_grid(tmp_path_factory):
    """One backbone of scenario A, three corpora, frozen and LoRA, two seeds, 12 speakers each."""
    runs = [
        ({"corpus": corpus, "method": method, "seed": seed, "split": "paper"}, {"skill": skill, "speakers": 12})
        for corpus in ("emovo", "emozionalmente", "demos")
        for method, skill in (("frozen", 0.0), ("lora", 0.3))
        for seed in range(2)
    ]
    return Evidence(collect(write_grid(tmp_path_factory.mktemp("paper") / "out", runs)))


@pytest.fixture
def figures(monkeypatch):
    """The matplotlib figures that are saved during a test."""
    from matplotlib.figure import Figure

    saved: list[Figure] = []
    savefig = Figure.savefig

    def record(self, *arguments, **options):
        saved.append(self)
        return savefig(self, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", record)
    return saved
