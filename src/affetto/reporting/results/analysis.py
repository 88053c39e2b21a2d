"""Analysis of results: the predictions and scores of each configuration, computed once for all tables and figures."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from affetto.errors import UserError
from affetto.measures.scores import counted_scores
from affetto.reporting.results.naming import method_rank
from affetto.reporting.results.published import PublishedSystem
from affetto.reporting.results.recordings import Recordings
from affetto.reporting.results.records import SPEAKERS, Configuration, Results, Run
from affetto.reporting.stats import estimation, paired
from affetto.reporting.stats.systems import Predictions, System
from affetto.splits.split import Split

Key = tuple[tuple[str, str], ...]
Settings = tuple[tuple[str, str], ...]


class Evidence:
    """Results of a folder with their statistics. `notes` grows by what turns out to be unusable."""

    def __init__(self, results: Results, recordings: Recordings | None = None) -> None:
        self.results, self.recordings = results, recordings
        self.published: tuple[PublishedSystem, ...] = ()
        """Systems that others published on the corpora of these results."""
        self.notes = list(results.notes)
        self.parts: dict[Hashable, Evidence] = {}
        """Evidence of each part of targets, made when it is asked for."""
        self._systems: dict[Key, System | None] = {}
        self._estimates: dict[tuple[Key, str], estimation.Estimate] = {}

    @cached_property
    def configurations(self) -> tuple[Configuration, ...]:
        """Configurations with a usable result, with their baselines, by corpus, split, backbone and method."""
        return tuple(config for config in self.planned if self.is_usable(config))

    def is_usable(self, config: Configuration) -> bool:
        """True if the configuration has a finished run, and its seeds can be combined."""
        return self.system(config) is not None

    @cached_property
    def planned(self) -> tuple[Configuration, ...]:
        """All `configurations`, and those without a result yet."""
        configs = self.results.configurations
        corpora, backbones, splits = (
            list(dict.fromkeys(getattr(config.axes, axis) for config in configs))
            for axis in ("corpus", "backbone", "split")
        )

        def rank(config: Configuration) -> tuple[Any, ...]:
            axes = config.axes
            return (
                corpora.index(axes.corpus),
                splits.index(axes.split),
                backbones.index(axes.backbone),
                method_rank(axes.method),
            )

        baselines = self._baselines([config for config in configs if self.is_usable(config)])
        return tuple(sorted([*configs, *baselines], key=rank))

    @cached_property
    def trained(self) -> tuple[Configuration, ...]:
        """All `configurations` but the baselines."""
        return tuple(config for config in self.configurations if not config.axes.is_baseline)

    def changed(self, config: Configuration) -> Settings:
        """Changed settings, without those that all runs of its recipe, method, split and auxiliary corpora share."""
        return tuple(setting for setting in config.axes.settings if setting not in self._shared[_kind(config)])

    def ablation_settings(self, config: Configuration) -> Settings:
        """The `changed` settings but for the number of speakers to learn from, which is no part of how models learn."""
        return tuple(setting for setting in self.changed(config) if setting[0] != SPEAKERS)

    @cached_property
    def _shared(self) -> dict[tuple[str, ...], set[tuple[str, str]]]:
        """{kind: settings that all its runs have}: if a grid sets fewer epochs for all, no run of it is changed."""
        shared: dict[tuple[str, ...], set[tuple[str, str]]] = {}
        for config in self.planned:
            settings = set(config.axes.settings)
            shared[_kind(config)] = shared.get(_kind(config), settings) & settings
        return shared

    def system(self, config: Configuration) -> System | None:
        """Predictions by seed; None where no run is finished, or where its seeds cannot be combined."""
        key = configuration_key(config)
        if key not in self._systems:
            self._systems[key] = self._make_system(config)
        return self._systems[key]

    def estimate(self, config: Configuration, measure: str = "macro_f1") -> estimation.Estimate:
        """Score over seeds with its interval over speakers. The configuration must have a system."""
        key = (configuration_key(config), measure)
        if key not in self._estimates:
            system = self.system(config)
            assert system is not None
            self._estimates[key] = estimation.estimate([system], measure)
        return self._estimates[key]

    def can_be_tested(self, config: Configuration) -> bool:
        """True if the configuration's corpus has enough speakers for an interval over speakers."""
        system = self.system(config)
        return system is not None and paired.can_be_tested(system)

    def compare(self, pairs: Sequence[tuple[Configuration, Configuration]]) -> paired.Comparison:
        """Compare the first of each pair, on one corpus each, with the second; raises as `paired.compare`."""
        systems = [
            (self.system(self._of_more_seeds(first, second)), self.system(self._of_more_seeds(second, first)))
            for first, second in pairs
        ]
        return paired.compare([(first, second) for first, second in systems if first and second])

    def _of_more_seeds(self, config: Configuration, rival: Configuration) -> Configuration:
        """The configuration; of a baseline that was run with fewer seeds than its rival, what was tested beside that.

        A baseline in which nothing is drawn is often run with a single seed, and the rival's other seeds would be lost.
        """
        if not config.axes.is_baseline or rival.axes.is_baseline:
            return config
        beside = self.baseline(rival)
        if beside is None or len(_seeds(beside) & _seeds(rival)) <= len(_seeds(config) & _seeds(rival)):
            return config
        return beside

    def pool(self, config: Configuration) -> Hashable:
        """Facts of a corpus that two configurations must share to be compared: labels, and edition of the clips."""
        return config.pool

    def spread(self, config: Configuration, measure: str = "macro_f1") -> estimation.Spread:
        """Mean and deviation over seeds. The configuration must have a system."""
        return estimation.over_seeds(self.by_seed(config, measure))

    def by_seed(self, config: Configuration, measure: str = "macro_f1") -> dict[int, float]:
        """{seed: score}. The configuration must have a system."""
        system = self.system(config)
        assert system is not None
        return estimation.score_by_seed(system, measure)

    def pooled(self, config: Configuration) -> dict[str, Any]:
        """Scores of the predictions of all seeds together, so that each clip counts once a seed."""
        system = self.system(config)
        assert system is not None
        matrices = system.by_speaker(system.seeds).sum(axis=1)
        return counted_scores(np.asarray(matrices, dtype=np.int64), system.speakers, system.labels)

    def baseline(self, config: Configuration) -> Configuration | None:
        """Baseline that was tested beside it, on its clips, labels and settings; else one of equal conditions."""
        if config.axes.is_baseline:
            return config
        beside = Configuration(tuple(run.baseline for run in config.done if run.baseline))
        if beside.runs and self.is_usable(beside):
            return beside
        conditions = _conditions(config)
        candidates = (rival for rival in self.configurations if rival.axes.is_baseline)
        return next((rival for rival in candidates if _conditions(rival) == conditions), None)

    def _baselines(self, usable: Sequence[Configuration]) -> list[Configuration]:
        """One baseline from beside a method, for each corpus, split and backbone without a run of the baseline."""
        present = {_conditions(config) for config in usable if config.axes.is_baseline}
        baselines = []
        # Beside an unchanged recipe where there is one: a setting may have changed the baseline too.
        for config in sorted(usable, key=lambda config: len(config.axes.settings)):
            beside = tuple(run.baseline for run in config.done if run.baseline)
            if beside and _conditions(config) not in present:
                baseline = Configuration(beside)
                if self.is_usable(baseline):
                    present.add(_conditions(config))
                    baselines.append(baseline)
        return baselines

    def _predictions(self, run: Run) -> Predictions:
        """Predictions of a finished run, with genders from its split where they have none."""
        assert run.predictions is not None
        split = self.results.splits.get(run.metrics["split_checksum"] if run.metrics else "")
        if split is None or any(run.predictions.genders):
            return run.predictions
        genders = _genders(split)
        return replace(run.predictions, genders=tuple(genders.get(speaker) for speaker in run.predictions.speakers))

    def _make_system(self, config: Configuration) -> System | None:
        runs = {run.axes.seed: self._predictions(run) for run in config.done}
        try:
            return System(config.axes.method, config.axes.corpus, runs) if runs else None
        except UserError as problem:
            self.notes.append(str(problem))
            return None


