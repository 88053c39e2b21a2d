"""A page for a browser, by Gradio, in English and Italian; everything that it shows comes from this server.

Of Gradio's routes the guard lets through what a browser needs. Two are ours: uploads, because Gradio's own keeps the
name that the client gave and asks nobody for a limit, and their playing, because Gradio's own would read other files
and fetch addresses. A call for an answer is made anew of what may be in it. Its analytics, run history and outside
links are off, its fonts are the system's, and the guard's policy forbids the browser to ask any other host.
"""

from __future__ import annotations

import asyncio
import os
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import FileResponse, JSONResponse, RedirectResponse

from affetto.inference.predictor import Prediction
from affetto.serving import cautions, display, logs, routes
from affetto.serving.catalogue import Catalogue
from affetto.serving.live_page import add_live_page, offers_live
from affetto.serving.live_texts import LIVE_TEXTS
from affetto.serving.middleware import Guard
from affetto.serving.processing import segment
from affetto.serving.refusals import RefusalError
from affetto.serving.routes import Route
from affetto.serving.service import Job, Service
from affetto.serving.shelf import TOKEN, Shelf
from affetto.serving.texts import LANGUAGES, Texts
from affetto.serving.uploads import receive

STYLE = f"""
.affetto-languages {{text-align: right; font-size: .95rem}} .affetto-languages a {{margin-left: .8em}}
{display.STYLE}"""


