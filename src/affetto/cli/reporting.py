"""`affetto report`: tables, figures and a page from a folder of results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from affetto.cli.arguments import Quiet, counter, pairs

if TYPE_CHECKING:
    from affetto.reporting.report import Report


def report(
    folder: Annotated[Path, typer.Argument(help="folder of a run, of a grid, or of several of them")],
    out: Annotated[Path, typer.Option(help="output folder; an earlier report in it is replaced")],
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="format: html, markdown, latex, csv, svg, png or predictions (repeatable; default: all)",
        ),
    ] = None,
    audio: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="corpus whose clips the page plays (repeatable): from PATH, so on this computer alone",
        ),
    ] = None,
    published: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV of numbers that others published on the same corpora, to show beside these, with what differs",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="page title (default: name of the results)")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
    quiet: Quiet = False,
) -> None:
    """Write tables (Markdown, LaTeX, CSV), figures (SVG, PNG), data and an HTML page of results, beside the paper's."""
    from affetto.reporting.render.terminal import print_sheet
    from affetto.reporting.report import write
    from affetto.reporting.terminal_sheets import headline_sheet

    with counter("drawing", quiet or as_json) as progress:
        written = write(
            folder,
            out,
            title=title,
            only=tuple(formats or ()),
            places=pairs(audio, "--audio"),
            published=published,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(_to_dict(written), indent=2, ensure_ascii=False))
        return
    if written.headline is not None:
        print_sheet(headline_sheet(written.headline))
    for line in written.summary.overview:
        typer.echo(line)
    for highlight in written.summary.highlights:
        typer.echo(f"{highlight.corpus}: {highlight.words}")
    for note in written.notes:
        typer.echo(f"left out: {note}", err=True)
    tables, figures = (
        {Path(file).stem for file in written.files if file.startswith(folder)} for folder in ("tables/", "figures/")
    )
    page = f"{written.out / 'index.html'}, " if "index.html" in written.files else f"{written.out}: "
    typer.echo(f"written: {page}{len(tables)} tables, {len(figures)} figures")


def _to_dict(written: Report) -> dict[str, object]:
    """The report for `--json`."""
    runs, summary = written.results.every_run, written.summary
    return {
        "out": str(written.out),
        "files": written.files,
        "runs": len(runs),
        "done": len(written.results.every_done),
        "states": {state: sum(run.state == state for run in runs) for state in sorted({run.state for run in runs})},
        "synthetic": written.results.synthetic,
        "summary": summary.overview,
        "best": [highlight.to_dict() for highlight in summary.highlights],
        "caveats": summary.caveats,
        "left_out": written.notes,
    }