def _seeds(config: Configuration) -> set[int]:
    """Seeds of the finished runs."""
    return {run.axes.seed for run in config.done}


def _kind(config: Configuration) -> tuple[str, ...]:
    axes = config.axes
    return axes.recipe, axes.method, axes.target, config.split or "", axes.auxiliary


def configuration_key(config: Configuration) -> Key:
    """Files of the predictions. Axes are no key: baselines beside several methods have equal ones."""
    return tuple((str(run.path), run.predictions_file) for run in config.runs)


def _genders(split: Split) -> dict[str, str]:
    """{speaker: gender} as far as the audit settles it: in parts of a single gender that name all their speakers."""
    genders: dict[str, str] = {}
    for fold in split.audit["folds"]:
        for part in fold["parts"].values():
            single = [gender for gender, share in part["genders"].items() if share == 1 and gender != "unknown"]
            if single and len(part["names"]) == part["speakers"]:
                genders |= dict.fromkeys(part["names"], single[0])
    return genders


def _conditions(config: Configuration) -> tuple[Any, ...]:
    """Facts that a method and its baseline have in common."""
    axes = config.axes
    places = (axes.corpus, config.split, axes.split_seed, axes.target, axes.auxiliary, axes.baseline_settings)
    return (*places, axes.backbone, axes.random_weights, axes.weights_seed)
