"""Expansion of a grid file: every combination of the axes, less the excluded, with overrides and variants.

Corpora and weights are not needed for it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from affetto.backbones.catalogue import check_backbone
from affetto.errors import UserError, unknown
from affetto.experiments import readings, resources
from affetto.experiments.planned import AXES, NO_VARIANT, PlannedRun
from affetto.experiments.resources import Resources
from affetto.models.methods.registry import METHODS
from affetto.splits.protocols import parse_protocol
from affetto.training.spec import LARGEST_SEED, acting, setting_names, settings, text

REQUIRED = ("backbone", "corpus", "method")
"""Axes that every grid has."""
ENTRIES = ("exclude", "overrides", "variants")
"""Parts of a grid file that are lists of entries."""
SWITCHES = ("record_states", "allow_duplicates", "keep_other")
SEEDS = ("seed", "split_seed", "weights_seed")


@dataclass
class Entry:
    """Entry of `exclude`, `overrides` or `variants`: a condition on runs, and what it changes in them."""

    content: Any
    """As it stands in the file, for errors."""
    condition: Mapping[str, list[Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, float] = field(default_factory=dict)
    name: str | None = None
    """Name of a variant."""
    is_used: bool = False
    """True once a run has matched."""

    def matches(self, point: Mapping[str, Any]) -> bool:
        """True if a combination of axes, {axis: value}, meets the condition."""
        matches = all(point[axis] in values for axis, values in self.condition.items())
        self.is_used = self.is_used or matches
        return matches


class Expansion:
    """Runs of the content of a grid file. Raises UserError, which names file and entry, where it is not a grid."""

    def __init__(self, file: Path, content: Mapping[str, Any]) -> None:
        self.file = file
        self.axes = {axis: _axis_values(file, axis, values) for axis, values in _joined(content["axes"]).items()}
        for axis in REQUIRED:
            if axis not in self.axes:
                raise UserError(f"{file}: no axis {axis!r}; a grid has at least {', '.join(REQUIRED)}")
        for part in ENTRIES:
            if not isinstance(content.get(part) or [], list):
                raise UserError(f"{file}: `{part}` is a list of entries, each begun with a dash, not {content[part]!r}")
        self.excluded = [
            Entry(content=entry, condition=_condition(file, "exclude", entry, self.axes))
            for entry in content.get("exclude") or []
        ]
        self.overrides = [_override(file, entry, self.axes) for entry in content.get("overrides") or []]
        self.variants = [_variant(file, entry, self.axes) for entry in content.get("variants") or []]
        self.resources = resources.check(file, content["resources"]) if "resources" in content else {}
        names = {name for corpora in self.axes["corpus"] for name in corpora.split("+")}
        names |= {name for corpora in self.axes.get("auxiliary", ()) if corpora for name in corpora.split("+")}
        self.reading = readings.check(file, content, sorted(names))
        self.switches = {name: content.get(name, False) for name in SWITCHES}
        for name, value in self.switches.items():
            if not isinstance(value, bool):
                raise UserError(f"{file}: {name} is {value!r}; it is true or false")

    def runs(self) -> tuple[PlannedRun, ...]:
        """The runs, each once."""
        runs: dict[str, PlannedRun] = {}
        for run in self._runs():
            twin = runs.setdefault(run.identity, run)
            if (twin.values, twin.variant) != (run.values, run.variant):  # else only an axis without effect differs
                raise UserError(
                    f"{self.file}: two runs would be the same, {_description(twin)} and {_description(run)}: "
                    "leave one out under `exclude`, or restrict a variant by `when`"
                )
        self._check_all_used(runs.values())
        return tuple(runs.values())

    def _runs(self) -> Iterator[PlannedRun]:
        first = [axis for axis in ("corpus", "backbone", "method") if axis in self.axes]
        order = [*first, *(axis for axis in self.axes if axis not in first)]
        for values in itertools.product(*(self.axes[axis] for axis in order)):
            point = dict(zip(order, values, strict=True))
            matches = [entry.matches(point) for entry in self.excluded]  # each, since each counts as used
            if not any(matches):
                yield from self._runs_at(point)

    def _runs_at(self, point: dict[str, Any]) -> Iterator[PlannedRun]:
        """The run of a combination of axes, and its variants."""
        needs = Resources(**self.resources)
        for entry in self.overrides:
            if entry.matches(point):
                point |= entry.settings
                needs = replace(needs, **entry.resources)
        yield self._with_shared(_planned(self.file, point), needs)
        for entry in self.variants:
            if entry.matches(point):
                run = _planned(self.file, point | dict(entry.settings))
                yield replace(self._with_shared(run, needs), variant=entry.name)

    def _with_shared(self, run: PlannedRun, needs: Resources) -> PlannedRun:
        """The run with what the grid says of all runs."""
        return replace(run, **self.switches, reading=self.reading.of(run.corpora), resources=needs)

    def _check_all_used(self, runs: Collection[PlannedRun]) -> None:
        for entry in (*self.excluded, *self.overrides, *self.variants):
            if not entry.is_used:
                raise UserError(f"{self.file}: {json.dumps(entry.content)} matches no run; mend it or take it out")
        if not runs:
            raise UserError(f"{self.file}: an empty grid: all combinations are excluded")
        effective = {axis for run in runs for axis in run.values}
        for name in (*self.axes, *(name for entry in self.overrides for name in entry.settings)):
            if name not in effective and name not in AXES:
                raise UserError(f"{self.file}: setting {name} has no effect on any run of the grid; take it out")


def _planned(file: Path, point: Mapping[str, Any]) -> PlannedRun:
    values = {axis: point.get(axis, default) for axis, default in AXES.items()}
    if own := set(values["corpus"].split("+")) & set((values["auxiliary"] or "").split("+")):
        entry = f"{{corpus: {values['corpus']}, auxiliary: {values['auxiliary']}}}"
        raise UserError(f"{file}: {min(own)} cannot join its own training: leave the run out by `exclude: [{entry}]`")
    overrides = {axis: text(value) for axis, value in point.items() if axis not in AXES}
    try:
        check_backbone(values["backbone"], random_weights=values["random_weights"])
        has_auxiliary = bool(values["auxiliary"])
        overrides = acting(values["recipe"], overrides, method=values["method"], has_auxiliary=has_auxiliary)
        resolved = settings(values["recipe"], overrides, method=values["method"], has_auxiliary=has_auxiliary)
    except UserError as problem:
        raise UserError(f"{file}: {problem}") from None
    return PlannedRun(values | {axis: point[axis] for axis in overrides}, resolved)


def _joined(axes: Mapping[str, Any]) -> dict[str, Any]:
    """The axes of a file, lists of auxiliary corpora as names with `+` between them; an empty list as null."""
    values = axes.get("auxiliary")
    if not isinstance(values, list):
        return dict(axes)
    names = ["+".join(map(str, value)) or None if isinstance(value, list) else value for value in values]
    return {**axes, "auxiliary": names}


def _axis_values(file: Path, axis: str, content: Any) -> list[Any]:
    if axis not in AXES and axis not in setting_names():
        raise unknown(f"axis in {file}", str(axis), [*AXES, *setting_names()])
    values = list(content) if isinstance(content, list) else [content]
    if not values:
        raise UserError(f"{file}: axis {axis!r} has no values; give it one, or take it out")
    twice = {text(value) for value in values if [text(v) for v in values].count(text(value)) > 1}
    if twice:
        raise UserError(f"{file}: axis {axis!r} has {sorted(twice)[0]} twice")
    for value in values:
        _check_value(file, axis, value)
    return values


def _check_value(file: Path, axis: str, value: Any) -> None:
    try:
        if axis == "method":
            METHODS.find(str(value))
        if axis == "split" and value is not None:
            parse_protocol(str(value))
    except UserError as problem:
        raise UserError(f"{file}: {problem}") from None
    if axis in ("backbone", "corpus", "recipe") and not (isinstance(value, str) and value):
        raise UserError(f"{file}: axis {axis!r} has {value!r}; its values are names")
    if axis == "auxiliary" and value is not None and not (isinstance(value, str) and all(value.split("+"))):
        raise UserError(
            f"{file}: axis 'auxiliary' has {value!r}; its values are lists of names, names with + between them, and "
            "null for none"
        )
    if axis in SEEDS and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_SEED):
        raise UserError(f"{file}: axis {axis!r} has {value!r}; its values are whole numbers from 0 to {LARGEST_SEED}")
    if axis == "random_weights" and not isinstance(value, bool):
        raise UserError(f"{file}: axis {axis!r} has {value!r}; its values are true and false")


def _condition(file: Path, part: str, entry: Any, axes: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    if not isinstance(entry, dict) or not entry:
        raise UserError(f"{file}: an entry of `{part}` is a mapping of axes to values, not {entry!r}")
    condition = {}
    for axis, values in entry.items():
        if axis not in axes:
            raise unknown(f"axis under `{part}` in {file}", str(axis), axes)
        condition[axis] = values if isinstance(values, list) else [values]
        for value in condition[axis]:
            if value not in axes[axis]:
                raise unknown(f"{axis} under `{part}` in {file}", text(value), map(text, axes[axis]))
    return condition


def _override(file: Path, entry: Any, axes: Mapping[str, list[Any]]) -> Entry:
    is_entry = isinstance(entry, dict) and {"when"} < set(entry) <= {"when", "set", "resources"}
    if not is_entry or not isinstance(entry.get("set", {}), dict):
        raise UserError(
            f"{file}: an entry of `overrides` is {{when: {{…}}, set: {{…}}}}, perhaps with `resources`, not {entry!r}"
        )
    return Entry(
        content=entry,
        condition=_condition(file, "overrides", entry["when"], axes),
        settings=_settings(file, "overrides", entry.get("set", {})),
        resources=resources.check(file, entry["resources"]) if "resources" in entry else {},
    )


def _variant(file: Path, entry: Any, axes: Mapping[str, list[Any]]) -> Entry:
    is_entry = isinstance(entry, dict) and {"name", "set"} <= set(entry) <= {"name", "when", "set"}
    if not is_entry or not isinstance(entry["set"], dict) or not entry["set"]:
        raise UserError(
            f"{file}: an entry of `variants` is {{name: …, set: {{…}}}}, perhaps with `when: {{…}}`, not {entry!r}"
        )
    if str(entry["name"]) == NO_VARIANT:
        raise UserError(f"{file}: `{NO_VARIANT}` names the runs that are no variant; give {entry!r} another name")
    return Entry(
        content=entry,
        condition=_condition(file, "variants", entry["when"], axes) if "when" in entry else {},
        settings=_settings(file, "variants", entry["set"]),
        name=str(entry["name"]),
    )


def _settings(file: Path, part: str, values: dict[str, Any]) -> dict[str, Any]:
    for name in values:
        if name not in setting_names():
            raise unknown(f"setting under `{part}` in {file}", str(name), setting_names())
    return values


def _description(run: PlannedRun) -> str:
    """The values of a run that are not the defaults, for an error."""
    words = [f"{axis} {text(value)}" for axis, value in run.values.items() if AXES.get(axis, "") != value]
    return f"({', '.join([*words, *([f'variant {run.variant}'] if run.variant else [])])})"
