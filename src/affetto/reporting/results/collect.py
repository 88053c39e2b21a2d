"""A folder of results as typed records: what was run, where each run stands, what it found.

A folder may be a grid's (`grid.json` and `runs/NAME`), one run's, or any folder that holds such folders, mixed or
half done. Nothing is guessed: what a folder does not say is None, a run that is planned and not there is listed as
missing, and a file that cannot be read is named and left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from affetto.errors import UserError
from affetto.experiments.grid import AXES, text
from affetto.experiments.states import BEGUN, BROKEN, DONE, ERROR, FAILED, PLAN, RUNS, GridFolder
from affetto.models.methods.registry import METHODS
from affetto.reporting.results.checks import checked, completed
from affetto.reporting.results.editions import with_editions
from affetto.reporting.results.records import Axes, Evaluation, Results, Run, key_of
from affetto.splits.split import Split
from affetto.training.effects import belongs
from affetto.training.runs import FOLDS, METRICS, SPEC, RunFolder
from affetto.training.spec import RunSpec, Settings, acting, settings

DEPTH = 4
"""How far below the folder runs are looked for."""
NEEDED = (
    "test", "corpus", "synthetic", "method", "seed", "split", "split_checksum", "identity", "precision",
    "backbone_parameters",
)  # fmt: skip
SCORED = ("n", "labels", "confusion", "per_class", "per_speaker", "chance", "interval")
"""Parts of a set of scores; the measures themselves can be computed."""


def collect(path: str | Path) -> Results:
    """Read what a folder holds. Raises UserError for a folder that is not there, holds no run, or none that is done."""
    path = Path(path)
    if not path.is_dir():
        raise UserError(f"no folder {path}: give the --out of an `affetto train` or `affetto grid run`")
    runs: list[Run] = []
    evaluations: list[Evaluation] = []
    notes: list[str] = []
    names: list[str] = []
    for folder, kind in _found(path):
        if kind == PLAN:
            name, of_grid = _grid(folder, notes)
            names.append(name)
            runs += of_grid
        elif kind == SPEC:
            run = _loose(folder, notes)
            runs += [run] if run else []
        else:
            evaluations += _evaluation(folder, notes)
    if not runs and not evaluations:
        told = f" ({notes[0]})" if notes else ""
        raise UserError(f"{path} holds no run{told}: give the --out of an `affetto train` or `affetto grid run`")
    read = [_checked(run, notes) for run in with_editions(_told_apart(_resolved(runs)))]
    kept = _once(read, notes)
    if not any(run.done for run in kept) and not evaluations:
        raise UserError(_none_done(path, kept))
    name = names[0] if len(names) == 1 else path.resolve().name
    splits = _splits(kept, notes)
    return Results(path, name, tuple(kept), tuple(evaluations), tuple(notes), splits)


def _found(path: Path, depth: int = DEPTH) -> Iterator[tuple[Path, str]]:
    """The folders of grids, runs and evaluations, each by the file that tells it; nothing below one is looked at."""
    for kind in (PLAN, SPEC, METRICS):
        if (path / kind).is_file():
            yield path, kind
            if kind == METRICS:
                return
            break
    else:
        if (path / ERROR).is_file():
            yield path, SPEC
            return
        for child in _children(path) if depth else ():
            yield from _found(child, depth - 1)
        return
    # What `affetto evaluate` put inside a run's folder.
    inside = (path / RUNS, *_children(path / RUNS)) if kind == PLAN else (path,)
    for folder in inside:
        for child in _children(folder):
            if not (child / SPEC).is_file() and child.name != FOLDS:
                yield from ((found, one) for found, one in _found(child, 1) if one == METRICS)


def _children(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return sorted(Path(e.path) for e in entries if e.is_dir(follow_symlinks=False) and e.name[0] != ".")
    except OSError:
        return []


def _grid(folder: Path, notes: list[str]) -> tuple[str, list[Run]]:
    """The grid's name and its runs, in the plan's order."""
    grid = GridFolder(folder)
    try:
        plan = grid.plan()
        assert plan is not None
        entries = [(entry, str(entry["run"]), _planned(entry)) for entry in plan["runs"]]
    except UserError as problem:
        notes.append(str(problem))
        return folder.name, []
    except (KeyError, TypeError):
        notes.append(f"{folder / PLAN}: not the plan of a grid; its runs are left out")
        return folder.name, []
    runs = []
    for entry, name, axes in entries:
        state, error = grid.state(name)
        run = Run(grid.run(name).path, name, state, error, axes, entry.get("stand_in"), variant=entry.get("variant"))
        runs.append(_as_done(_filled(run, notes)))
    known = {name for _, name, _ in entries}
    for stranger in _children(folder / RUNS):
        if stranger.name not in known and (stranger / SPEC).is_file():
            notes.append(f"{stranger}: not in the grid's plan; left out")
    return str(plan.get("name", folder.name)), runs


def _planned(entry: Mapping[str, Any]) -> Axes:
    named = {axis: entry.get(axis, default) for axis, default in AXES.items()}
    overrides = {name: text(value) for name, value in (entry.get("settings") or {}).items()}
    overrides = acting(named["recipe"], overrides, method=named["method"])  # older plans name others, too
    differing = _differences(settings(named["recipe"], overrides, method=named["method"]), named)
    return _axes(named, differing)


def _loose(folder: Path, notes: list[str]) -> Run | None:
    """A run in a folder of its own, outside any grid."""
    files = RunFolder(folder)
    try:
        content, failure = files.read(SPEC), files.read(ERROR)
    except UserError as problem:
        notes.append(str(problem))
        return None
    if content is None:
        return None  # a failure that left nothing but its error, of a run nobody knows
    try:
        spec = RunSpec.model_validate(content["spec"])
        named = {axis: getattr(spec, axis) for axis in AXES if axis != "corpus"}
        named["corpus"] = "+".join(corpus.name or Path(corpus.path).name for corpus in spec.corpora)
        axes = _axes(named, _differences(spec.settings, named))
    except (KeyError, TypeError, ValueError, UserError):
        notes.append(f"{folder / SPEC}: no spec that this version knows; the run is left out")
        return None
    try:
        done = files.read(METRICS) is not None
        state, error = (DONE, "") if done else (BEGUN, "")
    except UserError as problem:
        state, error = BROKEN, str(problem)
    if state == BEGUN and failure is not None:
        state, error = FAILED, str(failure.get("error", "no reason given"))
    return _filled(Run(folder, folder.name, state, error, axes), notes)


def _filled(run: Run, notes: list[str]) -> Run:
    """The run with what its files say; a broken file is named, and the run counts as broken."""
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
        return _broken(run, str(problem), notes)
    lacks = [name for name in NEEDED if name not in (metrics or {})]
    lacks += [f"test.{name}" for name in SCORED if metrics and name not in (metrics.get("test") or {})]
    if lacks or metrics is None:
        return _broken(run, f"{run.path / METRICS}: broken (it lacks {lacks[0]}); remove it and run again", notes)
    return replace(run, spec=spec.get("spec"), metrics=metrics)


def _checked(run: Run, notes: list[str]) -> Run:
    """The run with its predictions and its probe's; broken where they are not those that its metrics are of."""
    if not run.done:
        return run
    try:
        run = checked(run)
    except UserError as problem:
        return _broken(run, str(problem), notes)
    probe = run.as_probe()
    if probe is None:
        return run
    try:
        return replace(run, beside=checked(probe))
    except UserError as problem:
        notes.append(f"{problem} (the probe beside it is left out)")
        assert run.metrics is not None
        return replace(run, metrics={name: value for name, value in run.metrics.items() if name != "probe"})


