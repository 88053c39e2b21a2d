"""`affetto specialize`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated

import typer

from affetto.cli.arguments import Device, Quiet, pairs
from affetto.errors import UserError


def specialize(
    backbone: Annotated[
        str, typer.Option(help="a key, a hub id or a checkpoint folder; with --from-scratch what is to be made")
    ],
    objective: Annotated[str, typer.Option(help="masked, ctc or seq2seq")],
    out: Annotated[Path, typer.Option(help="the new checkpoint's folder; an unfinished one goes on there")],
    corpus: Annotated[
        str | None,
        typer.Option(
            metavar="[NAME=]PATH", help="corpus of speech: common-voice=PATH, folder=PATH (only for masked), or a path"
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="table of speech (CSV or TSV) with the columns file, sentence, speaker"),
    ] = None,
    hours: Annotated[float | None, typer.Option(help="hours of speech, balanced over speakers; by default all")] = None,
    split: Annotated[
        str | None, typer.Option(help="part of common-voice, validated or train; by default validated")
    ] = None,
    method: Annotated[str, typer.Option(help="full, or lora: cheaper, merged in the end")] = "full",
    from_scratch: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="mini, small or base: from nothing; --backbone names the family"),
    ] = None,
    language: Annotated[str, typer.Option(help="language of the corpus; decides which letters are written")] = "it",
    characters: Annotated[str | None, typer.Option(help="letters to write; default: those of the language")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="seed of the sample and the training")] = 0,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SETTING=VALUE", help="e.g. epochs=3; docs/specialize.md lists them"),
    ] = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train a speech model further on a language (scenario B); the result is a checkpoint folder for --backbone."""
    from affetto.backbones.catalogue import check_backbone
    from affetto.specialize.spec import Spec, settings

    resolved = settings(objective, method, from_scratch, pairs(set_, "--set"))
    if (corpus is None) == (table is None):
        raise UserError("give one corpus: --corpus common-voice=PATH, --corpus folder=PATH or --table PATH")
    name, equals, path = ("table", "=", str(table)) if corpus is None else corpus.partition("=")
    if not equals:
        name, path = "", name
    if from_scratch is None:
        check_backbone(backbone)
    if hours is not None and not 0 < hours < math.inf:
        raise UserError(f"--hours {hours:g}: give more than 0, or leave it out to take all")
    spec = Spec(
        corpus=name or None,
        path=path,
        backbone=backbone,
        objective=objective,
        method=method,
        from_scratch=from_scratch,
        hours=hours,
        split=split,
        language=language,
        characters=characters,
        seed=seed,
        settings=resolved,
    )
    from affetto.specialize.run import specialize as run
    from affetto.specialize.scores import RATES
    from affetto.training import device as devices
    from affetto.training.display import Display

    outcome = run(spec, out, device=device, display=Display(quiet))
    if not devices.speaks():
        return
    last = {name: outcome["history"][-1].get(name) for name in ("validation_loss", *RATES)}
    typer.echo(json.dumps({name: value for name, value in last.items() if value is not None}))
    typer.echo(
        f"{out} is a checkpoint{' trained on synthetic speech' * outcome['synthetic']}: use it with --backbone {out}"
    )
