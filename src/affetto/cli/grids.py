"""`affetto grid`: many runs from one file."""

from __future__ import annotations

import json
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affetto.cli.arguments import Address, Bar, Device, Engine, Quiet, pairs
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
    file: Annotated[Path, typer.Argument(help="a grid in YAML, or the name of one that comes along: paper, …")],
    out: Annotated[Path, typer.Option(help="the grid's folder; what is done there is not done again")],
    corpus: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="where a corpus of the grid lies; may be repeated")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list the runs and do nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="runs at once, each on its share of the cores  [default: 1]")
    ] = None,
    engine: Engine = "local",
    address: Address = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="AXIS=VALUE", help="some of the runs: method=lora; may be repeated")
    ] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="try failed runs again")] = False,
    small: Annotated[
        bool, typer.Option("--miniature", help="small random backbones on synthetic corpora: does all of it work?")
    ] = False,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Do all runs of a grid, or what is left of them. Exit status 1 if some have failed."""
    from affetto.experiments import miniature
    from affetto.experiments.grid import read
    from affetto.experiments.named import grid_file
    from affetto.experiments.states import GridFolder

    _check_engine(engine, address, workers)
    whole, places = _asked(read(grid_file(file)), pairs(corpus, "--corpus"), small)
    grid = whole.only(_wanted(only))
    folder = GridFolder(out)
    if dry_run:
        from affetto.cli.plans import show

        show(grid, folder, places, as_json, device if engine == "local" else None)
        return
    if small:
        folder.claim(whole)
        places = miniature.corpora(grid, out / "corpora", lambda text: typer.echo(text, err=True))
    for each in grid.runs:
        missing = _absent(each.spec(places).corpora)
        if missing:
            raise UserError(f"no such corpus folder or table: {missing[0]}; check the path")
    folder.claim(whole)
    from affetto.experiments.launch import launch

    with _Progress(grid, folder, quiet or as_json) as progress:
        result = launch(
            grid, out, places, workers=workers or 1, device=device, retry_failed=retry_failed, engine=engine,
            address=address, tell=progress.tell,
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(result))
    else:
        typer.echo(f"{result['done']} of {result['runs']} runs are done, {result['failed']} have failed")
    if result["failed"]:
        typer.echo(f"error: affetto grid status {out} names what failed; --retry-failed tries it again", err=True)
        raise typer.Exit(1)


@app.command("status")
def status(
    folder: Annotated[Path, typer.Argument(help="a grid's folder")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """What is done, running, failed and left of a grid, while it runs or later."""
    from affetto.experiments.states import STATES, GridFolder, overview

    grid = GridFolder(folder)
    plan = grid.plan()
    assert plan is not None
    found = overview(grid, [entry["run"] for entry in plan["runs"]])
    counts = {state: sum(1 for one, _ in found.values() if one == state) for state in STATES}
    problems = {name: error for name, (_, error) in found.items() if error}
    if as_json:
        typer.echo(json.dumps({"grid": plan["name"], "runs": len(found), **counts, "problems": problems}, indent=2))
        return
    typer.echo(f"{plan['name']}: {len(found)} runs; " + ", ".join(f"{n} {state}" for state, n in counts.items() if n))
    for name, error in problems.items():
        typer.echo(f"  {name}: {error}")


def _asked(whole: Grid, given: dict[str, str], small: bool) -> tuple[Grid, dict[str, str]]:
    """The grid, in small if wanted, and where its corpora lie."""
    from affetto.experiments.miniature import miniature

    unused = sorted(set(given) - {name for run in whole.runs for name in run["corpus"].split("+")})
    if unused:
        raise UserError(f"--corpus {unused[0]}=…: the grid has no corpus of that name")
    if small and given:
        raise UserError("--miniature makes its own corpora: leave --corpus out")
    return (miniature(whole) if small else whole), dict(whole.corpora) | given


def _check_engine(engine: str, address: str | None, workers: int | None) -> None:
    check_engine(engine, address)
    if engine == "ray" and workers is not None:
        raise UserError("--workers is of --engine local: under ray the grid's `resources` say how many runs fit")


def _wanted(only: list[str] | None) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for item in only or []:
        for axis, value in pairs([item], "--only").items():
            wanted.setdefault(axis, []).append(value)
    return wanted


def _absent(corpora: tuple[Any, ...]) -> list[str]:
    return [corpus.path for corpus in corpora if not Path(corpus.path).exists()]


class _Progress(Bar):
    """A bar with what is done, running and failed and the time left, where stderr is a terminal; else a line a run."""

    def __init__(self, grid: Grid, folder: Any, quiet: bool) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

        self.lock, self.running, self.busy = threading.Lock(), set[str](), Counter[str]()
        self.done = sum(1 for run in grid.runs if folder.state(run.name)[0] == "done")
        self.failed = 0
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[running]} running, {task.fields[failed]} failed"), TimeRemainingColumn(),
        )  # fmt: skip
        super().__init__(
            grid.name, quiet, *columns, transient=False,
            total=len(grid.runs), completed=self.done, failed=0, running=0,
        )  # fmt: skip

    def tell(self, event: Event) -> None:
        """From any thread."""
        with self.lock:
            self.done += event.state == "done"
            self.failed += event.state == "failed"
            self.running.discard(event.run)
            self.running |= {event.run} if event.state == "begun" else set()
            self.busy[event.run] += event.state == "busy"
            if event.state == "busy" and self.busy[event.run] == 2:  # the first time others are done before it
                self.say(f"waiting: {event.run} ({event.error})")
            elif event.state not in ("begun", "busy"):
                said = f"{event.seconds:.0f} s" if event.state == "done" else event.error
                self.say(f"{event.state}: {event.run} ({said})" if event.run else f"{event.state}: {said}")
            self.show(completed=self.done + self.failed, failed=self.failed, running=len(self.running))