def _as_done(run: Run) -> Run:
    """The run by the settings that it was done under: what a recipe says may have changed since it was planned."""
    if not run.spec or not run.done:
        return run
    named = {axis: getattr(run.axes, axis, None) for axis in AXES}
    differing = _differences(Settings.model_validate(run.spec["settings"]), named)
    return replace(run, axes=replace(run.axes, settings=tuple(sorted(differing.items()))))


def _broken(run: Run, error: str, notes: list[str]) -> Run:
    notes.append(error)
    return replace(run, state=BROKEN, error=error, metrics=None)


def _evaluation(folder: Path, notes: list[str]) -> list[Evaluation]:
    try:
        metrics = RunFolder(folder).read(METRICS)
    except UserError as problem:
        notes.append(str(problem))
        return []
    if not metrics or any(name not in metrics for name in ("test", "trained_on", "corpus")):
        notes.append(f"{folder / METRICS}: neither a run's nor an evaluation's; left out")
        return []
    lacks = next((name for name in SCORED if name not in metrics["test"]), None)
    if lacks:
        notes.append(f"{folder / METRICS}: broken (it lacks test.{lacks}); left out")
        return []
    try:
        metrics = {**metrics, "test": completed(metrics["test"])}
    except (KeyError, TypeError, ValueError):
        notes.append(f"{folder / METRICS}: broken (its test.confusion is no matrix); left out")
        return []
    corpus = metrics.get("crossed") or metrics["corpus"]
    unshared = bool((metrics.get("shared_sentences_left_out") or {}).get("clips"))
    return [Evaluation(folder, metrics["trained_on"], corpus, metrics.get("identity"), metrics, unshared)]


