"""A page for a browser, by Gradio, in English and Italian; everything that it shows comes from this server.

Gradio's own upload keeps the name that the client gave and asks nobody for a limit, so that ours stands before it; its
analytics, run history and outside links are off, its fonts are the system's, and the guard's policy forbids the browser
to ask any other host.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import shutil
import tempfile
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Request
from starlette.responses import JSONResponse, RedirectResponse

from affetto import audio
from affetto.inference.server import drawing, logs
from affetto.inference.server.app import Service
from affetto.inference.server.refusals import RefusalError
from affetto.inference.server.texts import LANGUAGES, Texts
from affetto.inference.server.uploads import receive

KEPT_SECONDS = 300
"""So long an upload stays, to be played on the page."""
_SUFFIXES = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3", b"\xff\xfb": ".mp3"}
"""By how a file begins; only so that a browser knows how to play it."""
STYLE = """
.affetto-languages {text-align: right; font-size: .95rem} .affetto-languages a {margin-left: .8em}
.affetto-note {padding: .6em .8em; border-radius: .5em; background: #fff4d6; color: #4a3b00}
.affetto-problem {padding: .6em .8em; border-radius: .5em; background: #fde2e0; color: #7a1008}
.affetto-timeline svg {width: 100%; height: 110px; display: block}
.affetto-times {display: flex; justify-content: space-between; font-size: .85rem; opacity: .8}
.affetto-key {display: inline-flex; align-items: center; margin-right: 1em}
.affetto-key i {width: .8em; height: .8em; border-radius: 50%; margin-right: .35em}
"""


def mount(app: FastAPI, service: Service) -> None:
    """Add the page in every language, and a way to it from `/`."""
    folder = Path(tempfile.mkdtemp(prefix="affetto-page-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ |= {
        "GRADIO_TEMP_DIR": str(folder), "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1",
    }  # fmt: skip
    import gradio

    _add_entrance(app)
    for texts in LANGUAGES.values():
        _add_upload(app, service, texts.code, folder)
        # The browser's language is what Gradio's own words follow; here it is the page's.
        head = (
            f"<script>for (const name of ['language', 'languages']) Object.defineProperty(navigator, name, "
            f"{{get: () => name === 'language' ? '{texts.code}' : ['{texts.code}']}})</script>"
        )
        gradio.mount_gradio_app(
            app, _blocks(service, texts), f"/{texts.code}", footer_links=[], run_history=False, ssr_mode=False,
            max_file_size=service.limits.max_bytes, show_error=True, enable_monitoring=False, mcp_server=False,
            pwa=False, css=STYLE, head=head, theme=_theme(),
        )  # fmt: skip


def _add_entrance(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def entrance(request: Request) -> RedirectResponse:
        wanted = [part.strip()[:2].lower() for part in request.headers.get("accept-language", "").split(",")]
        return RedirectResponse(f"/{next((code for code in wanted if code in LANGUAGES), 'en')}/")


def _add_upload(app: FastAPI, service: Service, code: str, folder: Path) -> None:
    @app.post(f"/{code}/gradio_api/upload", include_in_schema=False)
    async def upload(request: Request) -> JSONResponse:
        with service.place():
            content = (await receive(request, service.limits, "files")).audio
        own = folder / secrets.token_hex(16)
        own.mkdir(mode=0o700)
        suffix = next((suffix for magic, suffix in _SUFFIXES.items() if content.startswith(magic)), ".bin")
        file = own / f"recording{suffix}"
        # Gradio's own sweep knows only of what its own upload has taken.
        asyncio.get_running_loop().call_later(KEPT_SECONDS, partial(shutil.rmtree, own, ignore_errors=True))
        await asyncio.to_thread(file.write_bytes, content)
        return JSONResponse([str(file)])


def _theme() -> Any:
    import gradio

    system = [gradio.themes.Font("system-ui"), gradio.themes.Font("sans-serif")]
    return gradio.themes.Soft(font=system, font_mono=[gradio.themes.Font("monospace")])


def _blocks(service: Service, texts: Texts) -> Any:
    import gradio as gr

    names = list(service.catalogue.predictors)
    others = "".join(
        f'<a href="../{code}/" hreflang="{code}" lang="{code}">{other.name}</a>' if other is not texts
        else f'<a aria-current="true" style="font-weight:bold;text-decoration:none">{other.name}</a>'
        for code, other in LANGUAGES.items()
    )  # fmt: skip
    with gr.Blocks(title=f"affetto: {texts.title}", analytics_enabled=False) as blocks:
        gr.HTML(f'<nav class="affetto-languages">{others}</nav>')
        gr.Markdown(f"# {texts.title}\n{texts.lead}")
        with gr.Row():
            with gr.Column():
                recording = gr.Audio(
                    sources=["upload", "microphone"], type="filepath", label=texts.recording, buttons=[],
                    editable=False, elem_id="recording",
                )  # fmt: skip
                model = gr.Dropdown(names, value=names[0], label=texts.model, interactive=True, visible=len(names) > 1)
                button = gr.Button(texts.button, variant="primary", elem_id="listen")
            with gr.Column():
                told = gr.HTML(elem_id="told")
                bars = gr.Label(label=texts.emotions, num_top_classes=20, elem_id="emotions")
        over_time = gr.HTML(elem_id="timeline")
        with gr.Accordion(texts.limits_title, open=True):
            gr.Markdown(texts.limits)
        recording.__dict__["async_move_resource_to_block_cache"] = _local_only
        _connect(button.click, service, texts, [recording, model], [told, bars, over_time])
    blocks.queue(default_concurrency_limit=None, api_open=False)
    return blocks


async def _local_only(url_or_file_path: str | Path | None) -> str | None:
    """Gradio would fetch an address that a client sends instead of a file; here only an upload is one."""
    if url_or_file_path is None or not Path(url_or_file_path).is_file():
        raise ValueError("no such upload")
    return str(url_or_file_path)


def _connect(event: Any, service: Service, texts: Texts, inputs: list[Any], outputs: list[Any]) -> None:
    async def hear(file: str | None, model: str) -> tuple[str, dict[str, float] | None, str]:
        if not file:
            return _problem(texts.nothing), None, ""
        try:
            with service.place():
                content = await asyncio.to_thread(Path(file).read_bytes)
                return await _heard(service, texts, service.catalogue.resolve(model), await service.decode(content))
        except RefusalError as problem:
            logs.event("page", status=problem.status, model=model)
            return _problem(texts.problems.get(problem.code, ""), problem.message), None, ""

    event(hear, inputs, outputs, api_visibility="private", concurrency_limit=None)


async def _heard(
    service: Service, texts: Texts, model: str, wave: np.ndarray
) -> tuple[str, dict[str, float] | None, str]:  # fmt: skip
    predictor = service.catalogue.predictors[model]
    found = await service.predict(model, wave)
    notes = [texts.synthetic] if predictor.card.get("synthetic") else []
    notes += [texts.abstained] if found.emotion is None else []
    told = texts.heard.format(seconds=found.seconds_heard, model=escape(model))
    note = "".join(f'<p class="affetto-note">{line}</p>' for line in notes)
    drawn = ""
    window = predictor.window_seconds
    if window is not None and found.seconds > window and service.makes_timelines:
        segments = await service.timeline(model, wave)
        drawn = drawing.timeline(wave, audio.RATE_HZ, segments, predictor.labels, texts.labels)
        none = "" if segments else f"<p>{texts.timeline_none}</p>"
        drawn = f"<h3>{texts.timeline}</h3>{drawn}{none}"
    logs.event("page", status=200, model=model, audio_seconds=round(found.seconds, 3))
    return f"{note}<p>{told}</p>", {texts.labels.get(k, k): p for k, p in found.probabilities.items()}, drawn


def _problem(words: str, detail: str = "") -> str:
    detail = f"<small>{escape(detail)}</small>" if words and detail else escape(detail)
    return f'<p class="affetto-problem" role="alert">{words} {detail}</p>'
