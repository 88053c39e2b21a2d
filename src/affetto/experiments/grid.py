"""A grid file and the runs that it means.

    name: paper
    axes:                        # every combination is a run; one value may stand alone
      backbone: [wav2vec2-base, wavlm-base-plus]
      corpus: [emovo, demos]     # names, given a place by --corpus or `corpora`; a+b trains on both
      method: [frozen, lora]
      seed: [0, 1, 2]
      split: paper
      recipe: paper
      lora.alpha: [1, 8]         # any setting of `affetto settings`; where it has no effect it is left out
    exclude:                     # runs that match all of an entry are left out
      - {backbone: wavlm-base-plus, lora.alpha: 8}
    overrides:                   # settings for the runs that match `when`
      - {when: {backbone: wavlm-base-plus}, set: {training.batch_size: 8}}
    variants:                    # beside each run that matches `when` (left out: each run) one with these settings
      - {name: doubled, when: {method: adapter}, set: {adapter.placement: peft_ser}}
    record_states: true          # metrics.json says how large each hidden state is
    allow_duplicates: true       # copies of one recording are left out of the test part, instead of an error
    resources: {cpus: 2, gpus: 0.5}   # of a run, for --engine ray; an override may say `resources` too
    corpora: {emovo: /data/EMOVO}

Expansion needs neither corpora nor weights.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from affetto.errors import UserError, unknown
from affetto.experiments import resources
from affetto.experiments.resources import Resources
from affetto.models.catalogue import check_backbone
from affetto.models.heads.registry import HEADS
from affetto.models.methods.registry import METHODS
from affetto.splits.protocols import parse_protocol
from affetto.training.identity import own_fields
from affetto.training.sections import Settings
from affetto.training.spec import (
    DEFAULT_RECIPE,
    LARGEST_SEED,
    CorpusSpec,
    RunSpec,
    acting,
    setting_names,
    settings,
)  # fmt: skip

PARTS = (
    "name",
    "axes",
    "exclude",
    "overrides",
    "variants",
    "record_states",
    "allow_duplicates",
    "resources",
    "corpora",
)
NEEDED = ("backbone", "corpus", "method")
AXES: dict[str, Any] = {
    "backbone": None, "corpus": None, "method": None, "seed": 0, "split": None, "split_seed": 0,
    "recipe": DEFAULT_RECIPE, "random_weights": False, "weights_seed": 0,
}  # fmt: skip
"""Axes beside the settings, with what holds where a grid does not name them."""
SEEDS = ("seed", "split_seed", "weights_seed")


@dataclass(frozen=True)
class PlannedRun:
    """One run of a grid. `values` has every axis of AXES and the settings that the grid names."""

    values: Mapping[str, Any]
    settings: Settings
    stand_in: str | None = None
    """The small key that stands in for the backbone, in a miniature."""
    variant: str | None = None
    """The name of the variant that it is of another run."""
    record_states: bool = False
    allow_duplicates: bool = False
    resources: Resources = field(default_factory=Resources)

    def __getitem__(self, axis: str) -> Any:
        return self.values[axis]

    @property
    def identity(self) -> str:
        """SHA-256 over what the run will compute, as far as that is known before corpora and weights are there."""
        fixed = {axis: self[axis] for axis in AXES if axis != "recipe"}
        content: dict[str, Any] = {"settings": own_fields(self.settings, self["method"]), **fixed}
        content |= {"stand_in": self.stand_in} if self.stand_in else {}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def cut(self) -> tuple[Any, ...]:
        """What decides, beside corpus and backbone, whether two runs can share stored states."""
        model, first = self.settings.model, self.settings.training.first_block
        shared = (
            self.settings.audio.seconds, self.settings.store.precision, self.settings.compute.precision,
            model.layer_norm_swap,
        )  # fmt: skip
        method = METHODS.find(self["method"])
        if method.changes_blocks and first == 0:
            return ("front end" if method.trains_embedding else "input of the first block", *shared)
        return (model.pooling, model.layer, model.state_norm, not HEADS.find(model.head).takes_frames, first, *shared)

    @property
    def shares(self) -> tuple[Any, ...]:
        """Runs for which this is the same find each other's stored states."""
        return (self["corpus"], self["backbone"], self["weights_seed"], *self.cut)

    @property
    def name(self) -> str:
        """What the run's folder is called: its axes for people, and the start of its identity."""
        parts = [self["corpus"], Path(str(self["backbone"])).name, self["method"], self["recipe"], f"s{self['seed']}"]
        parts += [self.variant] if self.variant else []
        return "_".join(re.sub(r"[^\w.+-]+", "-", str(part)) for part in (*parts, self.identity[:8]))

    def told(self) -> dict[str, Any]:
        """For JSON: the axes, the settings that the grid names, and the folder's name."""
        named = {axis: value for axis, value in self.values.items() if axis in AXES}
        chosen = {axis: value for axis, value in self.values.items() if axis not in AXES}
        told = {**named, "settings": chosen, "stand_in": self.stand_in, "run": self.name}
        return told | ({"variant": self.variant} if self.variant else {})

    def spec(self, corpora: Mapping[str, str], *, final: bool = False) -> RunSpec:
        """The run to be done, on corpora that lie at these paths. Raises UserError for a corpus without a place."""
        names = self["corpus"].split("+")
        for name in names:
            if name not in corpora:
                raise UserError(f"corpus {name!r} has no place: give --corpus {name}=PATH, or `corpora:` in the grid")
        return RunSpec(
            corpora=tuple(CorpusSpec(name=name, path=corpora[name]) for name in names), settings=self.settings,
            final=final, record_states=self.record_states,
            allow_duplicates=self.allow_duplicates,
            **({axis: self[axis] for axis in AXES if axis != "corpus"} | self._stood_in()),
        )  # fmt: skip

    def _stood_in(self) -> dict[str, str]:
        return {"backbone": self.stand_in} if self.stand_in else {}


