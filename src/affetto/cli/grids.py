"""`affetto grid`: many runs from one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from affetto.cli.arguments import Device, Quiet, pairs
from affetto.errors import UserError

if TYPE_CHECKING:
    from affetto.experiments.grid import Grid
    from affetto.experiments.launch import Event

app = typer.Typer(no_args_is_help=True, help="Many runs from one file: backbones × corpora × methods × seeds.")


@app.command("run")
def run(
    file: Annotated[Path, typer.Argument(help="a grid in YAML; grids/paper.yaml is the paper's")],
    out: Annotated[Path, typer.Option(help="the grid's folder; what is done there is not done again")],
    corpus: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="where a corpus of the grid lies; may be repeated")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list the runs and do nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
    workers: Annotated[int, typer.Option(min=1, help="runs at once, each on its share of the cores")] = 1,
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
    from affetto.experiments.states import GridFolder

    whole = read(file)
    places = dict(whole.corpora) | pairs(corpus, "--corpus")
    unused = sorted(set(pairs(corpus, "--corpus")) - {name for r in whole.runs for name in r["corpus"].split("+")})
    if unused:
        raise UserError(f"--corpus {unused[0]}=…: the grid has no corpus of that name")
    if small:
        if corpus:
            raise UserError("--miniature makes its own corpora: leave --corpus out")
        whole = miniature.miniature(whole)
    grid = whole.only(_wanted(only))
    folder = GridFolder(out)
    if dry_run:
        _list(grid, folder, places, as_json)
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
            grid, out, places, workers=workers, device=device, retry_failed=retry_failed, tell=progress.tell
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


def _wanted(only: list[str] | None) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for item in only or []:
        for axis, value in pairs([item], "--only").items():
            wanted.setdefault(axis, []).append(value)
    return wanted


def _absent(corpora: tuple[Any, ...]) -> list[str]:
    return [corpus.path for corpus in corpora if not Path(corpus.path).exists()]


def _list(grid: Grid, folder: Any, places: dict[str, str], as_json: bool) -> None:
    """Every run, what it lacks, where it stands and whose stored states it shares."""
    sharing: dict[tuple[Any, ...], str] = {}
    rows = []
    for each in grid.runs:
        state, error = folder.state(each.name)
        names = each["corpus"].split("+")
        # A miniature makes its own.
        absent = [n for n in names if not each.stand_in and (n not in places or not Path(places[n]).exists())]
        key = (each["corpus"], each["backbone"], each["weights_seed"], *each.cut)
        first = sharing.setdefault(key, each.name)
        rows.append({
            **each.told(), "state": state, "error": error, "absent": absent,
            "shares_stored_states_with": None if first == each.name else first,
        })  # fmt: skip
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    for row in rows:
        lacks = f"  needs --corpus {row['absent'][0]}=PATH" if row["absent"] else ""
        typer.echo(f"{row['state']:8} {row['run']}{lacks}")
    shared = sum(1 for row in rows if row["shares_stored_states_with"])
    typer.echo(f"{len(rows)} runs; {shared} of them find another's stored states")


class _Progress:
    """A bar with done, failed and time left where stderr is a terminal, else a line for each run."""

    def __init__(self, grid: Grid, folder: Any, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.console = Console(stderr=True, quiet=quiet)
        self.done = sum(1 for run in grid.runs if folder.state(run.name)[0] == "done")
        self.total, self.failed = len(grid.runs), 0
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[failed]} failed"), TimeRemainingColumn(),
        )  # fmt: skip
        self.bars = Progress(*columns, console=self.console, disable=quiet or not self.console.is_terminal)
        self.task = self.bars.add_task(grid.name, total=self.total, completed=self.done, failed=0)

    def __enter__(self) -> _Progress:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def tell(self, event: Event) -> None:
        self.done += event.state == "done"
        self.failed += event.state == "failed"
        said = f"{event.seconds:.0f} s" if event.state == "done" else event.error
        self.console.print(f"{event.state}: {event.run} ({said})", markup=False, highlight=False, soft_wrap=True)
        self.bars.update(self.task, completed=self.done + self.failed, failed=self.failed)
