"""Pairs of configurations of two folders, by their axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from affetto.reporting.results.records import EDITION, Configuration, Results, Run

Key = Callable[[Configuration], Hashable]
UNMATCHED = ("seed", "split", "backbone_name")
"""Axes that are matched otherwise: seeds one by one, the split as it was run."""


@dataclass(frozen=True, kw_only=True)
class ConfigurationPair:
    """Finished runs of one configuration in both folders, on the seeds that both have, in the same order."""

    first: Configuration
    second: Configuration

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(run.axes.seed for run in self.first.runs)


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Content of two folders: what both have, and what only one of them has."""

    pairs: tuple[ConfigurationPair, ...]
    only_first: tuple[Run, ...]
    """Finished runs without a finished counterpart in the second folder."""
    only_second: tuple[Run, ...]


def match(first: Results, second: Results) -> Matches:
    """Match the finished runs of two folders.

    Configurations with equal axes belong together; then those with equal axes but for the edition of labels, clips or
    weights; then those that differ in their settings too. An ambiguous match is none. Where each folder has a single
    configuration, the two belong together whatever their axes.
    """
    rest = [
        [Configuration(config.done) for config in side.every_configuration if config.done] for side in (first, second)
    ]
    is_single = all(len(configs) == 1 for configs in rest)
    matched = []
    for key in (*KEYS, *([_nothing] if is_single else [])):
        for config in list(rest[0]):
            partners = [partner for partner in rest[1] if key(partner) == key(config)]
            rivals = Counter(map(key, rest[0]))[key(config)]
            if len(partners) == rivals == 1:
                matched.append((config, partners[0]))
                rest[0].remove(config)
                rest[1].remove(partners[0])
    pairs = [pair for pair in (_on_shared_seeds(*configs) for configs in matched) if pair.first.runs]
    paired = {id(run) for pair in pairs for run in (*pair.first.runs, *pair.second.runs)}
    return Matches(
        pairs=tuple(pairs),
        only_first=tuple(run for run in first.every_done if id(run) not in paired),
        only_second=tuple(run for run in second.every_done if id(run) not in paired),
    )


def _all_axes(config: Configuration) -> Hashable:
    return config.split, config.axes.without(*UNMATCHED)


def _without_editions(config: Configuration) -> Hashable:
    return _names(config), config.split, config.axes.without(*UNMATCHED, "corpus", "backbone")


def _without_settings(config: Configuration) -> Hashable:
    return config.split, config.axes.without(*UNMATCHED, "settings")


def _names_alone(config: Configuration) -> Hashable:
    return _names(config), config.split, config.axes.without(*UNMATCHED, "corpus", "backbone", "settings")


def _names(config: Configuration) -> tuple[str, str]:
    """Corpus and backbone without their editions, which depend on what else a folder holds."""
    return config.axes.dataset, config.axes.backbone.partition(EDITION)[0]


def _nothing(_: Configuration) -> Hashable:
    return ()


KEYS: tuple[Key, ...] = (_all_axes, _without_editions, _without_settings, _names_alone)
"""Functions to what two configurations must share, the strictest first."""


def _on_shared_seeds(first: Configuration, second: Configuration) -> ConfigurationPair:
    seeds: Sequence[set[int]] = [{run.axes.seed for run in config.runs} for config in (first, second)]
    shared = seeds[0] & seeds[1]
    on_shared = [
        Configuration(tuple(run for run in config.runs if run.axes.seed in shared)) for config in (first, second)
    ]
    return ConfigurationPair(first=on_shared[0], second=on_shared[1])