def mount(app: FastAPI, guard: Guard, service: Service, shelf: Shelf) -> None:
    """Add the page in every language, and a way to it from `/`."""
    os.environ |= {
        "GRADIO_TEMP_DIR": str(shelf.folder / "gradio"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    import gradio

    _add_entrance(app)
    guard.routes += (Route("/"),)
    for texts in LANGUAGES.values():
        _add_uploads(app, service, texts.code, shelf)
        add_live_page(app, guard, service, texts)
        blocks, parts = _blocks(service, texts, shelf)
        gradio.mount_gradio_app(
            app,
            blocks,
            f"/{texts.code}",
            footer_links=[],
            run_history=False,
            ssr_mode=False,
            max_file_size=service.limits.max_bytes,
            show_error=True,
            enable_monitoring=False,
            mcp_server=False,
            root_path=f"{guard.root_path}/{texts.code}" if guard.root_path else None,
            pwa=False,
            css=STYLE,
            theme=_theme(),
        )
        guard.routes += routes.page(texts.code, partial(checked_call, service.catalogue))
        service.catalogue.watch(partial(_list_anew, blocks, parts, service, texts))


def _add_entrance(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    async def entrance(request: Request) -> RedirectResponse:
        languages = [part.strip()[:2].lower() for part in request.headers.get("accept-language", "").split(",")]
        code = next((code for code in languages if code in LANGUAGES), "en")
        return RedirectResponse(f"{request.scope['root_path']}/{code}/")


def _add_uploads(app: FastAPI, service: Service, code: str, shelf: Shelf) -> None:
    @app.post(f"/{code}/gradio_api/upload", include_in_schema=False)
    async def upload(request: Request) -> JSONResponse:
        with service.take_place(request.state.client):
            content = (await receive(request, service.limits, "files")).audio
            return JSONResponse([await shelf.keep(content)])

    @app.get(f"/{code}/gradio_api/file={{token}}", include_in_schema=False)
    async def play(token: str) -> FileResponse:
        return FileResponse(shelf.path(token), filename=token)


# -- calls ----------------------------------------------------------------------------------------------------------


class _File(BaseModel):
    path: str = Field(pattern=f"^{TOKEN.pattern}$")


_Caution = Annotated[str, Field(pattern=f"^({'|'.join(cautions.CAUTIONS)})$")]


class _Call(BaseModel):
    """A browser's call for an answer, with a recording, a model's name and cautions; whatever else is left out."""

    model_config = ConfigDict(strict=True)

    data: tuple[_File | None, str | None, Annotated[list[_Caution], Field(max_length=len(cautions.CAUTIONS))]]
    fn_index: Literal[0]  # the page has one function
    trigger_id: int | None = Field(default=None, ge=0, le=10_000)
    session_hash: str = Field(pattern="^[A-Za-z0-9]{1,64}$")


def checked_call(catalogue: Catalogue, content: bytes) -> bytes:
    """A call as Gradio may see it: values that it would read or fetch by themselves are in none.

    Raises RefusalError: 422 for what a page of ours does not send, 404 for a model that is not there.
    """
    try:
        call = _Call.model_validate_json(content)
    except ValidationError:
        raise RefusalError(422, "invalid_call", "not a call that the page makes; programs use /v1") from None
    file, model, names = call.data
    recording = None if file is None else {"path": file.path, "meta": {"_type": "gradio.FileData"}}
    call = call.model_copy(update={"data": (recording, catalogue.find(model).name, names)})
    return call.model_dump_json(warnings=False).encode()


# -- the page -------------------------------------------------------------------------------------------------------


def _theme() -> Any:
    import gradio

    system = [gradio.themes.Font("system-ui"), gradio.themes.Font("sans-serif")]
    return gradio.themes.Soft(font=system, font_mono=[gradio.themes.Font("monospace")])


def _listed(service: Service, texts: Texts) -> dict[str, dict[str, Any]]:
    """Properties of the page's parts that depend on the models, by the names of the parts."""
    predictors = service.catalogue.predictors
    names = list(predictors)
    checks = cautions.possible(predictors.values())
    has_labels = any(predictor.target.labels for predictor in predictors.values())
    return {
        "links": {"value": _links(service, texts)},
        "lead": {"value": f"# {texts.title}\n{texts.lead if has_labels else texts.lead_dimensions}"},
        "model": {"choices": [(name, name) for name in names], "value": names[0], "visible": len(names) > 1},
        "checks": {"choices": [(texts.cautions[name], name) for name in checks], "visible": bool(checks)},
        "bars": {"visible": predictors[names[0]].target.has_classes},
    }


def _list_anew(blocks: Any, parts: dict[str, Any], service: Service, texts: Texts) -> None:
    """Let the page, when it is opened next, show the models that are served now, and take calls for them."""
    for name, properties in _listed(service, texts).items():
        for key, value in properties.items():
            setattr(parts[name], key, value)
    blocks.config = blocks.get_config_file()


def _blocks(service: Service, texts: Texts, shelf: Shelf) -> tuple[Any, dict[str, Any]]:
    """The page, and its parts that depend on the models."""
    import gradio as gr

    listed = _listed(service, texts)
    with gr.Blocks(title=f"affetto: {texts.title}", analytics_enabled=False) as blocks:
        links = _html(**listed["links"])
        lead = gr.Markdown(**listed["lead"])
        _html(service.disclosure.html(texts.code, texts.notices), elem_id="notice")
        with gr.Row():
            with gr.Column():
                recording = gr.Audio(
                    sources=["upload", "microphone"],
                    type="filepath",
                    label=texts.recording,
                    buttons=[],
                    editable=False,
                    elem_id="recording",
                )
                model = gr.Dropdown(label=texts.model, interactive=True, **listed["model"])
                checks = gr.CheckboxGroup(label=texts.careful, elem_id="cautions", **listed["checks"])
                button = gr.Button(texts.button, variant="primary", elem_id="listen")
            with gr.Column():
                summary = _html(elem_id="told")
                bars = gr.Label(label=texts.emotions, num_top_classes=20, elem_id="emotions", **listed["bars"])
                details = _html(elem_id="details")
        over_time = _html(elem_id="timeline")
        with gr.Accordion(texts.limits_title, open=True):
            gr.Markdown(texts.limits)
        recording.__dict__["async_move_resource_to_block_cache"] = _keep_token
        _connect(
            button.click,
            service,
            texts=texts,
            shelf=shelf,
            inputs=[recording, model, checks],
            outputs=[summary, bars, details, over_time],
        )
    blocks.queue(default_concurrency_limit=None, api_open=False)
    return blocks, {"links": links, "lead": lead, "model": model, "checks": checks, "bars": bars}


def _links(service: Service, texts: Texts) -> str:
    """HTML of the ways to the page that listens live, and to the other language."""
    links = "".join(
        f'<a href="../{code}/" hreflang="{code}" lang="{code}">{language.name}</a>'
        if language is not texts
        else f'<a aria-current="true" style="font-weight:bold;text-decoration:none">{language.name}</a>'
        for code, language in LANGUAGES.items()
    )
    live = f'<a href="live">{LIVE_TEXTS[texts.code]["link"]}</a>' if offers_live(service) else ""
    return f'<nav class="affetto-languages">{live}{links}</nav>'


def _html(value: str = "", elem_id: str | None = None) -> Any:
    """A place for HTML of ours. Gradio's own compiles it as a template, which the page's policy does not allow."""
    import gradio

    return gradio.Markdown(value, sanitize_html=False, latex_delimiters=[], elem_id=elem_id)


async def _keep_token(token: str | None) -> str | None:
    """Gradio would copy a file, or fetch an address; a token stays one until the shelf is asked."""
    return token


def _connect(
    event: Any, service: Service, *, texts: Texts, shelf: Shelf, inputs: list[Any], outputs: list[Any]
) -> None:
    import gradio

    async def answer(token: str | None, name: str, checks: list[str], request: Any) -> tuple[str, Any, str, str]:
        client: str = request.request.state.client
        if not token:
            return display.problem(texts.nothing), None, "", ""
        try:
            model = service.catalogue.find(name)
            with service.take_place(client):
                content = await asyncio.to_thread(shelf.read, token)
                task = partial(_classify, service=service, texts=texts, checks=checks)
                result, notes, pictures = await service.process(model, content, task, client)
        except RefusalError as problem:
            logs.event("page", status=problem.status, error=problem.code)
            service.meters.count_request("page", problem.status, name)
            return display.problem(texts.problems.get(problem.code, ""), problem.message), None, "", ""
        logs.event("page", status=200, model=name, audio_seconds=round(result.seconds, 3))
        service.meters.count_request("page", 200, name)
        predictor = model.predictor
        words = {texts.labels.get(label, label): share for label, share in result.probabilities.items()}
        has_classes = predictor.target.has_classes
        shows_shares = has_classes and result.refused is None
        probabilities = gradio.update(value=words if shows_shares else None, visible=shows_shares)
        return notes + display.summary(result, predictor, name, texts), probabilities, *pictures

    # By this annotation Gradio knows what to pass; as text it would not find it.
    answer.__annotations__["request"] = gradio.Request
    event(answer, inputs, outputs, api_visibility="private", concurrency_limit=None)


def _classify(job: Job, service: Service, texts: Texts, checks: list[str]) -> tuple[Prediction, str, tuple[str, str]]:
    """Predict, and draw the details, and the timeline where the recording is longer than a window.

    Returns the prediction, HTML about the cautions, and the details and the timeline.
    """
    predictor = job.predictor
    missing = cautions.take(checks, predictor)
    result = predictor.classify([job.wave])[0]
    notes = display.caution_notes(result, missing, texts)
    if result.refused is not None:
        return result, notes, ("", "")
    window = predictor.window_seconds
    is_long = window is not None and result.seconds > window
    if not (is_long and service.makes_timelines and predictor.target.makes_timeline):
        return result, notes, (display.details(result, predictor, (), texts), "")
    segments = segment(job)
    return (
        result,
        notes,
        (
            display.details(result, predictor, segments, texts),
            display.over_time(job.wave, predictor, segments, texts),
        ),
    )
