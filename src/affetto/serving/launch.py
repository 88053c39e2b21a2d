"""Launch of a server from folders of models."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import socket
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affetto.errors import UserError
from affetto.serving import address
from affetto.serving.endpoint import Endpoint
from affetto.serving.limits import ADMIN_VARIABLE, TOKEN_VARIABLE
from affetto.serving.model_list import Changes, models_by_name, read_models

if TYPE_CHECKING:
    from fastapi import FastAPI

    from affetto.inference.predictor import Predictor
    from affetto.inference.transcriber import Transcriber
    from affetto.serving.catalogue import Catalogue
    from affetto.serving.disclosure import Disclosure
    from affetto.serving.limits import Limits
    from affetto.serving.middleware import Guard
    from affetto.serving.roster import Load, Roster
    from affetto.serving.schemas import ModelAnswer
    from affetto.serving.service import Service
    from affetto.serving.telemetry import Telemetry

NEEDED = ("fastapi", "uvicorn", "python_multipart", "websockets")


def serve(
    models: Sequence[str],
    limits: Limits,
    *,
    endpoint: Endpoint | None = None,
    is_public: bool = False,
    device: str = "auto",
    backbone: str | None = None,
    precision: str = "auto",
    label_map: Mapping[str, str] | None = None,
    page: bool = True,
    root_path: str = "",
    proxies: Sequence[str] = (),
    disclosure: Disclosure | None = None,
    changes: Changes | None = None,
    asr: str | None = None,
    traces: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Serve models (`PATH`, or `NAME=PATH`) until a signal ends it; `say` is told how to reach it once it runs.

    `endpoint`: where it listens; None: at port 8000 of this machine alone.
    `is_public`: other machines may reach it without a token. `root_path`: path under which a proxy shows it.
    `proxies`: addresses of proxies that name the client. `disclosure`: facts for the people exposed to it.
    `label_map`: labels of outside models and those of their answers. `changes`: models that may be added meanwhile,
    and the file that lists the models instead of `models`. `asr`: Whisper checkpoint for transcripts.
    `traces`: send spans to the collector that OpenTelemetry's variables name. Raises UserError where a model cannot be
    loaded, the address cannot be had or is open to others without a token, a path or proxy is none, a certificate
    cannot serve, OpenTelemetry refuses a variable, or an extra is not installed.
    """
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            raise UserError(f"serving needs {module}, which is not installed: pip install 'affetto[serve]'")
    _check_changes(changes, limits)
    folders = _listed(models, changes)
    address.check_root_path(root_path)
    address.proxy_networks(proxies)
    endpoint = endpoint or Endpoint()
    endpoint.check()
    # Before torch is imported and the models are loaded: that takes a while, and a mistake should be known at once.
    with endpoint.listen() as listening:
        is_local = address.is_loopback(listening)
        if not is_local and not limits.requires_token and not is_public:
            raise UserError(
                f"{endpoint.host} is reached by other machines: set {TOKEN_VARIABLE} to a token (docs/serving.md), "
                "give --token-file, or let everybody in with --no-token"
            )
        names = address.own_names(listening, endpoint.host) if is_local and not limits.requires_token else None
        from affetto.serving import logs, process

        with logs.on_standard_error(), process.ending_at_once():
            telemetry = _telemetry() if traces else None
            load = _loader(device=device, backbone=backbone, precision=precision, label_map=label_map)
            transcriber = _load_transcriber(asr, device)
            service, roster = _load(folders, limits, disclosure, load, changes, transcriber=transcriber)
            try:
                _serve(
                    service,
                    listening,
                    names,
                    endpoint=endpoint,
                    roster=roster,
                    telemetry=telemetry,
                    reload_models=None if changes is None or changes.file is None else roster.reload,
                    page=page,
                    root_path=root_path,
                    proxies=proxies,
                    say=say,
                )
            finally:
                is_closed = _close(service, telemetry)
            if not is_closed:
                # Python would wait for ever for a thread that hangs in somebody's native code.
                logs.event("stuck", logging.ERROR)
                os._exit(1)


def _telemetry() -> Telemetry:
    from affetto.serving.telemetry import Telemetry

    return Telemetry()


def _close(service: Service, telemetry: Telemetry | None) -> bool:
    """Close the service and send the last spans, beside each other. Returns True if the service has ended."""
    from affetto.serving.service import CLOSING_SECONDS

    await_spans = None if telemetry is None else telemetry.flush(CLOSING_SECONDS)
    is_closed = service.close()
    if await_spans is not None:
        await_spans()
    return is_closed


def _check_changes(changes: Changes | None, limits: Limits) -> None:
    """Raise UserError where models may be added that nobody could add, or from a folder that there is not."""
    if changes is None or (changes.folder is None and not changes.allows_hub):
        return
    option = "--allow-hub" if changes.folder is None else "--models-folder"
    if not limits.has_admin:
        raise UserError(
            f"{option} is for an admin, and nobody has an admin's token: set {ADMIN_VARIABLE}, or give "
            "--admin-token-file (docs/serving.md)"
        )
    if changes.folder is not None and not changes.folder.is_dir():
        raise UserError(f"--models-folder {changes.folder}: no such folder; give the one that holds the models")


def _listed(models: Sequence[str], changes: Changes | None) -> dict[str, Path]:
    """The models of the command line or of the file. Raises UserError where both are given, or neither."""
    file = None if changes is None else changes.file
    if bool(models) == (file is not None):
        raise UserError("give models, or a list of them by --models-file: one of the two")
    return models_by_name(models) if file is None else read_models(file)


