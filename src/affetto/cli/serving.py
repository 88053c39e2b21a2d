"""`affetto serve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from affetto.cli.arguments import Device, LabelMap, Moved, Precision, label_map
from affetto.serving.contexts import CONTEXTS, read_use
from affetto.serving.limits import ADMIN_VARIABLE, TOKEN_VARIABLE, Limits, access_token, admin_token


def serve(
    models: Annotated[
        list[str] | None, typer.Argument(help="models, as PATH or NAME=PATH (or a hub id); the first is the default")
    ] = None,
    host: Annotated[str, typer.Option(help="address to listen at; 0.0.0.0: every network")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen at; 0: a free one")] = 8000,
    socket: Annotated[
        Path | None,
        typer.Option(help="Unix socket to listen at instead, which the user alone who starts the server can reach"),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(help="certificate (PEM, with its chain): the server speaks HTTPS; SIGHUP reads it again"),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="key of the certificate (PEM); default: in the certificate's file")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar=TOKEN_VARIABLE,
            show_envvar=True,
            help="bearer token that requests must carry; use the variable: other users can see a command line",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="file of bearer tokens, one a line, as TOKEN or NAME TOKEN; read again when it changes"),
    ] = None,
    no_token: Annotated[bool, typer.Option("--no-token", help="serve other machines without a token")] = False,
    models_file: Annotated[
        Path | None, typer.Option(help="file of models, one a line as above; SIGHUP reads it again")
    ] = None,
    models_folder: Annotated[
        Path | None, typer.Option(help="folder below which an admin may add models while the server runs")
    ] = None,
    allow_hub: Annotated[
        bool, typer.Option("--allow-hub", help="let an admin add models of the hub, as owner/name@revision")
    ] = False,
    admin_token_file: Annotated[
        Path | None,
        typer.Option(help=f"file of admins' tokens, as --token-file; or one in the variable {ADMIN_VARIABLE}"),
    ] = None,
    max_seconds: Annotated[float, typer.Option(help="longest recording that is accepted")] = 600.0,
    max_megabytes: Annotated[float, typer.Option(help="largest upload that is accepted")] = 25.0,
    upload_seconds: Annotated[float, typer.Option(help="time limit of an upload")] = 60.0,
    compute_seconds: Annotated[float, typer.Option(help="time limit from upload to answer")] = 300.0,
    queue: Annotated[int, typer.Option(help="requests at once; more are refused for now (503)")] = 64,
    client_queue: Annotated[
        int | None, typer.Option(help="requests of one client at once; more are refused (429); default: as many as all")
    ] = None,
    page: Annotated[bool, typer.Option("--page/--no-page", help="serve a page for browsers beside the API")] = True,
    root_path: Annotated[
        str, typer.Option(help="path under which a reverse proxy shows the server, as /speech; default: the root")
    ] = "",
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="address or network of a proxy whose X-Forwarded-For names the client; this machine's is one"
        ),
    ] = None,
    notice: Annotated[
        str | None,
        typer.Option(
            help="text, or file of it, that the page and /notice add to the notice for people whose voice is analysed"
        ),
    ] = None,
    map_: LabelMap = None,
    context: Annotated[
        str | None,
        typer.Option(
            help=f"use of the server: {', '.join(CONTEXTS)}; the first two are refused without --context-reason"
        ),
    ] = None,
    context_reason: Annotated[
        str | None,
        typer.Option(
            metavar="KIND:TEXT",
            help="medical or safety reason to analyse voices at work or in education, as 'medical: TEXT'",
        ),
    ] = None,
    asr: Annotated[
        str | None,
        typer.Option(
            metavar="WHISPER",
            help="Whisper checkpoint with its decoder (folder or hub id), for the texts of /v1/audio/transcriptions; "
            "default: they are empty",
        ),
    ] = None,
    backbone: Moved = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Serve models over HTTP until Ctrl-C or SIGTERM; see docs/serving.md."""
    from affetto.inference.notices import read_notice
    from affetto.serving.disclosure import Disclosure
    from affetto.serving.endpoint import Endpoint
    from affetto.serving.launch import serve as run
    from affetto.serving.model_list import Changes
    from affetto.serving.telemetry import is_wanted

    limits = Limits(
        max_seconds=max_seconds,
        max_megabytes=max_megabytes,
        upload_seconds=upload_seconds,
        compute_seconds=compute_seconds,
        queue=queue,
        client_queue=client_queue,
        token=access_token(token, without=no_token, environment=os.environ, file=token_file),
        token_file=token_file,
        admin_token=admin_token(os.environ),
        admin_token_file=admin_token_file,
    )
    run(
        models or (),
        limits,
        endpoint=Endpoint(host=host, port=port, path=socket, certificate=certificate, key=key),
        is_public=no_token,
        device=device,
        backbone=backbone,
        precision=precision,
        label_map=label_map(map_),
        page=page,
        root_path=root_path,
        proxies=trusted_proxy or (),
        disclosure=Disclosure(
            operator="" if notice is None else read_notice(notice), use=read_use(context, context_reason)
        ),
        asr=asr,
        traces=is_wanted(os.environ),
        changes=Changes(folder=models_folder, allows_hub=allow_hub, file=models_file),
        say=lambda line: typer.echo(line),
    )
