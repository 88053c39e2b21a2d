"""A planned run: its axes and settings, before corpora and weights are there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.experiments.readings import Reading
from affetto.experiments.resources import Resources
from affetto.models.heads.registry import HEADS
from affetto.models.methods.registry import METHODS
from affetto.training.identity import own_fields
from affetto.training.sections import Settings
from affetto.training.spec import DEFAULT_RECIPE, CorpusSpec, RunSpec, text

AXES: dict[str, Any] = {
    "backbone": None,
    "corpus": None,
    "method": None,
    "seed": 0,
    "split": None,
    "split_seed": 0,
    "recipe": DEFAULT_RECIPE,
    "random_weights": False,
    "weights_seed": 0,
    "target": None,
    "auxiliary": None,
}
"""Axes beside the settings, with their values for a grid that does not name them."""
LATER_AXES = ("target", "auxiliary")
"""Axes that earlier grids lacked: with their default they change no name of a run."""
SEEDS = ("seed", "split_seed", "weights_seed")
VARIANT, NO_VARIANT = "variant", "none"
"""Selector of `--only` for variants, and its value for a run that is none."""


@dataclass(frozen=True)
class PlannedRun:
    """A run of a grid. `values` holds every axis of AXES, and the settings that the grid names."""

    values: Mapping[str, Any]
    settings: Settings
    stand_in: str | None = None
    """Key of the small backbone that stands in for the backbone in a miniature."""
    variant: str | None = None
    """Name of the variant, if the run is a variant of another."""
    record_states: bool = False
    allow_duplicates: bool = False
    keep_other: bool = False
    reading: Reading = field(default_factory=Reading)
    """Labels and options with which the corpora of the run are read."""
    resources: Resources = field(default_factory=Resources)

    def __getitem__(self, axis: str) -> Any:
        return self.values[axis]

    @property
    def selectors(self) -> Mapping[str, str]:
        """Texts by which `--only` selects runs, {axis: text}; a run that is no variant has the variant `none`."""
        return {axis: text(value) for axis, value in self.values.items()} | {VARIANT: self.variant or NO_VARIANT}

    @property
    def identity(self) -> str:
        """SHA-256 over the run, as far as it is known before corpora and weights are read."""
        absent = [axis for axis in LATER_AXES if self[axis] == AXES[axis]]
        fixed = {axis: self[axis] for axis in AXES if axis != "recipe" and axis not in absent}
        content: dict[str, Any] = {"settings": own_fields(self.settings, self["method"]), **fixed}
        content |= {"stand_in": self.stand_in} if self.stand_in else {}
        content |= {"keep_other": True} if self.keep_other else {}
        content |= self.reading.to_json()
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def cut(self) -> tuple[Any, ...]:
        """Facts on which stored states depend, beside corpus and backbone."""
        model, first = self.settings.model, self.settings.training.first_block
        shared = (
            self.settings.audio.seconds,
            self.settings.store.precision,
            self.settings.compute.precision,
            model.layer_norm_swap,
        )
        method = METHODS.find(self["method"])
        if method.changes_blocks and first == 0:
            return ("front end" if method.trains_embedding else "input of the first block", *shared)
        has_statistics = model.pooling == "layer" and not HEADS.find(model.head).takes_frames
        if has_statistics and not method.changes_blocks:
            return ("statistics", model.layer, model.state_norm, *shared)  # of every state up to that layer
        return (model.pooling, model.layer, model.states, model.state_norm, has_statistics, first, *shared)

    @property
    def shares(self) -> tuple[Any, ...]:
        """Key of the stored states: runs with equal keys share them."""
        return (*self.corpora, self["backbone"], self["weights_seed"], *self.cut)

    @property
    def auxiliary(self) -> tuple[str, ...]:
        """Names of the corpora that join the training."""
        return tuple(self["auxiliary"].split("+")) if self["auxiliary"] else ()

    @property
    def corpora(self) -> tuple[str, ...]:
        """Names of all corpora of the run: the tested ones first."""
        return (*self["corpus"].split("+"), *self.auxiliary)

    @property
    def name(self) -> str:
        """Name of the run's folder: its axes for people, and the start of its identity."""
        parts = [self["corpus"], Path(str(self["backbone"])).name, self["method"], self["recipe"], f"s{self['seed']}"]
        parts += [f"with-{self['auxiliary']}"] if self["auxiliary"] else []
        parts += [self.variant] if self.variant else []
        return "_".join(re.sub(r"[^\w.+-]+", "-", str(part)) for part in (*parts, self.identity[:8]))

    def to_json(self) -> dict[str, Any]:
        """The axes, the settings that the grid names, and the name of the folder."""
        axes = {axis: value for axis, value in self.values.items() if axis in AXES}
        settings = {name: value for name, value in self.values.items() if name not in AXES}
        content = {**axes, "settings": settings, **self.reading.to_json(), "stand_in": self.stand_in, "run": self.name}
        return content | ({"variant": self.variant} if self.variant else {})

    def spec(self, corpora: Mapping[str, str], *, final: bool = False) -> RunSpec:
        """Spec of the run on corpora at these paths, {name: path}. Raises UserError for a corpus without a path."""
        for name in self.corpora:
            if name not in corpora:
                raise UserError(f"corpus {name!r} has no place: give --corpus {name}=PATH, or `corpora:` in the grid")
        axes = {axis: self[axis] for axis in AXES if axis not in ("corpus", "auxiliary")}
        options = self.reading.options
        specs = [
            CorpusSpec(name=name, path=corpora[name], options=dict(options.get(name, {}))) for name in self.corpora
        ]
        count = len(specs) - len(self.auxiliary)
        return RunSpec(
            corpora=tuple(specs[:count]),
            auxiliary=tuple(specs[count:]),
            settings=self.settings,
            final=final,
            record_states=self.record_states,
            allow_duplicates=self.allow_duplicates,
            keep_other=self.keep_other,
            labels=dict(self.reading.labels),
            **(axes | ({"backbone": self.stand_in} if self.stand_in else {})),
        )
