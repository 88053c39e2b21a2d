"""`affetto ensemble`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from affetto.cli.arguments import Moved


def ensemble(
    models: Annotated[list[str], typer.Argument(metavar="RUN…", help="runs, or folders of models in them")],
    out: Annotated[Path, typer.Option(help="new folder for the ensemble")],
    how: Annotated[
        str,
        typer.Option(
            help="average the models' probabilities or their weights; auto: weights where they have a mean, which runs "
            "as quickly as one model"
        ),
    ] = "probabilities",
    folds: Annotated[
        bool, typer.Option("--folds", help="take the models of each run's folds, not its final model")
    ] = False,
    backbone: Moved = None,
) -> None:
    """Average several trained models into one: seeds of a run, its folds, or different runs with the same labels."""
    from affetto.export.ensemble import build_ensemble

    card = build_ensemble(
        models, out, how=how, folds=folds, backbone=backbone, say=lambda text: typer.echo(text, err=True)
    )
    typer.echo(f"{out}: the mean of the {card['how']} of {len(card['members'])} models, trained on {card['corpus']}")
    typer.echo("it has no score of its own until affetto evaluate gives it some")
    typer.echo(f"use it: affetto predict {out} clip.wav")