def _loader(**options: Any) -> Load:
    """Loader of models by name on the server's device."""

    def load(folders: Mapping[str, Path]) -> dict[str, Predictor]:
        from affetto.inference import shared_weights

        return shared_weights.load_together(folders, **options)

    return load


def _load_transcriber(name: str | None, device: str) -> Transcriber | None:
    if name is None:
        return None
    from affetto.inference.transcriber import Transcriber

    return Transcriber(name, device=device)


def _load(
    folders: Mapping[str, Path],
    limits: Limits,
    disclosure: Disclosure | None,
    load: Load,
    changes: Changes | None,
    *,
    transcriber: Transcriber | None,
) -> tuple[Service, Roster]:
    from affetto.serving.catalogue import Catalogue
    from affetto.serving.roster import Roster
    from affetto.serving.service import Service

    service = Service(Catalogue({}), limits, disclosure, transcriber)
    roster = Roster(service, load, changes or Changes())
    roster.note_listed(folders)
    service.catalogue.use(load(folders))
    service.warm_up()
    return service, roster


def _serve(
    service: Service,
    listening: socket.socket,
    names: Collection[str] | None,
    *,
    endpoint: Endpoint,
    roster: Roster,
    telemetry: Telemetry | None,
    reload_models: Callable[[], None] | None,
    page: bool,
    root_path: str,
    proxies: Sequence[str],
    say: Callable[[str], None],
) -> None:
    from affetto.serving import logs, process
    from affetto.serving.app import create_app
    from affetto.serving.contexts import describe_duty

    limits = service.limits
    if service.disclosure.use is not None:
        logs.event("use", logging.INFO, **service.disclosure.use_fields())
    app, guard = create_app(service, names, root_path, roster)
    guard.telemetry = telemetry
    with contextlib.ExitStack() as stack:
        missing = _add_page(app, guard, service, stack) if page else None

        def tell() -> None:
            is_open = names is None and not limits.requires_token
            url = endpoint.url(listening) + root_path
            has_page = page and not missing
            for line in greeting(url, service.catalogue, limits, has_page, is_open, curl=endpoint.curl_options):
                say(line)
            if service.transcriber is not None:
                say(f"  asr   {service.transcriber.name}: texts in /v1/audio/transcriptions")
            say(f"  law   {describe_duty(service.disclosure.use)}")
            if missing:
                say(f"no page for a browser: {missing}")

        server = process.server(
            guard,
            head_seconds=limits.head_seconds,
            is_busy=service.is_busy,
            on_start=tell,
            proxies=proxies,
            certificate=endpoint.certificate,
            key=endpoint.key,
        )
        renew = None if endpoint.certificate is None else partial(server.renew_certificate, endpoint.load_certificate)
        process.run(server, listening, all_of(renew, reload_models))


def all_of(*actions: Callable[[], None] | None) -> Callable[[], None] | None:
    """An action that does these in their order; None where there is none."""
    present = [action for action in actions if action is not None]

    def act() -> None:
        for action in present:
            action()

    return act if present else None


def _add_page(app: FastAPI, guard: Guard, service: Service, stack: contextlib.ExitStack) -> str | None:
    """Add the page. Returns the reason where that is impossible, else None. Leaving `stack` removes its uploads."""
    if importlib.util.find_spec("gradio") is None:
        return "pip install 'affetto[web]'"
    from affetto.serving.shelf import Shelf

    try:
        shelf = stack.enter_context(Shelf.opened(service.limits))
    except OSError as problem:
        return f"no folder for its uploads ({problem.strerror or problem}); set TMPDIR to one that can be written"
    from affetto.serving.page import mount

    mount(app, guard, service, shelf)
    return None


def greeting(url: str, catalogue: Catalogue, limits: Limits, page: bool, is_open: bool, *, curl: str = "") -> list[str]:
    """Compose the lines that the terminal shows once the server runs; the line with curl works as it stands."""
    lines = [f"affetto serves at {url}"]
    for model in catalogue.describe():
        facts = [model.method or "", f"on {model.backbone}" if model.backbone else "", ", ".join(_predicted(model))]
        shared = f"; one backbone with {', '.join(model.shares_backbone_with)}" if model.shares_backbone_with else ""
        synthetic = "; trained on SYNTHETIC speech" if model.synthetic else ""
        lines.append(f"  model {model.name}: {' '.join(filter(None, facts[:2]))} ({facts[2]}){shared}{synthetic}")
        lines += [f"    note: {line}" for line in catalogue.predictors[model.name].notes]
    if page:
        password = " (any user name, a token as password)" if limits.requires_token else ""
        lines.append(f"  page  {url}/{password}")
    bearer = f"${TOKEN_VARIABLE}" if limits.token else "TOKEN"
    token = f' -H "Authorization: Bearer {bearer}"' if limits.requires_token else ""
    lines.append(f"  try   curl{curl}{token} -F file=@clip.wav {url}/v1/predict")
    if is_open:
        lines.append("warning: other machines may reach it, and it asks for no token")
    return lines


def _predicted(model: ModelAnswer) -> list[str]:
    """The labels of a model, and its dimensions with their ranges."""
    ranges = model.target.dimensions.items()
    return [*model.labels, *(f"{name} {low:g} to {high:g}" for name, (low, high) in ranges)]