@dataclass(frozen=True)
class Grid:
    """What a grid file says, expanded; the order is that of the axes in AXES, so that stored states are shared."""

    name: str
    runs: tuple[PlannedRun, ...]
    corpora: Mapping[str, str] = field(default_factory=dict)

    def only(self, wanted: Mapping[str, Sequence[str]]) -> Grid:
        """The runs whose axes have one of the values given, as text. Raises UserError for what no run has."""
        runs = self.runs
        for axis, values in wanted.items():
            known = {text(run.values[axis]) for run in self.runs if axis in run.values}
            if all(axis not in run.values for run in self.runs):
                raise unknown("axis of this grid", axis, sorted({name for run in self.runs for name in run.values}))
            for value in values:
                if value not in known:
                    raise unknown(f"{axis} in this grid", value, sorted(known))
            runs = tuple(run for run in runs if axis in run.values and text(run.values[axis]) in values)
        if not runs:
            raise UserError("no run of the grid matches all of --only; leave one of them out")
        return Grid(self.name, runs, self.corpora)


def read(file: Path) -> Grid:
    """The grid of a YAML file. Raises UserError, naming file and entry, for what makes no grid."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as problem:
        raise UserError(f"{file}: the grid cannot be read ({problem.strerror}); check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise UserError(f"{file}: no YAML ({str(problem).splitlines()[0]}); mend it there") from None
    if not isinstance(content, dict) or not isinstance(content.get("axes"), dict):
        raise UserError(f"{file}: a grid is a mapping with `axes:`; see grids/paper.yaml for one")
    for part in content:
        if part not in PARTS:
            raise unknown(f"part of {file}", str(part), PARTS)
    corpora = content.get("corpora") or {}
    if not isinstance(corpora, dict):
        raise UserError(f"{file}: `corpora` is a mapping of names to folders")
    runs = _expand(file, content)
    return Grid(str(content.get("name") or file.stem), runs, {str(k): str(v) for k, v in corpora.items()})


def text(value: Any) -> str:
    """A value as one writes it on a command line: words as they are, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _expand(file: Path, content: Mapping[str, Any]) -> tuple[PlannedRun, ...]:
    axes = {axis: _values(file, axis, given) for axis, given in content["axes"].items()}
    for axis in NEEDED:
        if axis not in axes:
            raise UserError(f"{file}: no axis {axis!r}; a grid has at least {', '.join(NEEDED)}")
    order = [*(axis for axis in ("corpus", "backbone", "method") if axis in axes)]
    order += [axis for axis in axes if axis not in order]
    for part in ("exclude", "overrides", "variants"):
        if not isinstance(content.get(part) or [], list):
            raise UserError(f"{file}: `{part}` is a list of entries, each begun with a dash, not {content[part]!r}")
    excluded = [_condition(file, "exclude", entry, axes) for entry in content.get("exclude") or []]
    overrides = [_override(file, entry, axes) for entry in content.get("overrides") or []]
    variants = [_variant(file, entry, axes) for entry in content.get("variants") or []]
    needs = resources.check(file, content["resources"]) if "resources" in content else {}
    switches = {name: content.get(name, False) for name in ("record_states", "allow_duplicates")}
    for name, value in switches.items():
        if not isinstance(value, bool):
            raise UserError(f"{file}: {name} is {value!r}; it is true or false")
    runs: list[PlannedRun] = []
    seen: dict[str, PlannedRun] = {}
    active: set[str] = set()
    hits = [0] * (len(excluded) + len(overrides) + len(variants))
    for combination in itertools.product(*(axes[axis] for axis in order)):
        point = dict(zip(order, combination, strict=True))
        out = [n for n, condition in enumerate(excluded) if _matches(point, condition)]
        for n in out:
            hits[n] += 1
        if out:
            continue
        common: dict[str, Any] = {**switches, "resources": Resources(**needs)}
        for n, (condition, chosen, changed) in enumerate(overrides, start=len(excluded)):
            if _matches(point, condition):
                hits[n] += 1
                point |= chosen
                common["resources"] = replace(common["resources"], **changed)
        here = [replace(_planned(file, point), **common)]
        for n, (name, condition, chosen) in enumerate(variants, start=len(excluded) + len(overrides)):
            if _matches(point, condition):
                hits[n] += 1
                here.append(replace(_planned(file, point | chosen), **common, variant=name))
        active |= {axis for run in here for axis in run.values}
        for run in here:
            twin = seen.setdefault(run.identity, run)
            if twin is run:
                runs.append(run)
            elif (twin.values, twin.variant) != (run.values, run.variant):  # else only an axis without effect differs
                raise UserError(
                    f"{file}: two runs would be the same, {_told(twin)} and {_told(run)}: "
                    "leave one out under `exclude`, or restrict a variant by `when`"
                )
    entries = [entry for part in ("exclude", "overrides", "variants") for entry in content.get(part) or []]
    for n, entry in enumerate(entries):
        if not hits[n]:
            raise UserError(f"{file}: {json.dumps(entry)} matches no run; mend it or take it out")
    if not runs:
        raise UserError(f"{file}: an empty grid: all combinations are excluded")
    for name in (*axes, *(name for _, chosen, _ in overrides for name in chosen)):
        if name not in active and name not in AXES:
            raise UserError(f"{file}: setting {name} has no effect on any run of the grid; take it out")
    return tuple(runs)


