"""`affetto report`: tables, figures and a page from a folder of results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affetto.cli.arguments import Quiet, counter

if TYPE_CHECKING:
    from affetto.reporting.report import Report


def report(
    folder: Annotated[Path, typer.Argument(help="a run's, a grid's, or any folder that holds some of them")],
    out: Annotated[Path, typer.Option(help="the report's folder; an earlier report there is replaced")],
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format", help="html, markdown, latex, csv, svg, png or predictions; may be repeated; none: all of them"
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="what the page is called")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
    quiet: Quiet = False,
) -> None:
    """Tables (Markdown, LaTeX, CSV), figures (SVG, PNG), data and one HTML page of what was run, beside the paper."""
    from affetto.reporting.render.terminal import print_sheet
    from affetto.reporting.report import write
    from affetto.reporting.terminal_sheets import headline_sheet

    with counter("drawing", quiet or as_json) as progress:
        made = write(folder, out, title=title, only=tuple(formats or ()), progress=progress)
    if as_json:
        typer.echo(json.dumps(_told(made), indent=2, ensure_ascii=False))
        return
    if made.headline is not None:
        print_sheet(headline_sheet(made.headline))
    for line in made.summary.what:
        typer.echo(line)
    for one in made.summary.highlights:
        typer.echo(f"{one.corpus}: {one.words}")
    for note in made.notes:
        typer.echo(f"left out: {note}", err=True)
    tables, figures = ({Path(f).stem for f in made.files if f.startswith(k)} for k in ("tables/", "figures/"))
    page = f"{made.out / 'index.html'}, " if "index.html" in made.files else f"{made.out}: "
    typer.echo(f"written: {page}{len(tables)} tables, {len(figures)} figures")


def _told(made: Report) -> dict[str, object]:
    runs = made.results.runs
    return {
        "out": str(made.out), "files": made.files, "runs": len(runs), "done": len(made.results.done),
        "states": {state: sum(run.state == state for run in runs) for state in sorted({run.state for run in runs})},
        "synthetic": made.results.synthetic, "summary": made.summary.what,
        "best": [
            {"corpus": one.corpus, "split": one.split, "configuration": one.name, "macro_f1": one.mean,
             "interval": [one.low, one.high], "probe": one.probe, "chance": one.chance}
            for one in made.summary.highlights
        ],
        "caveats": made.summary.caveats, "left_out": made.notes,
    }  # fmt: skip
