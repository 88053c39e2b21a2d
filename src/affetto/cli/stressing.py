"""`affetto stress`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from affetto.cli.arguments import (
    Bar,
    CorpusColumns,
    CorpusOptions,
    Device,
    KeepOther,
    LabelMap,
    LabelsByCorpus,
    Moved,
    Quiet,
    label_map,
    pairs,
    run_corpora,
)


def stress(
    model: Annotated[str, typer.Argument(help="folder of a run, or another model that `affetto predict` takes")],
    corpus: Annotated[list[str] | None, typer.Option(metavar="NAME=PATH", help="a corpus; may be repeated")] = None,
    table: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="a CSV or TSV: file, emotion, speaker")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="folder for stress.json and stress.csv; default: stress in the model's folder")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="perturbations or families, such as noise,mp3; default: all"),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="CLIPS", help="most clips, evenly over the speakers; default: all")
    ] = None,
    noise: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="folder of recorded noise, for the perturbation `recorded`")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(metavar="COLUMNS", help="columns by whose groups scores are compared, such as gender,age"),
    ] = None,
    label: LabelsByCorpus = None,
    map_: LabelMap = None,
    keep_other: KeepOther = False,
    option: CorpusOptions = None,
    dimension: CorpusColumns = None,
    backbone: Moved = None,
    device: Device = "auto",
    include_seen: Annotated[bool, typer.Option("--include-seen", help="test on the clips of the training too")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave unusable clips out, and name them")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
    quiet: Quiet = False,
) -> None:
    """Test how a model's answers hold under noise, codecs, rooms and other changes of the sound.

    Of a run with folds, each clip is answered by the model that has not heard its speaker.
    """
    corpora, _ = run_corpora(corpus, table, option=option, dimension=dimension)
    from affetto.evaluation.stress.stress import result_folder
    from affetto.evaluation.stress.stress import stress as test
    from affetto.files import write_text
    from affetto.reporting.stress_sheets import gap_sheet, latex_text, terminal_sheet

    with Bar("testing", quiet or as_json) as bar:
        content = test(
            model,
            corpora,
            out=out,
            only=None if only is None else _names(only),
            limit=limit,
            noise=noise,
            by=_names(by or ""),
            labels=pairs(label, "--label"),
            label_map=label_map(map_),
            keep_other=keep_other,
            include_seen=include_seen,
            skip_bad=skip_bad,
            device=device,
            backbone=backbone,
            say=bar.say,
            progress=lambda done, total: bar.show(completed=done, total=total),
        )
    write_text(result_folder(model, out) / "stress.tex", latex_text(content))
    if as_json:
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
        return
    from affetto.reporting.render.terminal import print_sheet

    for sheet in (terminal_sheet(content), gap_sheet(content)):
        if sheet is not None:
            print_sheet(sheet)
    for line in _origin(content):
        typer.echo(line)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _origin(content: dict[str, object]) -> list[str]:
    """Lines on the models that answered."""
    folds = content["answered_by"]
    answered = f"each clip answered by one of {len(folds)} folds" if isinstance(folds, list) else "one model"
    outside = content.get("outside")
    contaminated = ", ".join(outside["contaminated"]) if isinstance(outside, dict) else ""
    mark = f" (contaminated: {contaminated})" if contaminated else ""
    lines = [f"trained on {content['trained_on']}, tested on {content['corpus']}{mark}; {answered}"]
    if not content["is_known_what_trained"]:
        lines.append("note: it is not known what the model was trained on; these clips may be among it")
    return lines