def _planned(file: Path, point: dict[str, Any]) -> PlannedRun:
    values = {axis: point.get(axis, default) for axis, default in AXES.items()}
    chosen = {axis: text(value) for axis, value in point.items() if axis not in AXES}
    try:
        check_backbone(values["backbone"], random_weights=values["random_weights"])
        chosen = acting(values["recipe"], chosen, method=values["method"])
        resolved = settings(values["recipe"], chosen, method=values["method"])
    except UserError as problem:
        raise UserError(f"{file}: {problem}") from None
    return PlannedRun(values | {axis: point[axis] for axis in chosen}, resolved)


def _values(file: Path, axis: str, given: Any) -> list[Any]:
    if axis not in AXES and axis not in setting_names():
        raise unknown(f"axis in {file}", str(axis), [*AXES, *setting_names()])
    values = list(given) if isinstance(given, list) else [given]
    if not values:
        raise UserError(f"{file}: axis {axis!r} has no values; give it one, or take it out")
    twice = {text(value) for value in values if [text(v) for v in values].count(text(value)) > 1}
    if twice:
        raise UserError(f"{file}: axis {axis!r} has {sorted(twice)[0]} twice")
    for value in values:
        _check(file, axis, value)
    return values


def _check(file: Path, axis: str, value: Any) -> None:
    try:
        if axis == "method":
            METHODS.find(str(value))
        if axis == "split" and value is not None:
            parse_protocol(str(value))
    except UserError as problem:
        raise UserError(f"{file}: {problem}") from None
    if axis in ("backbone", "corpus", "recipe") and not (isinstance(value, str) and value):
        raise UserError(f"{file}: axis {axis!r} has {value!r}; its values are names")
    if axis in SEEDS and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SEED):
        raise UserError(f"{file}: axis {axis!r} has {value!r}; its values are whole numbers from 0 to {LARGEST_SEED}")
    if axis == "random_weights" and not isinstance(value, bool):
        raise UserError(f"{file}: axis {axis!r} has {value!r}; its values are true and false")


