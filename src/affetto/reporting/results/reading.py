"""Folders of runs, grids and evaluations as records; what a broken file lacks becomes a note."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.experiments.planned import AXES
from affetto.experiments.states import BEGUN, BROKEN, DONE, ERROR, FAILED, PLAN, RUNS, GridFolder
from affetto.measures.scores import completed
from affetto.models.methods.registry import METHODS
from affetto.reporting.results.evaluations import Evaluation
from affetto.reporting.results.records import Axes, Run, key_of
from affetto.targets.registry import PLAIN, TARGETS, target_of_run
from affetto.targets.target import Target
from affetto.training.effects import belongs
from affetto.training.runs import METRICS, SPEC, RunFolder
from affetto.training.sections import Settings
from affetto.training.spec import CorpusSpec, RunSpec, acting, settings, stored_settings, text

REQUIRED = (
    "test",
    "corpus",
    "synthetic",
    "method",
    "seed",
    "split",
    "split_checksum",
    "identity",
    "precision",
    "backbone_parameters",
)
"""Keys of a run's metrics."""
SECTION = "target."
"""Beginning of the names of targets' settings."""
REQUIRED_SCORES = ("n", "per_speaker", "interval")
"""Keys of a set of scores; the measures themselves can be computed."""
REQUIRED_OF_CLASSES = ("n", "labels", "confusion", "per_class", "per_speaker", "chance", "interval")
"""Keys of a set of scores of classes."""


def read_grid(folder: Path, notes: list[str]) -> tuple[str, list[Run]]:
    """Read a grid: its name and its runs, in the order of the plan."""
    grid = GridFolder(folder)
    try:
        plan = grid.plan()
        assert plan is not None
        readable = _with_known_methods(plan["runs"], folder, notes)
        entries = [(entry, str(entry["run"]), _planned_axes(entry)) for entry in readable]
    except UserError as problem:
        notes.append(str(problem))
        return folder.name, []
    except (KeyError, TypeError):
        notes.append(f"{folder / PLAN}: not the plan of a grid; its runs are left out")
        return folder.name, []
    runs = []
    for entry, name, axes in entries:
        state, error = grid.state(name)
        run = Run(
            path=grid.run(name).path, name=name, state=state, error=error, axes=axes, stand_in=entry.get("stand_in")
        )
        runs.append(_with_done_settings(_with_files(run, notes)))
    planned = {name for _, name, _ in entries}
    for stranger in subfolders(folder / RUNS):
        if stranger.name not in planned and (stranger / SPEC).is_file():
            notes.append(f"{stranger}: not in the grid's plan; left out")
    return str(plan.get("name", folder.name)), runs


def read_single_run(folder: Path, notes: list[str]) -> Run | None:
    """Read a run outside any grid; None, with a note, for a folder that cannot be read."""
    files = RunFolder(folder)
    try:
        content, failure = files.read(SPEC), files.read(ERROR)
    except UserError as problem:
        notes.append(str(problem))
        return None
    if content is None:
        return None  # the error of a failed run that left no spec, so that its axes are unknown
    try:
        spec = RunSpec.model_validate(content["spec"] | {"settings": stored_settings(content["spec"]["settings"])})
        values = {axis: getattr(spec, axis) for axis in AXES if axis not in ("corpus", "auxiliary")}
        values["corpus"], values["auxiliary"] = _names(spec.corpora), _names(spec.auxiliary)
        axes = _make_axes(values, _changed_settings(spec.settings, values))
    except UserError as problem:
        notes.append(f"{folder / SPEC}: {problem} The run is left out")
        return None
    except (KeyError, TypeError, ValueError):
        notes.append(f"{folder / SPEC}: no spec that this version can read; the run is left out")
        return None
    try:
        is_done = files.read(METRICS) is not None
        state, error = (DONE, "") if is_done else (BEGUN, "")
    except UserError as problem:
        state, error = BROKEN, str(problem)
    if state == BEGUN and failure is not None:
        state, error = FAILED, str(failure.get("error", "no reason given"))
    return _with_files(Run(path=folder, name=folder.name, state=state, error=error, axes=axes), notes)


def _names(corpora: Sequence[CorpusSpec]) -> str:
    return "+".join(corpus.address for corpus in corpora)


def read_evaluation(folder: Path, notes: list[str]) -> list[Evaluation]:
    """Read the test of a model on another corpus: a list of one, or [] with a note for a folder without one."""
    try:
        metrics = RunFolder(folder).read(METRICS)
    except UserError as problem:
        notes.append(str(problem))
        return []
    if not metrics or any(name not in metrics for name in ("test", "trained_on", "corpus")):
        notes.append(f"{folder / METRICS}: neither a run's nor an evaluation's; left out")
        return []
    missing = [f"test.{name}" for name in _required(metrics) if name not in metrics["test"]]
    if missing:
        notes.append(f"{folder / METRICS}: broken (it lacks {missing[0]}); left out")
        return []
    try:
        if target_of_run(metrics).has_classes:
            metrics = {**metrics, "test": completed(metrics["test"])}
    except UserError as problem:
        notes.append(f"{folder / METRICS}: {problem} It is left out")
        return []
    except (KeyError, TypeError, ValueError):
        notes.append(f"{folder / METRICS}: broken (its test.confusion is no matrix); left out")
        return []
    evaluation = Evaluation(
        path=folder,
        trained_on=metrics["trained_on"],
        corpus=metrics.get("crossed") or metrics["corpus"],
        identity=metrics.get("identity"),
        metrics=metrics,
        excludes_shared=bool((metrics.get("shared_sentences_left_out") or {}).get("clips")),
        speeds=tuple(metrics.get("speeds") or ()),
        adapted=bool(metrics.get("adapted")),
    )
    return [evaluation]


