"""`affetto serve`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from affetto.cli.arguments import Device, Moved, Precision
from affetto.serving.limits import TOKEN_VARIABLE, Limits, access_token


def serve(
    models: Annotated[list[str], typer.Argument(help="runs' folders, as PATH or NAME=PATH; the first is the default")],
    host: Annotated[str, typer.Option(help="the address to listen at; 0.0.0.0 for every network")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar=TOKEN_VARIABLE,
            show_envvar=True,
            help="what requests must bring, as a bearer token; other users of the machine see a command line",
        ),
    ] = None,
    no_token: Annotated[bool, typer.Option("--no-token", help="serve other machines without asking for one")] = False,
    max_seconds: Annotated[float, typer.Option(help="the longest recording that is taken")] = 600.0,
    max_megabytes: Annotated[float, typer.Option(help="the largest upload that is taken")] = 25.0,
    upload_seconds: Annotated[float, typer.Option(help="how long an upload may take")] = 60.0,
    compute_seconds: Annotated[float, typer.Option(help="how long a recording may wait and be heard")] = 300.0,
    queue: Annotated[int, typer.Option(help="requests at once; more are told to come back later (503)")] = 64,
    page: Annotated[bool, typer.Option("--page/--no-page", help="a page for a browser beside the API")] = True,
    backbone: Moved = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Answer over HTTP, on this machine unless told otherwise, until Ctrl-C or SIGTERM; see docs/serving.md."""
    from affetto.serving.launch import serve as run

    limits = Limits(
        max_seconds=max_seconds,
        max_megabytes=max_megabytes,
        upload_seconds=upload_seconds,
        compute_seconds=compute_seconds,
        queue=queue,
        token=access_token(token, without=no_token, environment=os.environ),
    )
    run(
        models,
        limits,
        host=host,
        port=port,
        is_public=no_token,
        device=device,
        backbone=backbone,
        precision=precision,
        page=page,
        say=lambda line: typer.echo(line),
    )
