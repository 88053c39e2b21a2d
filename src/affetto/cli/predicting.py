"""`affetto predict`."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from affetto.cli.arguments import Device
from affetto.errors import unknown

FORMATS = ("table", "json", "jsonl", "csv")


def predict(
    run: Annotated[Path, typer.Argument(help="a run's folder")],
    files: Annotated[list[str], typer.Argument(help="recordings: wav, flac, mp3, ogg …")],
    format_: Annotated[str, typer.Option("--format", help="table, json, jsonl or csv")] = "table",
    backbone: Annotated[
        str | None, typer.Option(help="where the backbone's weights lie now, if they have moved")
    ] = None,
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option(help="auto (as trained), float32, bfloat16, or int8: quickest on a CPU")
    ] = "auto",
) -> None:
    """Name the emotion in recordings. Exit status 1 if some of them could not be used."""
    if format_ not in FORMATS:
        raise unknown("format", format_, FORMATS)
    from affetto.inference.predictor import Prediction, load

    predictor = load(run, device=device, backbone=backbone, precision=precision)
    rows: list[dict[str, Any]] = []
    bad = cropped = 0
    for file, result in zip(files, predictor.stream(files), strict=True):
        if isinstance(result, Prediction):
            rows.append({"file": file, "emotion": result.emotion, "probabilities": result.probabilities})
            cropped += result.cropped
        else:
            bad += 1
            typer.echo(f"error: {result}", err=True)
    if cropped:
        typer.echo(
            f"note: {cropped} of {len(files)} recordings are longer than {predictor.window_seconds:g} s; "
            "as in training, their first seconds were used", err=True,
        )  # fmt: skip
    if predictor.card["synthetic"]:
        typer.echo("note: this model was trained on synthetic speech", err=True)
    typer.echo(_written(rows, format_, predictor.labels), nl=False)
    if bad:
        typer.echo(f"error: {bad} of {len(files)} recordings could not be used", err=True)
        raise typer.Exit(1)


def _written(rows: list[dict[str, Any]], format_: str, labels: tuple[str, ...]) -> str:
    if format_ == "json":
        return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    if format_ == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    if format_ == "csv":
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["file", "emotion", *labels])
        writer.writerows(
            [row["file"], row["emotion"], *(f"{p:.6f}" for p in row["probabilities"].values())] for row in rows
        )
        return text.getvalue()
    from rich.console import Console

    from affetto.reporting.tables import prediction_table

    text = io.StringIO()
    Console(file=text, width=None if sys.stdout.isatty() else 120).print(prediction_table(rows))
    return text.getvalue()
