"""`affetto compare`: what differs between two folders of runs."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Annotated

import typer

WIDTH = 80
"""Characters of a line."""


def compare(
    a: Annotated[Path, typer.Argument(help="folder of a run, of a grid, or of several of them")],
    b: Annotated[Path, typer.Argument(help="folder that is compared with A")],
    measure: Annotated[
        str | None, typer.Option(help="measure to compare by, such as uar (default: the main measure of the target)")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="POINTS",
            help="exit with 1 where a score is worse by more points in B, or a run of A cannot be compared",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Compare two folders of runs: scores on the same clips, settings, inputs, versions and times."""
    from affetto.reporting.comparing import sheet
    from affetto.reporting.comparing.compare import compare as compare_folders
    from affetto.reporting.render.terminal import print_sheet

    comparison = compare_folders(a, b, measure=measure, threshold=threshold)
    if as_json:
        typer.echo(json.dumps(sheet.to_dict(comparison), indent=2, ensure_ascii=False))
    else:
        if comparison.compared:
            print_sheet(sheet.difference_sheet(comparison), width=WIDTH)
        for line in sheet.lines(comparison):
            typer.echo(textwrap.fill(line, WIDTH, subsequent_indent="  "))
    for note in comparison.notes:
        typer.echo(f"left out: {note}", err=True)
    for line in comparison.refused:
        typer.echo(f"not compared: {line}", err=True)
    for line in sheet.failures(comparison):
        typer.echo(f"error: {line}", err=True)
    if not comparison.passes:
        raise typer.Exit(1)