def _condition(file: Path, part: str, entry: Any, axes: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    if not isinstance(entry, dict) or not entry:
        raise UserError(f"{file}: an entry of `{part}` is a mapping of axes to values, not {entry!r}")
    condition = {}
    for axis, wanted in entry.items():
        if axis not in axes:
            raise unknown(f"axis under `{part}` in {file}", str(axis), axes)
        condition[axis] = wanted if isinstance(wanted, list) else [wanted]
        for value in condition[axis]:
            if value not in axes[axis]:
                raise unknown(f"{axis} under `{part}` in {file}", text(value), map(text, axes[axis]))
    return condition


def _override(
    file: Path, entry: Any, axes: Mapping[str, list[Any]]
) -> tuple[dict[str, list[Any]], dict[str, Any], dict[str, float]]:
    fits = isinstance(entry, dict) and {"when"} < set(entry) <= {"when", "set", "resources"}
    if not fits or not isinstance(entry.get("set", {}), dict):
        raise UserError(
            f"{file}: an entry of `overrides` is {{when: {{…}}, set: {{…}}}}, perhaps with `resources`, not {entry!r}"
        )
    needs = resources.check(file, entry["resources"]) if "resources" in entry else {}
    condition = _condition(file, "overrides", entry["when"], axes)
    return condition, _settings(file, "overrides", entry.get("set", {})), needs


def _variant(file: Path, entry: Any, axes: Mapping[str, list[Any]]) -> tuple[str, dict[str, list[Any]], dict[str, Any]]:
    fits = isinstance(entry, dict) and {"name", "set"} <= set(entry) <= {"name", "when", "set"}
    if not fits or not isinstance(entry["set"], dict) or not entry["set"]:
        raise UserError(
            f"{file}: an entry of `variants` is {{name: …, set: {{…}}}}, perhaps with `when: {{…}}`, not {entry!r}"
        )
    condition = _condition(file, "variants", entry["when"], axes) if "when" in entry else {}
    return str(entry["name"]), condition, _settings(file, "variants", entry["set"])


def _settings(file: Path, part: str, chosen: dict[str, Any]) -> dict[str, Any]:
    for name in chosen:
        if name not in setting_names():
            raise unknown(f"setting under `{part}` in {file}", str(name), setting_names())
    return chosen


def _matches(point: Mapping[str, Any], condition: Mapping[str, Iterable[Any]]) -> bool:
    return all(point[axis] in wanted for axis, wanted in condition.items())


def _told(run: PlannedRun) -> str:
    told = [f"{axis} {text(v)}" for axis, v in run.values.items() if AXES.get(axis, "") != v]
    return f"({', '.join([*told, *([f'variant {run.variant}'] if run.variant else [])])})"
