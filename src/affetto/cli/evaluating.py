"""`affetto evaluate`."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from affetto.cli.arguments import (
    CorpusColumns,
    CorpusOptions,
    Device,
    KeepOther,
    LabelMap,
    LabelsByCorpus,
    Moved,
    Tta,
    counter,
    label_map,
    pairs,
    run_corpora,
)
from affetto.errors import UserError


def evaluate(
    run: Annotated[Path, typer.Argument(help="folder of a run, or any other model that predict takes")],
    corpus: Annotated[list[str] | None, typer.Option(metavar="NAME=PATH", help="a corpus; may be repeated")] = None,
    table: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="a CSV or TSV: file, emotion, speaker")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="new folder for metrics.json and predictions.jsonl")] = None,
    label: LabelsByCorpus = None,
    map_: LabelMap = None,
    keep_other: KeepOther = False,
    option: CorpusOptions = None,
    dimension: CorpusColumns = None,
    backbone: Moved = None,
    device: Device = "auto",
    tta: Tta = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="adapt to each tested speaker by their other clips, without labels; a protocol of its own",
        ),
    ] = False,
    include_seen: Annotated[bool, typer.Option("--include-seen", help="test on the clips of the training too")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave unusable clips out, and name them")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """Test a trained model on another corpus. Labels are mapped; clips that are left out are named."""
    corpora, _ = run_corpora(corpus, table, option=option, dimension=dimension)
    test = _adapted_test(tta, map_) if calibrate else _test(tta, map_)
    with counter("testing", quiet=as_json) as progress:
        metrics = test(
            run,
            corpora,
            labels=pairs(label, "--label"),
            keep_other=keep_other,
            out=out,
            include_seen=include_seen,
            skip_bad=skip_bad,
            device=device,
            backbone=backbone,
            say=lambda text: typer.echo(text, err=True),
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(metrics, indent=2, ensure_ascii=False))
        return
    from affetto.reporting.render.terminal import print_sheet
    from affetto.reporting.terminal_sheets import ScoredSet, score_sheet
    from affetto.targets.registry import target_of_run

    synthetic = metrics["synthetic"] or metrics["trained_on_synthetic"]
    tested = ScoredSet(name=run.name, scores=metrics["test"], target=target_of_run(metrics), synthetic=synthetic)
    print_sheet(score_sheet([tested]))
    contaminated = ", ".join(metrics.get("outside", {}).get("contaminated", ()))
    mark = f" (contaminated: {contaminated})" if contaminated else ""
    typer.echo(f"trained on {metrics['trained_on']}, tested on {metrics['corpus']}{mark}")
    if calibrate:
        typer.echo(_adaptation(metrics["adapted"], metrics["by_folds"]))


def _test(tta: str | None, outputs: list[str] | None) -> Callable[..., dict[str, Any]]:
    """The test of a model as it is."""
    from affetto.evaluation.testing import evaluate
    from affetto.inference.speeds import parse_speeds

    return partial(evaluate, speeds=parse_speeds(tta), label_map=label_map(outputs))


def _adapted_test(tta: str | None, outputs: list[str] | None) -> Callable[..., dict[str, Any]]:
    """The test of a model that adapts to each speaker. Raises UserError for options that it does not take."""
    for option, value in (("--tta", tta), ("--map", outputs)):
        if value:
            raise UserError(f"--calibrate adapts affetto's own models, by clips at their own speed: leave {option} out")
    from affetto.evaluation.adapted import evaluate_adapted

    return evaluate_adapted


def _adaptation(adapted: dict[str, Any], by_folds: bool) -> str:
    """Sentence on a test that adapted to its speakers."""
    from affetto.corpora.amounts import amount, verb

    fewest, most = adapted["clips"]
    clips = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    folds = ", each clip by the fold that has not heard its speaker" if by_folds else ""
    lonely = adapted["alone"]
    owner = "its speaker's" if lonely == 1 else "their speakers'"
    alone = f" ({amount(lonely, 'clip')} {verb(lonely, 'are')} {owner} only one: not adapted)" if lonely else ""
    return (
        f"adapted to each of {adapted['speakers']} speakers by {clips} other unlabelled clips of theirs{folds}{alone}: "
        "another protocol than the model's own score"
    )
