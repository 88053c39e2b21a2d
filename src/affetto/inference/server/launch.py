"""From folders of models to a running server."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from affetto.errors import UserError

if TYPE_CHECKING:
    from affetto.inference.server.catalogue import Catalogue
    from affetto.inference.server.limits import Limits

NEEDED = ("fastapi", "uvicorn", "python_multipart")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NAME = re.compile(r"[\w.-]{1,64}")


def serve(
    models: Sequence[str], limits: Limits, *, host: str = "127.0.0.1", port: int = 8000, device: str = "auto",
    backbone: str | None = None, precision: str = "auto", page: bool = True, say: Callable[[str], None] = print,
) -> None:  # fmt: skip
    """Serve models (`PATH`, or `NAME=PATH`) until a signal ends it; `say` is told how to reach it once it runs.

    Raises UserError where a model cannot be loaded, the address cannot be had or an extra is not installed.
    """
    for module in NEEDED:
        if importlib.util.find_spec(module) is None:
            raise UserError(f"serving needs {module}, which is not installed: pip install 'affetto[serve]'")
    from affetto.inference.server import logs, running
    from affetto.inference.server.app import Service, create_app
    from affetto.inference.server.catalogue import Catalogue
    from affetto.inference.sharing import load_together

    folders = named(models)
    # Before the models are loaded: that takes a while, and an address in use should be known at once.
    bound = running.bind(host, port)
    try:
        catalogue = Catalogue(load_together(folders, device=device, backbone=backbone, precision=precision))
        service = Service(catalogue, limits)
        app, guard = create_app(service)
        with_page = page and importlib.util.find_spec("gradio") is not None
        if with_page:
            from affetto.inference.server.page import mount

            mount(app, service)
        logs.set_up()
        address = running.url(bound)

        def tell() -> None:
            for line in greeting(address, catalogue, limits, with_page, host):
                say(line)
            if page and not with_page:
                say("no page for a browser: pip install 'affetto[web]'")

        server = running.server(guard, head_seconds=limits.head_seconds, busy=service.busy, started=tell)
        running.run(server, bound)
        service.close()
    finally:
        bound.close()


def named(models: Sequence[str]) -> dict[str, Path]:
    """`NAME=PATH`, or a path whose last part is the name → names and paths. Raises UserError for a name given twice."""
    found: dict[str, Path] = {}
    for model in models:
        name, equals, path = model.partition("=")
        if not equals or not _NAME.fullmatch(name) or Path(model).exists():
            folder = Path(model)
            path = model
            own = folder.resolve()
            name = own.parent.name if own.name == "model" else own.name
        if name in found:
            raise UserError(f"two models are called {name!r}: give one another name, as in other={path}")
        found[name] = Path(path)
    return found


def greeting(address: str, catalogue: Catalogue, limits: Limits, page: bool, host: str) -> list[str]:
    """What the terminal shows once the server runs; the line with curl works as it stands."""
    lines = [f"affetto serves at {address}"]
    for model in catalogue.describe():
        facts = [model.method or "", f"on {model.backbone}" if model.backbone else "", ", ".join(model.labels)]
        shared = f"; one backbone with {', '.join(model.shares_backbone_with)}" if model.shares_backbone_with else ""
        synthetic = "; trained on SYNTHETIC speech" if model.synthetic else ""
        lines.append(f"  model {model.name}: {' '.join(filter(None, facts[:2]))} ({facts[2]}){shared}{synthetic}")
    if page:
        password = " (any user name, the token as password)" if limits.token else ""
        lines.append(f"  page  {address}/{password}")
    token = ' -H "Authorization: Bearer $AFFETTO_TOKEN"' if limits.token else ""
    lines.append(f"  try   curl{token} -F file=@clip.wav {address}/v1/predict")
    if host not in LOOPBACK and limits.token is None:
        lines.append(f"warning: {host} may be reached by others, and no --token is set")
    return lines
