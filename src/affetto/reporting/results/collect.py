"""Results of a folder as typed records: its runs, the state of each, and their scores.

A folder may be a grid's (`grid.json` and `runs/NAME`), a single run's, or any folder that contains such folders, in any
mixture and half finished. Nothing is guessed: a fact that a folder does not state is None, a planned run without a
folder is listed as missing, and a file that cannot be read is named and left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from affetto.errors import UserError
from affetto.experiments.states import BROKEN, ERROR, FAILED, PLAN, RUNS
from affetto.reporting.results.checks import check_run
from affetto.reporting.results.editions import with_editions
from affetto.reporting.results.evaluations import Evaluation
from affetto.reporting.results.reading import as_broken, read_evaluation, read_grid, read_single_run, subfolders
from affetto.reporting.results.records import Axes, Results, Run
from affetto.splits.split import Split
from affetto.targets.registry import PLAIN
from affetto.training.runs import FOLDS, METRICS, SPEC

DEPTH = 4
"""Number of folder levels in which runs are looked for."""


def collect(path: str | Path) -> Results:
    """Read the results in a folder. Raises UserError for a missing folder, and for one without a finished run."""
    path = Path(path)
    if not path.is_dir():
        raise UserError(f"no folder {path}: give the --out of an `affetto train` or `affetto grid run`")
    runs: list[Run] = []
    evaluations: list[Evaluation] = []
    notes: list[str] = []
    names: list[str] = []
    for folder, kind in _find_folders(path):
        if kind == PLAN:
            name, grid_runs = read_grid(folder, notes)
            names.append(name)
            runs += grid_runs
        elif kind == SPEC:
            run = read_single_run(folder, notes)
            runs += [run] if run else []
        else:
            evaluations += read_evaluation(folder, notes)
    if not runs and not evaluations:
        reason = f" ({notes[0]})" if notes else ""
        raise UserError(f"{path} holds no run{reason}: give the --out of an `affetto train` or `affetto grid run`")
    prepared = _with_backbone_names(_with_splits(_with_targets(runs)))
    # Runs of dimensions have no labels, and those of several labels more: they make no editions of classes.
    kinds = dict.fromkeys("" if run.has_classes else run.axes.target for run in prepared)
    parts = [[run for run in prepared if ("" if run.has_classes else run.axes.target) == kind] for kind in kinds]
    checked = [_check(run, notes) for part in parts for run in with_editions(part)]
    unique = _remove_doubles(checked, notes)
    if not any(run.is_done for run in unique) and not evaluations:
        raise UserError(_none_done_message(path, unique))
    return Results(
        path=path,
        name=names[0] if len(names) == 1 else path.resolve().name,
        runs=tuple(run for run in unique if run.has_classes),
        other_runs=tuple(run for run in unique if not run.has_classes),
        evaluations=tuple(item for item in evaluations if item.target.has_classes),
        other_evaluations=tuple(item for item in evaluations if not item.target.has_classes),
        notes=tuple(notes),
        splits=_load_splits(unique, notes),
    )


def _find_folders(path: Path, depth: int = DEPTH) -> Iterator[tuple[Path, str]]:
    """Find folders of grids, runs and evaluations, each with the file that identifies it; they are not nested."""
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
        for child in subfolders(path) if depth else ():
            yield from _find_folders(child, depth - 1)
        return
    # Evaluations that `affetto evaluate` wrote into a run's folder.
    parents = (path / RUNS, *subfolders(path / RUNS)) if kind == PLAN else (path,)
    for parent in parents:
        for child in subfolders(parent):
            if not (child / SPEC).is_file() and child.name != FOLDS:
                yield from ((folder, kind) for folder, kind in _find_folders(child, 1) if kind == METRICS)


def _check(run: Run, notes: list[str]) -> Run:
    """Add the predictions of a run and of its baseline; the run is broken where they contradict its metrics."""
    if not run.is_done:
        return run
    try:
        run = check_run(run)
    except UserError as problem:
        return as_broken(run, str(problem), notes)
    baseline = run.make_baseline()
    if baseline is None:
        return run
    try:
        return replace(run, baseline=check_run(baseline))
    except UserError as problem:
        notes.append(f"{problem} (the probe beside it is left out)")
        assert run.metrics is not None
        return replace(run, metrics={name: value for name, value in run.metrics.items() if name != "probe"})


def _with_targets(runs: Sequence[Run]) -> list[Run]:
    """Name the target of unfinished runs that left it to the corpus: that of finished runs like them, else classes."""
    targets = {run.axes.without("seed", "target"): run.axes.target for run in runs if run.is_done}
    targets |= {(run.axes.corpus,): run.axes.target for run in runs if run.is_done}

    def target(axes: Axes) -> str:
        return targets.get(axes.without("seed", "target")) or targets.get((axes.corpus,)) or PLAIN

    return [replace(run, axes=replace(run.axes, target=run.axes.target or target(run.axes))) for run in runs]


def _with_splits(runs: Sequence[Run]) -> list[Run]:
    """Name the split of runs that left it to the corpus."""
    splits = {run.axes.without("seed"): str(run.metrics["split"]) for run in runs if run.metrics and not run.axes.split}
    return [
        replace(run, axes=replace(run.axes, split=splits.get(run.axes.without("seed"), run.axes.split))) for run in runs
    ]


def _with_backbone_names(runs: Sequence[Run]) -> list[Run]:
    """Name the user's own checkpoints, whose folders may have equal names, by the end of their path that is unique."""
    paths = {run.axes.backbone for run in runs if run.axes.key is None}
    names = {}
    for path in paths:
        parts = PurePath(path).parts
        rivals = [PurePath(rival).parts for rival in paths - {path}]
        length = next(
            (n for n in range(1, len(parts) + 1) if not any(parts[-n:] == rival[-n:] for rival in rivals)), len(parts)
        )
        names[path] = "/".join(parts[-length:]) if length > 1 else ""
    return [replace(run, axes=replace(run.axes, backbone_name=names.get(run.axes.backbone, ""))) for run in runs]


def _remove_doubles(runs: Sequence[Run], notes: list[str]) -> list[Run]:
    """Keep the first finished run of those with equal axes."""
    unique: dict[Axes, Run] = {}
    for run in runs:
        first = unique.setdefault(run.axes, run)
        if first is run:
            continue
        if run.is_done and not first.is_done:
            unique[run.axes] = run
        elif run.is_done:
            assert run.metrics is not None and first.metrics is not None
            if run.metrics["identity"] == first.metrics["identity"]:
                notes.append(f"{run.path}: the same run as {first.path}; left out")
            else:
                notes.append(
                    f"{run.path}: the same axes as {first.path}, but asked for or computed otherwise; left out"
                )
    return list(unique.values())


def _load_splits(runs: Sequence[Run], notes: list[str]) -> dict[str, Split]:
    """{checksum: split} of the finished runs."""
    splits: dict[str, Split] = {}
    for run in runs:
        checksum = run.metrics["split_checksum"] if run.metrics else None
        if checksum is None or checksum in splits:
            continue
        try:
            split = run.split()
        except UserError as problem:
            notes.append(str(problem))
            continue
        if split is not None:
            splits[checksum] = split
    return splits


def _none_done_message(path: Path, runs: Sequence[Run]) -> str:
    failed = next((run for run in runs if run.state in (FAILED, BROKEN)), None)
    reason = f" ({failed.name}: {failed.error})" if failed else ""
    many = f"none of the {len(runs)} runs in {path} is" if len(runs) > 1 else f"the run in {path} is not"
    return f"{many} done{reason}; there is nothing to report yet: run again what made the folder"
