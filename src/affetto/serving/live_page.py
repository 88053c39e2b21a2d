"""Page that listens live: it sends the microphone's sound by a WebSocket, and shows segments as they are decided."""

from __future__ import annotations

import json
from html import escape
from importlib import resources

from fastapi import FastAPI
from starlette.responses import Response

from affetto.serving.drawing import COLOURS
from affetto.serving.live_texts import LIVE_TEXTS
from affetto.serving.middleware import Guard
from affetto.serving.refusals import RefusalError
from affetto.serving.routes import Route
from affetto.serving.service import Service
from affetto.serving.texts import LANGUAGES, Texts

_KINDS = {"live.js": "text/javascript", "worklet.js": "text/javascript", "live.css": "text/css"}


def add_live_page(app: FastAPI, guard: Guard, service: Service, texts: Texts) -> None:
    """Add the page in a language, where the server makes timelines; call it before Gradio's page is mounted.

    While no model makes any it is not found."""
    if not service.makes_timelines:
        return
    root = f"/{texts.code}/live"

    @app.get(root, include_in_schema=False)
    async def page() -> Response:
        if not offers_live(service):
            raise RefusalError(404, "not_found", "no model of this server makes timelines now")
        return Response(_document(service, texts), media_type="text/html")

    @app.get(f"{root}/{{name}}", include_in_schema=False)
    async def file(name: str) -> Response:
        return Response(_file(name), media_type=_KINDS[name])

    names = "|".join(name.replace(".", r"\.") for name in _KINDS)
    # A browser sends the page's password to paths beside the page's, so that the page has a WebSocket of its own there.
    stream = Route(f"{root}/stream", is_stream=True, is_logged=True)
    guard.routes += (Route(root, is_document=True), Route(f"{root}/(?:{names})"), stream)


def offers_live(service: Service) -> bool:
    """True if the server makes timelines, and some model that it serves now."""
    return service.makes_timelines and bool(_models(service))


def _models(service: Service) -> list[str]:
    return [name for name, predictor in service.catalogue.predictors.items() if predictor.target.makes_timeline]


def _file(name: str) -> str:
    return (resources.files("affetto.serving") / "live" / name).read_text(encoding="utf-8")


def _document(service: Service, texts: Texts) -> str:
    words = LIVE_TEXTS[texts.code]
    models = _models(service)
    predictors = service.catalogue.predictors
    labels = dict.fromkeys(label for name in models for label in predictors[name].target.labels)
    data = {
        "texts": {**texts.problems, **words, "labels": texts.labels, "names": texts.names},
        "colours": {label: COLOURS[n % len(COLOURS)] for n, label in enumerate(labels)},
    }
    attributes = " ".join(f"data-{name}='{escape(json.dumps(value))}'" for name, value in data.items())
    options = "".join(f"<option>{escape(name)}</option>" for name in models)
    is_synthetic = any(predictors[name].card.get("synthetic") for name in models)
    synthetic = f'<p class="affetto-note">{texts.synthetic}</p>' if is_synthetic else ""
    links = "".join(
        f'<a href="../{code}/live" hreflang="{code}" lang="{code}">{language.name}</a>'
        if language is not texts
        else f'<a aria-current="true" lang="{code}">{language.name}</a>'
        for code, language in LANGUAGES.items()
    )
    return f"""<!DOCTYPE html>
<html lang="{texts.code}"><head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>affetto: {words["title"]}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="live/live.css"><script type="module" src="live/live.js"></script>
</head><body>
<nav><a class="back" href="./">{words["back"]}</a>{links}</nav>
<main id="live" data-stream="live/stream" data-worklet="live/worklet.js" {attributes}>
<h1>{words["title"]}</h1><p>{words["lead"]}</p>
{service.disclosure.html(texts.code, texts.notices)}{synthetic}
<div class="controls">
<label{" hidden" * (len(models) < 2)}>{texts.model}<select id="model">{options}</select></label>
<label id="access" hidden>{words["token"]}<input id="token" type="password" autocomplete="off"></label>
<button id="start" type="button">{words["start"]}</button>
</div>
<p id="status" role="status"></p>
<h2>{words["now"]}</h2><div id="now"></div>
<h2>{words["segments"]}</h2><ol id="segments" aria-live="polite"></ol>
</main></body></html>
"""