def subfolders(path: Path) -> list[Path]:
    """Visible folders in a folder, sorted; [] where it cannot be listed."""
    try:
        with os.scandir(path) as entries:
            return sorted(Path(e.path) for e in entries if e.is_dir(follow_symlinks=False) and e.name[0] != ".")
    except OSError:
        return []


def as_broken(run: Run, error: str, notes: list[str]) -> Run:
    """Mark a run as broken, and note why."""
    notes.append(error)
    return replace(run, state=BROKEN, error=error, metrics=None)


def _with_files(run: Run, notes: list[str]) -> Run:
    """Add the content of a run's files; with a broken file the run is broken."""
    files = RunFolder(run.path)
    if run.state == BROKEN:
        notes.append(run.error)
        return run
    try:
        spec = files.read(SPEC) or {}
        run = replace(run, facts=spec.get("facts") or {})
        if run.state != DONE:
            return run
        metrics = files.read(METRICS)
    except UserError as problem:
        return as_broken(run, str(problem), notes)
    missing = [name for name in REQUIRED if name not in (metrics or {})]
    missing += [f"test.{name}" for name in _required(metrics or {}) if name not in ((metrics or {}).get("test") or {})]
    if missing or metrics is None:
        return as_broken(run, f"{run.path / METRICS}: broken (it lacks {missing[0]}); remove it and run again", notes)
    try:
        target = target_of_run(metrics)
    except UserError as problem:
        return as_broken(run, f"{run.path / METRICS}: {problem}", notes)
    except (KeyError, TypeError, ValueError):
        return as_broken(run, f"{run.path / METRICS}: broken (its target); remove it and run again", notes)
    axes = replace(run.axes, target=target.name, settings=_of_target(run.axes.settings, target))
    return replace(run, axes=axes, spec=spec.get("spec"), metrics=metrics)


def _required(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys that the test scores must have."""
    target = metrics.get("target")
    kind = TARGETS.get(target.get("kind", "") if isinstance(target, Mapping) else PLAIN)
    return REQUIRED_OF_CLASSES if kind is not None and kind.has_classes else REQUIRED_SCORES


def _with_known_methods(
    entries: Sequence[Mapping[str, Any]], folder: Path, notes: list[str]
) -> list[Mapping[str, Any]]:
    """The planned runs whose method is installed; notes name the others."""
    unknown = {entry["method"]: None for entry in entries if entry["method"] not in METHODS}
    for method in unknown:
        notes.append(f"{folder / PLAN}: method {method!r} is not installed here; its runs are left out")
    return [entry for entry in entries if entry["method"] not in unknown]


def _planned_axes(entry: Mapping[str, Any]) -> Axes:
    values = {axis: entry.get(axis, default) for axis, default in AXES.items()}
    overrides = {name: text(value) for name, value in (entry.get("settings") or {}).items()}
    overrides = acting(values["recipe"], overrides, method=values["method"])  # plans of older versions hold more
    resolved = settings(values["recipe"], overrides, method=values["method"])
    return _make_axes(values, _changed_settings(resolved, values))


def _with_done_settings(run: Run) -> Run:
    """Take the settings that a finished run was done with: the recipe may have changed since it was planned."""
    if not run.spec or not run.is_done:
        return run
    values = {axis: getattr(run.axes, axis, None) for axis in AXES}
    changed = _changed_settings(stored_settings(run.spec["settings"]), values)
    settings = _of_target(sorted(changed.items()), run.target)
    return replace(run, axes=replace(run.axes, settings=settings))


def _of_target(changed: Iterable[tuple[str, str]], target: Target) -> tuple[tuple[str, str], ...]:
    """Changed settings without those of other targets: a default of theirs may have changed since."""
    return tuple(pair for pair in changed if not pair[0].startswith(SECTION) or pair[0][len(SECTION) :] in target.uses)


def _make_axes(values: Mapping[str, Any], changed: dict[str, str]) -> Axes:
    fields = {name: values[name] for name in Axes.__dataclass_fields__ if name in values}
    fields["split"] = fields.get("split") or ""
    fields["target"] = fields.get("target") or ""
    fields["auxiliary"] = fields.get("auxiliary") or ""
    fields["backbone"] = key_of(values["backbone"]) or values["backbone"]
    return Axes(**fields, settings=tuple(sorted(changed.items())))


def _changed_settings(resolved: Settings, values: Mapping[str, Any]) -> dict[str, str]:
    """{setting: value as text} where a value differs from the recipe's for the method."""
    usual = settings(values["recipe"], method=values["method"]).model_dump(mode="json")
    actual = resolved.model_dump(mode="json")
    method = METHODS.find(values["method"])
    return {
        f"{section}.{name}": text(value)
        for section, record in actual.items()
        if belongs(section, getattr(resolved, section), method)
        for name, value in record.items()
        if value != usual[section][name]
    }