def _axes(named: Mapping[str, Any], differing: dict[str, str]) -> Axes:
    values = {name: named[name] for name in Axes.__dataclass_fields__ if name in named}
    values["split"] = values.get("split") or ""
    values["backbone"] = key_of(named["backbone"]) or named["backbone"]
    return Axes(**values, settings=tuple(sorted(differing.items())))


def _differences(resolved: Settings, named: Mapping[str, Any]) -> dict[str, str]:
    """{setting: value as text} where it is not what the recipe says for the method."""
    usual = settings(named["recipe"], method=named["method"]).model_dump(mode="json")
    chosen = resolved.model_dump(mode="json")
    method = METHODS.find(named["method"])
    return {
        f"{section}.{name}": text(value)
        for section, record in chosen.items()
        if belongs(section, getattr(resolved, section), method)
        for name, value in record.items()
        if value != usual[section][name]
    }


def _resolved(runs: Sequence[Run]) -> list[Run]:
    """Runs whose split was left to the corpus, under the split that it was."""
    known = {run.axes.without("seed"): str(run.metrics["split"]) for run in runs if run.metrics and not run.axes.split}
    return [
        replace(run, axes=replace(run.axes, split=known.get(run.axes.without("seed"), run.axes.split))) for run in runs
    ]


def _told_apart(runs: Sequence[Run]) -> list[Run]:
    """Where two checkpoints of the user's have folders of one name, by as much of the path as tells them apart."""
    own = {run.axes.backbone for run in runs if run.axes.key is None}
    called = {}
    for name in own:
        parts = PurePath(name).parts
        others = [PurePath(other).parts for other in own - {name}]
        length = next(
            (n for n in range(1, len(parts) + 1) if not any(parts[-n:] == other[-n:] for other in others)), len(parts)
        )
        called[name] = "/".join(parts[-length:]) if length > 1 else ""
    return [replace(run, axes=replace(run.axes, called=called.get(run.axes.backbone, ""))) for run in runs]


def _once(runs: Sequence[Run], notes: list[str]) -> list[Run]:
    """Each run once: of several with the same axes the first that is done."""
    kept: dict[Axes, Run] = {}
    for run in runs:
        first = kept.setdefault(run.axes, run)
        if first is run:
            continue
        if run.done and not first.done:
            kept[run.axes] = run
        elif run.done:
            assert run.metrics is not None and first.metrics is not None
            same = run.metrics["identity"] == first.metrics["identity"]
            what = "the same run as" if same else "the same axes as"
            more = "" if same else ", but asked for or computed otherwise"
            notes.append(f"{run.path}: {what} {first.path}{more}; left out")
    return list(kept.values())


def _splits(runs: Sequence[Run], notes: list[str]) -> dict[str, Split]:
    found: dict[str, Split] = {}
    for run in runs:
        checksum = run.metrics["split_checksum"] if run.metrics else None
        if checksum is None or checksum in found:
            continue
        try:
            split = run.split()
        except UserError as problem:
            notes.append(str(problem))
            continue
        if split is not None:
            found[checksum] = split
    return found


def _none_done(path: Path, runs: Sequence[Run]) -> str:
    failed = next((run for run in runs if run.state in (FAILED, BROKEN)), None)
    told = f" ({failed.name}: {failed.error})" if failed else ""
    many = f"none of the {len(runs)} runs in {path} is" if len(runs) > 1 else f"the run in {path} is not"
    return f"{many} done{told}; there is nothing to report yet: run again what made the folder"
