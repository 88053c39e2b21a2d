"""Protocols: groups of configurations on the paper's backbones, methods, corpora and labels that fill its tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from affetto.backbones.catalogue import BACKBONES
from affetto.reporting.papers.dasaro2024 import numbers
from affetto.reporting.results.analysis import Evidence, Settings
from affetto.reporting.results.naming import changes
from affetto.reporting.results.records import Configuration, baseline_name
from affetto.reporting.stats import estimation

SCENARIOS = tuple(key for key, backbone in BACKBONES.items() if backbone.scenario in ("A", "B"))
"""Keys of the paper's backbones, scenario A before B, as in its Table III."""
PROTOCOL = "paper"
"""Recipe and split of our reading of the paper."""
MACHINE = ("compute", "store")
"""Sections of settings about the machine, which change no protocol."""


class Protocol:
    """Configurations that fill one of the paper's tables: they differ in backbone, corpus and method alone."""

    def __init__(self, evidence: Evidence, configurations: Sequence[Configuration], settings: Settings = ()) -> None:
        self.evidence, self.configurations, self.settings = evidence, configurations, settings
        first = configurations[0]
        self.recipe, self.split = first.axes.recipe, first.split
        self.is_original = (self.recipe, self.split) == (PROTOCOL, PROTOCOL) and not settings
        """True for the recipe and split of our reading of the paper."""
        self.suffix = "" if self.is_original else f"-{self.recipe}-{self.split}".replace(":", "")
        if first.axes.split_seed:
            self.suffix += f"-split-seed-{first.axes.split_seed}"

    def find(self, key: str, method: str, corpus: str) -> Configuration | None:
        """Find the configuration of a cell, finished or planned; that of the baseline stands beside the others."""
        configs = [c for c in self.configurations if c.axes.key == key and c.axes.dataset == corpus]
        if method == baseline_name():
            return next((baseline for config in configs if (baseline := self.evidence.baseline(config))), None)
        return next((config for config in configs if config.axes.method == method), None)

    @property
    def usable(self) -> list[Configuration]:
        """Configurations with a result."""
        return [config for config in self.configurations if self.evidence.system(config)]

    @property
    def estimates(self) -> list[estimation.Estimate]:
        """Score of each configuration with a result, with its interval."""
        return [self.evidence.estimate(config) for config in self.usable]

    def done(self, key: str, method: str) -> list[Configuration]:
        """Configurations with a result on the paper's corpora, in its order."""
        configs = (self.find(key, method, corpus) for corpus in numbers.CORPORA)
        return [config for config in configs if config is not None and self.evidence.system(config)]

    def title(self, title: str) -> str:
        """Title of a table, with recipe and split where they are not the paper's."""
        return title + ("" if self.is_original else f" (recipe {self.recipe}, split {self.split})")

    @property
    def words(self) -> str:
        """Sentence for captions, with a space after it: how recipe and split relate to the paper's."""
        if self.is_original:
            return "Recipe and split are the project's reading of the paper's. "
        settings = f", {changes(self.settings)}" if self.settings else ""
        return (
            f"Recipe {self.recipe}, split {self.split}{settings}: not the paper's protocol, so the figures do not "
            "compare. "
        )


def protocols(evidence: Evidence) -> list[Protocol]:
    """Group the configurations on the paper's backbones, without ablations; the paper's own protocol comes first.

    Only runs of classes that learned from the tested corpora alone count, as the paper's are. Of each corpus only
    clips with the paper's labels count; of several such editions the one with the most clips.
    """
    groups: dict[tuple[Any, ...], list[Configuration]] = {}
    corpora = _paper_corpora(evidence)
    for config in evidence.planned:
        axes = config.axes
        if (
            axes.is_plain
            and not axes.auxiliary
            and axes.key in SCENARIOS
            and axes.method in numbers.METHODS
            and axes.corpus in corpora
            and not evidence.changed(config)
        ):
            groups.setdefault((axes.recipe, config.split or PROTOCOL, axes.split_seed), []).append(config)
    usable = [group for group in groups.values() if any(evidence.system(config) for config in group)]
    return sorted(
        (Protocol(evidence, group, _settings(group)) for group in usable), key=lambda protocol: not protocol.is_original
    )


def _paper_corpora(evidence: Evidence) -> set[str]:
    """The paper's corpora: the edition with its labels and the most clips, or the name while no run is finished."""
    largest: dict[str, tuple[int, str]] = {}
    unfinished = set()
    for config in evidence.planned:
        name = config.axes.dataset
        if name not in numbers.CORPORA:
            continue
        if not config.done:
            unfinished.add(config.axes.corpus)
            continue
        run = config.done[0]
        if set(run.labels) == set(numbers.TABLE_II[name]):
            clips = int((run.metrics or {}).get("clips") or 0)
            largest[name] = max(largest.get(name, (0, "")), (clips, config.axes.corpus))
    finished = {config.axes.corpus for config in evidence.planned if config.done}
    return {corpus for _, corpus in largest.values()} | (unfinished - finished)


def _settings(configurations: Sequence[Configuration]) -> Settings:
    """Settings of the runs that differ from the recipe, without those about the machine."""
    settings = {pair for config in configurations for pair in config.axes.settings}
    return tuple(sorted(pair for pair in settings if pair[0].partition(".")[0] not in MACHINE))
