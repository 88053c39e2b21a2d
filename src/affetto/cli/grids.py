"""`affetto grid`: many runs from one file."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affetto.cli.arguments import Address, Bar, Device, Engine, Quiet, pairs, stack_size
from affetto.cli.ending import resumable
from affetto.cluster import check_engine
from affetto.errors import UserError

if TYPE_CHECKING:
    from affetto.experiments.grid import Grid
    from affetto.experiments.outcome import Event

app = typer.Typer(no_args_is_help=True, help="Many runs from one file: backbones × corpora × methods × seeds.")


@app.command("run")
@resumable
def run(
    file: Annotated[Path, typer.Argument(help="grid file in YAML, or the name of a bundled grid (paper, …)")],
    out: Annotated[Path, typer.Option(help="folder of the grid; finished runs in it are skipped")],
    corpus: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="path of a corpus of the grid (repeatable)")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list the runs and estimates, and do nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="number of runs at once, each on its share of the cores  [default: 1]")
    ] = None,
    stack: Annotated[
        str,
        typer.Option(metavar="auto|N", help="fits of several runs that are trained as one; auto: as many as pay"),
    ] = "auto",
    engine: Engine = "local",
    address: Address = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="AXIS=VALUE", help="do only these runs, e.g. method=lora or variant=none (repeatable)"),
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="try failed runs again")] = False,
    small: Annotated[
        bool, typer.Option("--miniature", help="try the grid with small random backbones on synthetic corpora")
    ] = False,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Run a grid, skipping finished runs. Exit status 1 if some runs have failed."""
    from affetto.experiments import miniature
    from affetto.experiments.grid import read
    from affetto.experiments.named import grid_file
    from affetto.experiments.states import GridFolder

    _check_engine(engine, address, workers)
    at_once = stack_size(stack)
    full, places = _plan(read(grid_file(file)), pairs(corpus, "--corpus"), small)
    for note in () if small else _layout_notes(places):
        if not quiet:
            typer.echo(f"note: {note}", err=True)
    grid = full.only(_selection(only))
    folder = GridFolder(out)
    if dry_run:
        from affetto.cli.plans import show

        show(grid, folder, places, as_json, device if engine == "local" else None, at_once, workers or 1)
        return
    if small:
        folder.claim(full)
        places = miniature.corpora(grid, out / "corpora", lambda text: typer.echo(text, err=True))
    for planned in grid.runs:
        spec = planned.spec(places)
        missing = _absent((*spec.corpora, *spec.auxiliary))
        if missing:
            raise UserError(f"no such corpus folder or table: {missing[0]}; check the path")
    folder.claim(full)
    from affetto.experiments.launch import launch

    with _Progress(grid, folder, quiet or as_json) as progress:
        result = launch(
            grid,
            out,
            places,
            workers=workers or 1,
            device=device,
            retry_failed=retry_failed,
            engine=engine,
            address=address,
            stack=at_once,
            tell=progress.tell,
        )
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(f"{result['done']} of {result['runs']} runs are done, {result['failed']} have failed")
    if result["failed"]:
        typer.echo(f"error: affetto grid status {out} lists the failures; --retry-failed tries them again", err=True)
        raise typer.Exit(1)


@app.command("status")
def status(
    folder: Annotated[Path, typer.Argument(help="folder of a grid")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Show the states of a grid's runs, while it runs or later."""
    from affetto.experiments.states import STATES, GridFolder, overview

    grid = GridFolder(folder)
    plan = grid.plan()
    assert plan is not None
    states = overview(grid, [entry["run"] for entry in plan["runs"]])
    counts = {state: sum(1 for entry, _ in states.values() if entry == state) for state in STATES}
    problems = {name: error for name, (_, error) in states.items() if error}
    if as_json:
        typer.echo(json.dumps({"grid": plan["name"], "runs": len(states), **counts, "problems": problems}, indent=2))
        return
    typer.echo(f"{plan['name']}: {len(states)} runs; " + ", ".join(f"{n} {state}" for state, n in counts.items() if n))
    for name, error in problems.items():
        typer.echo(f"  {name}: {error}")


def _plan(grid: Grid, places: dict[str, str], small: bool) -> tuple[Grid, dict[str, str]]:
    """Return the grid, as a miniature if `small`, and the paths of its corpora."""
    from affetto.experiments.miniature import miniature

    unused = sorted(set(places) - {name for run in grid.runs for name in run.corpora})
    if unused:
        raise UserError(f"--corpus {unused[0]}=…: the grid has no corpus of that name")
    if small and places:
        raise UserError("--miniature makes its own corpora: leave --corpus out")
    return (miniature(grid) if small else grid), dict(grid.corpora) | places


def _layout_notes(places: Mapping[str, str]) -> Iterator[str]:
    """Notes on corpora that are there. Raises UserError for one of another layout than its name's."""
    from affetto.corpora.registry import check_layout

    for name, place in places.items():
        if Path(place).expanduser().exists():
            yield from check_layout(name, Path(place))


def _check_engine(engine: str, address: str | None, workers: int | None) -> None:
    check_engine(engine, address)
    if engine == "ray" and workers is not None:
        raise UserError("--workers belongs to --engine local; with ray the grid's `resources` decide how many runs fit")


def _selection(only: list[str] | None) -> dict[str, list[str]]:
    selection: dict[str, list[str]] = {}
    for item in only or []:
        for axis, value in pairs([item], "--only").items():
            selection.setdefault(axis, []).append(value)
    return selection


def _absent(corpora: tuple[Any, ...]) -> list[str]:
    from affetto.corpora.registry import is_there

    return [corpus.path for corpus in corpora if not is_there(corpus.name, corpus.path)]


class _Progress(Bar):
    """Progress of a grid: a bar if stderr is a terminal, else a line per run."""

    def __init__(self, grid: Grid, folder: Any, quiet: bool) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

        self.lock, self.running, self.busy = threading.Lock(), set[str](), Counter[str]()
        self.done = sum(1 for run in grid.runs if folder.state(run.name)[0] == "done")
        self.failed = 0
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[running]} running, {task.fields[failed]} failed"),
            TimeRemainingColumn(),
        )
        super().__init__(
            grid.name,
            quiet,
            *columns,
            transient=False,
            total=len(grid.runs),
            completed=self.done,
            failed=0,
            running=0,
        )

    def tell(self, event: Event) -> None:
        """Show an event; called from any thread."""
        with self.lock:
            self.done += event.state == "done"
            self.failed += event.state == "failed"
            self.running.discard(event.run)
            self.running |= {event.run} if event.state == "begun" else set()
            self.busy[event.run] += event.state == "busy"
            if event.state == "busy" and self.busy[event.run] == 2:  # the first time that others are done before it
                self.say(f"waiting: {event.run} ({event.error})")
            elif event.state not in ("begun", "busy"):
                text = f"{event.seconds:.0f} s" if event.state == "done" else event.error
                self.say(f"{event.state}: {event.run} ({text})" if event.run else f"{event.state}: {text}")
            self.show(completed=self.done + self.failed, failed=self.failed, running=len(self.running))
