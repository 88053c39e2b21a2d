"""Protocols: configurations of the paper's backbones, methods, corpora and labels that may stand in its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from affetto.models.catalogue import BACKBONES
from affetto.reporting.papers.dasaro2024 import numbers
from affetto.reporting.results.analysis import Evidence, Settings
from affetto.reporting.results.naming import changes
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats import estimation

SCENARIOS = tuple(key for key, one in BACKBONES.items() if one.scenario in ("A", "B"))
"""The paper's backbones, scenario A before B, as in its Table III."""
BASELINE = "probe"
PROTOCOL = "paper"


MACHINE = ("compute", "store")
"""Sections of settings of the computing, which change no protocol."""


class Protocol:
    """Configurations that may stand in one of the paper's tables: alike but for backbone, corpus and method."""

    def __init__(self, evidence: Evidence, ones: Sequence[Configuration], settings: Settings = ()) -> None:
        self.evidence, self.ones, self.settings = evidence, ones, settings
        first = ones[0]
        self.recipe, self.split = first.axes.recipe, first.split
        self.is_paper_s = (self.recipe, self.split) == (PROTOCOL, PROTOCOL) and not settings
        self.suffix = "" if self.is_paper_s else f"-{self.recipe}-{self.split}".replace(":", "")
        if first.axes.split_seed:
            self.suffix += f"-split-seed-{first.axes.split_seed}"

    def find(self, key: str, method: str, corpus: str) -> Configuration | None:
        """The cell's configuration, done or planned; the probe's is that beside the others."""
        found = (one for one in self.ones if one.axes.key == key and one.axes.dataset == corpus)
        if method == BASELINE:
            return next((probe for one in found if (probe := self.evidence.baseline(one))), None)
        return next((one for one in found if one.axes.method == method), None)

    @property
    def estimates(self) -> list[estimation.Estimate]:
        """The score of each configuration with a result on its corpus, with its interval."""
        return [self.evidence.estimate(one) for one in self.ones if self.evidence.system(one)]

    def done(self, key: str, method: str) -> list[Configuration]:
        """Those of the three corpora that have a result, in the paper's order."""
        found = (self.find(key, method, corpus) for corpus in numbers.CORPORA)
        return [one for one in found if one is not None and self.evidence.system(one)]

    @property
    def words(self) -> str:
        if self.is_paper_s:
            return "Recipe and split are the project's reading of the paper's. "
        changed = f", {changes(self.settings)}" if self.settings else ""
        return (
            f"Recipe {self.recipe}, split {self.split}{changed}: not the paper's protocol, so the figures do not "
            "compare. "
        )


def protocols(evidence: Evidence) -> list[Protocol]:
    """The groups of the paper's backbones, each method as its grid runs it, the paper's own protocol first.

    Of a corpus only the clips with the paper's labels; of several such editions that with the most clips.
    """
    groups: dict[tuple[Any, ...], list[Configuration]] = {}
    chosen = _paper_corpora(evidence)
    for one in evidence.planned:
        axes = one.axes
        if (
            axes.key in SCENARIOS
            and axes.method in numbers.METHODS
            and axes.corpus in chosen
            and not evidence.changed(one)
        ):
            groups.setdefault((axes.recipe, one.split or PROTOCOL, axes.split_seed), []).append(one)
    made = [
        Protocol(evidence, ones, _settings(ones))
        for ones in groups.values()
        if any(evidence.system(one) for one in ones)
    ]
    return sorted(made, key=lambda each: not each.is_paper_s)


def _paper_corpora(evidence: Evidence) -> set[str]:
    """The paper's corpora: of each the edition with its labels and the most clips; its name while none is done."""
    most: dict[str, tuple[int, str]] = {}
    open_corpora = set()
    for config in evidence.planned:
        name = config.axes.dataset
        if name not in numbers.CORPORA:
            continue
        if not config.done:
            open_corpora.add(config.axes.corpus)
            continue
        run = config.done[0]
        if set(run.labels) == set(numbers.TABLE_II[name]):
            clips = int((run.metrics or {}).get("clips") or 0)
            most[name] = max(most.get(name, (0, "")), (clips, config.axes.corpus))
    read = {config.axes.corpus for config in evidence.planned if config.done}
    return {corpus for _, corpus in most.values()} | (open_corpora - read)


def _settings(ones: Sequence[Configuration]) -> Settings:
    """Settings of all runs of a method that are not of the recipe."""
    named = {pair: None for one in ones for pair in one.axes.settings if pair[0].partition(".")[0] not in MACHINE}
    return tuple(sorted(named))
