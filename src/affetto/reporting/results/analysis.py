"""What tables, figures and claims of a report rest on: each configuration's predictions and scores, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from affetto.errors import UserError
from affetto.models.methods.registry import METHODS
from affetto.reporting.results.records import Configuration, Results, Run
from affetto.reporting.stats import estimation
from affetto.reporting.stats.systems import Predictions, System
from affetto.splits.split import Split
from affetto.training.evaluate import counted_scores

Key = tuple[tuple[str, str], ...]
Settings = tuple[tuple[str, str], ...]


class Evidence:
    """The results of a folder with their statistics. `notes` grows by what turns out to be unusable."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self.notes = list(results.notes)
        self._systems: dict[Key, System | None] = {}
        self._estimates: dict[tuple[Key, str], estimation.Estimate] = {}

    @cached_property
    def configurations(self) -> tuple[Configuration, ...]:
        """Those with a result that can be used, the probes beside them among them, by corpus, backbone and method."""
        return tuple(one for one in self.planned if self.system(one))

    @cached_property
    def planned(self) -> tuple[Configuration, ...]:
        """As `configurations`, with those that have no result yet."""
        known = self.results.configurations
        corpora, backbones, splits = (
            list(dict.fromkeys(getattr(one.axes, axis) for one in known)) for axis in ("corpus", "backbone", "split")
        )
        methods = list(METHODS)

        def place(one: Configuration) -> tuple[Any, ...]:
            axes = one.axes
            method = methods.index(axes.method) if axes.method in methods else len(methods)
            return corpora.index(axes.corpus), splits.index(axes.split), backbones.index(axes.backbone), method

        return tuple(sorted([*known, *self._probes([one for one in known if self.system(one)])], key=place))

    @cached_property
    def learned(self) -> tuple[Configuration, ...]:
        """All but the probes."""
        return tuple(one for one in self.configurations if one.axes.method != "probe")

    def changed(self, one: Configuration) -> Settings:
        """The settings in which it differs from the unchanged runs of its kind: all but those that its kind shares."""
        return tuple(each for each in one.axes.settings if each not in self._shared[_kind(one)])

    @cached_property
    def _shared(self) -> dict[tuple[str, ...], set[tuple[str, str]]]:
        """What a grid sets for all runs of a method, such as fewer epochs, is no change of one of them."""
        found: dict[tuple[str, ...], set[tuple[str, str]]] = {}
        for one in self.planned:
            own = set(one.axes.settings)
            found[_kind(one)] = found.get(_kind(one), own) & own
        return found

    def system(self, one: Configuration) -> System | None:
        """Its predictions by seed; None where nothing of it is done, or can be used."""
        key = _key(one)
        if key not in self._systems:
            self._systems[key] = self._system(one)
        return self._systems[key]

    def estimate(self, one: Configuration, measure: str = "macro_f1") -> estimation.Estimate:
        """Its score over seeds with the interval over speakers. Only of a configuration with a system."""
        key = (_key(one), measure)
        if key not in self._estimates:
            system = self.system(one)
            assert system is not None
            self._estimates[key] = estimation.estimate([system], measure)
        return self._estimates[key]

    def spread(self, one: Configuration, measure: str = "macro_f1") -> estimation.Spread:
        """Mean and deviation over its seeds."""
        return estimation.over_seeds(self.by_seed(one, measure))

    def by_seed(self, one: Configuration, measure: str = "macro_f1") -> dict[int, float]:
        """{seed: score}. Only of a configuration with a system."""
        system = self.system(one)
        assert system is not None
        return estimation.score_by_seed(system, measure)

    def pooled(self, one: Configuration) -> dict[str, Any]:
        """The scores of all its seeds' predictions taken together, so that each clip counts once a seed."""
        system = self.system(one)
        assert system is not None
        matrices = system.by_speaker(system.seeds).sum(axis=1)
        return counted_scores(np.asarray(matrices, dtype=np.int64), system.speakers, system.labels)

    def baseline(self, one: Configuration) -> Configuration | None:
        """The probe that was tested beside it, on its clips, labels and settings; else that of its conditions."""
        if one.axes.method == "probe":
            return one
        beside = Configuration(tuple(run.beside for run in one.done if run.beside))
        if beside.runs and self.system(beside):
            return beside
        alike = _conditions(one)
        return next((p for p in self.configurations if p.axes.method == "probe" and _conditions(p) == alike), None)

    def _probes(self, usable: Sequence[Configuration]) -> list[Configuration]:
        """Of each corpus, split and backbone without a run of the probe the one that was tested beside another run."""
        known = {_conditions(one) for one in usable if one.axes.method == "probe"}
        probes = []
        # One of an unchanged recipe where there is one: a setting may have changed the probe too.
        for one in sorted(usable, key=lambda each: len(each.axes.settings)):
            beside = tuple(run.beside for run in one.done if run.beside)
            if beside and _conditions(one) not in known:
                made = Configuration(beside)
                if self.system(made):
                    known.add(_conditions(one))
                    probes.append(made)
        return probes

    def _predictions(self, run: Run) -> Predictions:
        assert run.scored is not None
        split = self.results.splits.get(run.metrics["split_checksum"] if run.metrics else "")
        if split is None or any(run.scored.genders):
            return run.scored
        genders = _genders(split)  # of a run whose predictions do not say
        return replace(run.scored, genders=tuple(genders.get(speaker) for speaker in run.scored.speakers))

    def _system(self, one: Configuration) -> System | None:
        runs = {run.axes.seed: self._predictions(run) for run in one.done}
        try:
            return System(one.axes.method, one.axes.corpus, runs) if runs else None
        except UserError as problem:
            self.notes.append(str(problem))
            return None


def _kind(one: Configuration) -> tuple[str, ...]:
    return one.axes.recipe, one.axes.method, one.split or ""


def _key(one: Configuration) -> Key:
    """Not its axes alone: each run has a probe of its own beside it, and their axes are alike."""
    return tuple((str(run.path), run.tested) for run in one.runs)


def _genders(split: Split) -> dict[str, str]:
    """{speaker: gender} as far as the audit settles it: of parts that are of one gender and name all their speakers."""
    found: dict[str, str] = {}
    for fold in split.audit["folds"]:
        for part in fold["parts"].values():
            sole = [gender for gender, share in part["genders"].items() if share == 1 and gender != "unknown"]
            if sole and len(part["names"]) == part["speakers"]:
                found |= dict.fromkeys(part["names"], sole[0])
    return found


def _conditions(one: Configuration) -> tuple[Any, ...]:
    axes = one.axes
    return (axes.corpus, one.split, axes.split_seed, axes.backbone, axes.random_weights, axes.weights_seed)
