"""Output of `affetto grid run --dry-run`: the runs to come."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from affetto.experiments.estimate import Estimate
    from affetto.experiments.grid import Grid
    from affetto.experiments.states import GridFolder


def show(
    grid: Grid,
    folder: GridFolder,
    places: Mapping[str, str],
    as_json: bool,
    device: str | None,
    stack: str | int,
    workers: int,
) -> None:
    """Every run, what it lacks, where it stands, whose stored states it shares, and what it will take.

    `device`: this machine's, where the runs will be done; None on a cluster, whose speed is not known. `stack` fits of
    several runs are trained together.
    """
    from affetto.corpora.registry import is_there
    from affetto.experiments.estimate import estimates, stored_bytes
    from affetto.experiments.groups import fits_at_once, groups, stacks_here
    from affetto.reporting.render.text import duration_text

    takes = estimates(folder, grid.runs, None if device is None else _rate(device))
    todo = [run for run in grid.runs if folder.state(run.name)[0] not in ("done", "failed", "broken")]
    if device is None:
        on_gpu = any(run.resources.gpus for run in todo)
        together = groups(todo, stack, has_accelerator=on_gpu)
    else:
        on_gpu = stacks_here(todo, stack, device)
        together = groups(todo, stack, workers=workers, has_accelerator=on_gpu)
    group_of = {run.name: number for number, group in enumerate(together, 1) for run in group if len(group) > 1}
    fits_of = {run.name: fits_at_once(group, stack, has_accelerator=on_gpu) for group in together for run in group}
    sharing: dict[tuple[Any, ...], str] = {}
    rows = []
    for run in grid.runs:
        state, error = folder.state(run.name)
        # A miniature makes its own.
        absent = [n for n in run.corpora if not run.stand_in and (n not in places or not is_there(n, places[n]))]
        first = sharing.setdefault(run.shares, run.name)
        rows.append(
            {
                **run.to_json(),
                "state": state,
                "error": error,
                "absent": absent,
                "shares_stored_states_with": None if first == run.name else first,
                **takes[run.name].to_json(),
                "group": group_of.get(run.name),
                "fits_at_once": fits_of.get(run.name),
                "stored_states_bytes_at_most": stored_bytes(run) if first == run.name else 0,
            }
        )
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    for row in rows:
        lacks = f"  needs --corpus {row['absent'][0]}=PATH" if row["absent"] else ""
        seconds = row["estimated_seconds"]
        about = "" if seconds is None or row["state"] == "done" else f"  about {duration_text(seconds)}"
        typer.echo(f"{row['state']:8} {row['run']}{about}{lacks}")
    shared = sum(1 for row in rows if row["shares_stored_states_with"])
    typer.echo(f"{len(rows)} runs; {shared} of them find another's stored states")
    if group_of:
        typer.echo(f"{len(group_of)} of them are trained together, in {len(set(group_of.values()))} groups (--stack)")
    most = max(fits_of.values(), default=1)
    if most > 1:
        typer.echo(f"at most {most} fits train as one (--stack); times are of runs alone")
    stored = [row["stored_states_bytes_at_most"] for row in rows]
    if any(stored):
        lacking = f"; of {stored.count(None)} runs not known" if None in stored else ""
        typer.echo(f"frozen states in the store: at most {sum(size or 0 for size in stored) / 1e9:.1f} GB{lacking}")
    _tell_time([row for row in rows if row["state"] != "done"], takes, folder)


def _tell_time(rows: Sequence[Mapping[str, Any]], takes: Mapping[str, Estimate], folder: GridFolder) -> None:
    from affetto.reporting.render.text import duration_text

    measured = [takes[row["run"]] for row in rows if takes[row["run"]].basis]
    reckoned = [takes[row["run"]].seconds or 0.0 for row in rows if takes[row["run"]].operations is not None]
    unknown = len(rows) - len(measured) - len(reckoned)
    if measured:
        seconds = sum(estimate.seconds or 0 for estimate in measured)
        room = sum(estimate.size_bytes or 0 for estimate in measured) / 1e6
        typer.echo(
            f"{len(measured)} of the {len(rows)} remaining runs: about {duration_text(seconds)} one after another "
            f"and {room:.1f} MB in {folder.path}, as finished runs that differ in seeds alone took"
        )
    if reckoned:
        typer.echo(
            f"{len(reckoned)} of the {len(rows)} remaining runs: about {duration_text(sum(reckoned))} in sequence "
            "on this machine, reckoned from their operations; may be off by half"
        )
    if unknown:
        typer.echo(f"{unknown} unknown in time and size: no run of their kind is finished in {folder.path}")


def _rate(device: str) -> Callable[[str], float]:
    """This machine's, asked for only if a run has to be reckoned: it needs torch."""

    def rate(precision: str) -> float:
        from affetto.training.device import measured_rate

        return measured_rate(device, precision)

    return rate
