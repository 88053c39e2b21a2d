"""The page in a real browser: an upload becomes a result, a broken one a message, nothing is asked of others; and what
strangers ask of it beside that: nothing is there."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import httpx
import numpy as np
import pytest

from affetto.inference import timeline
from affetto.inference.notices import NOTICES
from affetto.inference.timeline import Segment
from affetto.models.novelty import Novelty
from affetto.serving import display, drawing, page, shelf
from affetto.serving.catalogue import Catalogue, model_of
from affetto.serving.limits import Limits
from affetto.serving.texts import ENGLISH, ITALIAN, LANGUAGES
from affetto.targets.multilabel import Multilabel
from models.systems import clips
from serving.served import Serving, Stub, until, wav

TOKEN = "correct-horse-battery"
AUTH = ("me", TOKEN)
LET_THROUGH = {
    "/en",
    "/en/",
    "/en/assets/x",
    "/en/static/x",
    "/en/theme.css",
    "/en/live",
    "/en/gradio_api/queue/data",
    "/en/gradio_api/queue/join",
    "/en/gradio_api/upload",
    "/en/gradio_api/file=x",
}
"""All that a browser asks of the page: the paths of Gradio's that answer, their variable parts as x."""


class Careful(Stub):
    """A stub with sets of labels and statistics of training clips: what is loud is unlike them."""

    def __init__(self, held_out: int = 300) -> None:
        super().__init__()
        self.card["confidence"] = {"sets": {"levels": [0.9], "limits": {"lac": [0.8]}}}
        self.novelty = Novelty(
            centre=np.zeros(2),
            scale=np.ones(2),
            means=np.zeros((1, 2)),
            directions=np.zeros((0, 2)),
            variances=np.zeros(0),
            rest=np.ones(1),
            held_out=np.linspace(0, 2, held_out),
        )

    def window_probabilities(self, waves):
        shares = super().window_probabilities(waves)
        distances = [[9.0 if np.abs(wave).max() > 0.9 else 1.0] for wave in waves]
        return np.concatenate([shares, distances], axis=1) if self.watches else shares


@pytest.fixture(scope="module")
def serving():
    pytest.importorskip("gradio")
    limits = Limits(max_megabytes=0.5, max_seconds=5, token=TOKEN)
    predictors = {"first": Stub(seconds=0.5), "second": Stub(), "careful": Careful()}
    serving = Serving(predictors, limits, page=True)
    with serving as url:
        serving.url = url
        yield serving


@pytest.fixture
def url(serving, monkeypatch):
    # What is loud is speech: the detector is silero's own elsewhere.
    monkeypatch.setattr(timeline, "silero", lambda: lambda frame: float(np.abs(frame).max() > 0.05))
    return serving.url


# -- a browser ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_upload_becomes_a_result_and_a_broken_one_a_message(url, browser, tmp_path, caplog, language):
    texts, asked, forbidden = LANGUAGES[language], [], []
    good, broken = tmp_path / "good.wav", tmp_path / "../broken.wav"
    good.write_bytes(wav(clips(0.8)[0]))
    broken.write_bytes(wav(clips(0.8)[0])[:2000])
    locale = {"en": "en-GB", "it": "it-IT"}[language]
    context = browser.new_context(http_credentials={"username": "me", "password": TOKEN}, locale=locale)
    context.set_default_timeout(120_000)
    context.on("request", lambda request: asked.append(request.url))
    tab = context.new_page()
    tab.on("console", lambda line: forbidden.append(line.text) if "Security Policy" in line.text else None)
    tab.goto(url)
    tab.wait_for_selector("#listen")
    assert tab.url == f"{url}/{language}/" and texts.lead in tab.inner_text("body")
    assert "2024/1689" in tab.inner_text("body") and NOTICES[language] in tab.inner_text("#notice")

    tab.set_input_files("#recording input[type=file]", good)
    tab.wait_for_selector("#recording audio, #recording #waveform", state="attached")
    tab.click("#listen")
    tab.wait_for_selector("#emotions :text('75%')")
    assert texts.labels.get("joy", "joy") in tab.inner_text("#emotions")
    assert texts.synthetic in tab.inner_text("#told")
    assert tab.locator("#timeline svg rect").count() == drawing.COLUMNS

    tab.reload()
    tab.wait_for_selector("#listen")
    tab.set_input_files("#recording input[type=file]", broken)
    tab.wait_for_selector("#recording audio, #recording #waveform", state="attached")
    tab.click("#listen")
    message = tab.wait_for_selector("#told .affetto-problem").inner_text()
    assert "broken off" in message and texts.problems.get("unusable_audio", "") in message
    assert "good" not in message and "broken.wav" not in message
    if language == "en":
        _record(tab)
    tab.click(f".affetto-languages a[hreflang={'it' if language == 'en' else 'en'}]")
    tab.wait_for_selector(f":text('{(ITALIAN if language == 'en' else ENGLISH).button}')")
    context.close()
    elsewhere = [address for address in asked if not address.startswith((url, "data:", "blob:"))]
    assert not elsewhere and len(asked) > 20 and not forbidden
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR], "who leaves is no defect"


@pytest.mark.slow
@pytest.mark.parametrize("removes", [False, True], ids=["whole", "removed"])
def test_the_page_works_under_a_path_of_a_proxy(browser, tmp_path, removes):
    pytest.importorskip("gradio")
    (tmp_path / "good.wav").write_bytes(wav(clips(0.3)[0]))
    asked = []
    with Serving({"first": Stub(seconds=0.5)}, page=True, root_path="/speech") as url:
        context = browser.new_context(locale="it-IT")
        context.set_default_timeout(120_000)
        context.on("request", lambda request: asked.append(request.url))
        if removes:  # a proxy in front of the server takes the path away
            context.route(
                "**/speech/**", lambda route: route.continue_(url=route.request.url.replace("/speech", "", 1))
            )
        tab = context.new_page()
        tab.goto(f"{url}/speech/")
        tab.wait_for_selector("#listen")
        assert tab.url == f"{url}/speech/it/"
        tab.set_input_files("#recording input[type=file]", tmp_path / "good.wav")
        tab.wait_for_selector("#recording audio, #recording #waveform", state="attached")
        tab.click("#listen")
        tab.wait_for_selector("#emotions :text('75%')")
        tab.click(".affetto-languages a[hreflang=en]")
        tab.wait_for_selector(f":text('{ENGLISH.button}')")
        context.close()
        described = httpx.get(f"{url}/openapi.json").json()
    outside = [address for address in asked if not address.startswith((f"{url}/speech/", "data:", "blob:"))]
    assert not outside and len(asked) > 20
    assert described["servers"] == [{"url": "/speech"}]


def _record(tab) -> None:
    """Something from the (fake) microphone, up to its result."""
    tab.reload()
    tab.click("#recording button[aria-label='Record audio']")
    tab.click("#recording button.record-button")
    tab.wait_for_timeout(1500)
    tab.click("#recording button:has-text('Stop')")
    tab.wait_for_selector("#recording audio, #recording #waveform", state="attached")
    tab.wait_for_selector("#recording button[aria-label='Clear']")
    tab.click("#listen")
    tab.wait_for_selector("#emotions :text('75%')")


# -- strangers ----------------------------------------------------------------------------------------------------


def _routes(app, prefix: str = "") -> Iterator[tuple[str, set[str]]]:
    """Every path that is mounted, and its methods."""
    for route in app.routes:
        path = prefix + getattr(route, "path", "")
        inner = getattr(route, "app", None)
        if hasattr(inner, "routes") and not getattr(route, "methods", None):
            yield from _routes(inner, path)
        elif hasattr(route, "original_router"):
            yield from _routes(route.original_router, prefix)
        else:
            yield path, getattr(route, "methods", None) or {"GET", "POST"}


def test_of_all_that_gradio_mounts_only_what_a_browser_needs_is_there(serving, url):
    mounted = {
        (re.sub(r"\{[^}]*\}", "x", path), method)
        for path, methods in _routes(serving.app)
        if path.startswith("/en")
        for method in methods
    }
    paths = {path for path, _ in mounted}
    assert len(paths) > 60 and {"/en/gradio_api/process_recording", "/en/gradio_api/run/x", "/en/login"} <= paths
    strangers = sorted((path, method) for path, method in mounted if path not in LET_THROUGH)
    with httpx.Client(base_url=url, auth=AUTH) as client:
        for path, method in strangers:
            answer = client.request(method, path)
            assert answer.status_code == 404, (method, path)
            assert method == "HEAD" or answer.json()["error"] == "not_found", (method, path)


def _called(
    url: str, file: object, model: object = "first", cautions: object = (), **options: object
) -> httpx.Response | list[object]:
    """The page's call for an answer, as a browser sends it: the refusal, or the values of the page's four places."""
    session = os.urandom(5).hex()
    data = {
        "data": [file, model, cautions],
        "fn_index": 0,
        "trigger_id": 6,
        "session_hash": session,
        "event_data": None,
    } | options
    join = httpx.post(f"{url}/en/gradio_api/queue/join", json=data, auth=AUTH)
    if join.status_code != 200:
        return join
    where = {"session_hash": session}
    with httpx.stream("GET", f"{url}/en/gradio_api/queue/data", params=where, auth=AUTH, timeout=60) as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line else {}
            if message.get("msg") == "process_completed":
                assert message["success"], message
                values: list[object] = message["output"]["data"]
                return values
    raise AssertionError("no answer")


def _file(path: str, **more: object) -> dict[str, object]:
    return {"path": path, "meta": {"_type": "gradio.FileData"}, **more}


def _uploaded(url: str, content: bytes, name: str = "x.wav") -> str:
    (token,) = httpx.post(f"{url}/en/gradio_api/upload", files={"files": (name, content)}, auth=AUTH).json()
    return str(token)


def test_a_call_reaches_uploads_by_their_tokens_and_no_file_beside(serving, url, tmp_path):
    content = wav(clips(0.8)[0])
    token = _uploaded(url, content, "../../x.wav")
    assert shelf.TOKEN.fullmatch(token)
    told, emotions, details, picture = _called(
        url, _file(token, url="http://elsewhere.example/x.wav", orig_name="x.wav")
    )
    assert emotions["value"]["label"] == "joy" and "0.8 s" in told and "<svg" in picture and not details
    (tmp_path / "secret.wav").write_bytes(content)
    own = serving.shelf.path(token)
    for path in (
        str(tmp_path / "secret.wav"),
        "/etc/passwd",
        "/nothing",
        str(own),
        f"{own.parent}/../{own.parent.name}/{token}",
        "http://127.0.0.1/x.wav",
        "file:///etc/passwd",
        f"{token}\n",
        f"../{token}",
        "",
        "lock",
    ):
        for call in ({"file": _file(path)}, {"file": None, "model": _file(path)}):
            answer = _called(url, **call)
            assert isinstance(answer, httpx.Response) and answer.status_code == 422, path
            assert answer.json()["error"] == "invalid_call"
    assert "no such upload" in _called(url, _file("0" * 32 + ".wav"))[0]
    assert _called(url, _file(token), "../first").json()["error"] == "unknown_model"
    assert ENGLISH.nothing in _called(url, None, None)[0]
    wrong = (
        {"fn_index": "0"},
        {"fn_index": 1},
        {"session_hash": "../x"},
        {"data": []},
        {"data": [None, None, None]},
        {"cautions": ["set\n"]},
        {"cautions": ["set"] * 4},
        {"cautions": [_file("/etc/passwd")]},
    )
    for options in wrong:
        assert _called(url, None, **options).status_code == 422


def _parts(url: str, path: str = "/en/") -> dict[str, dict[str, object]]:
    """The dropdown and the boxes of cautions of the page as a browser gets it now, and all of its texts."""
    text = httpx.get(f"{url}{path}", auth=AUTH).text
    config = json.loads(re.search(r"window\.gradio_config = (\{.*?\});</script>", text, re.DOTALL)[1])
    parts = {part["type"]: part["props"] for part in config["components"]}
    return parts | {"texts": [part["props"].get("value") for part in config["components"]]}


def test_the_page_lists_the_models_that_are_served_when_it_is_opened(serving, url):
    catalogue, token = serving.service.catalogue, _uploaded(url, wav(clips(0.8)[0]))
    former, several = catalogue.models, Stub()
    several.target = Multilabel(several.labels, 0.5)
    try:
        for path in ("/en/", "/it/"):
            assert _parts(url, path)["dropdown"]["choices"] == [[name, name] for name in ("first", "second", "careful")]
        catalogue.models = {"second": former["second"], "new": model_of("new", Stub())}
        for path in ("/en/", "/it/"):
            parts = _parts(url, path)
            assert parts["dropdown"]["choices"] == [["second", "second"], ["new", "new"]]
            assert parts["dropdown"]["value"] == "second" and parts["dropdown"]["visible"]
            assert [name for _, name in parts["checkboxgroup"]["choices"]] == ["speech"]
        assert _called(url, _file(token), "new")[1]["value"]["label"] == "joy"
        refused = _called(url, _file(token), "first")
        assert (refused.status_code, refused.json()["error"]) == (404, "unknown_model")
        catalogue.models = {"several": model_of("several", several)}
        parts = _parts(url)
        assert not parts["dropdown"]["visible"] and not parts["label"]["visible"]
        assert not any('href="live"' in str(text) for text in parts["texts"])
        gone = httpx.get(f"{url}/en/live", auth=AUTH)
        assert (gone.status_code, gone.json()["error"]) == (404, "not_found")
    finally:
        catalogue.models = former
    assert len(_parts(url)["dropdown"]["choices"]) == 3 and any('href="live"' in str(t) for t in _parts(url)["texts"])
    assert httpx.get(f"{url}/en/live", auth=AUTH).status_code == 200


def test_calls_of_the_page_and_its_uploads_take_places_among_all_others(serving, url, monkeypatch):
    token = _uploaded(url, wav(clips(0.8)[0]))
    monkeypatch.setattr(serving.service, "_places", serving.service.limits.queue)
    assert "the server is busy" in _called(url, _file(token))[0]
    refused = httpx.post(f"{url}/it/gradio_api/upload", files={"files": ("x", b"x")}, auth=AUTH)
    assert (refused.status_code, refused.json()["error"]) == (503, "queue_full")


def test_calls_of_the_page_count_among_those_of_their_client(serving, url, monkeypatch):
    token = _uploaded(url, wav(clips(0.8)[0]))
    monkeypatch.setattr(serving.service, "limits", replace(serving.service.limits, client_queue=1))
    assert _called(url, _file(token))[1]["value"]["label"] == "joy"
    monkeypatch.setattr(serving.service, "_of_client", Counter({"127.0.0.1": 1}))
    assert "as many as one client may have" in _called(url, _file(token))[0]
    refused = httpx.post(f"{url}/it/gradio_api/upload", files={"files": ("x", b"x")}, auth=AUTH)
    assert (refused.status_code, refused.json()["error"]) == (429, "client_queue_full")


def test_what_an_error_says_is_text_and_no_html():
    for words in ("", "Mended how?"):
        assert "<b>" not in display.problem(words, "<b>") and "&lt;b&gt;" in display.problem(words, "<b>")


def test_a_stream_of_no_session_is_a_refusal_and_no_defect(url, caplog):
    with caplog.at_level(logging.INFO, logger="affetto.server"):
        answer = httpx.get(f"{url}/en/gradio_api/queue/data", params={"session_hash": "nobody"}, auth=AUTH)
        until(lambda: "request" in caplog.messages)
    assert "404" in answer.text
    events = [(record.message, getattr(record, "facts", {}).get("error")) for record in caplog.records]
    assert ("request", "refused_404") in events and not [event for event in events if event[0] != "request"]


def test_an_answer_with_cautions_is_a_set_or_none(url):
    quiet, loud = 0.5 * clips(0.8)[0] / np.abs(clips(0.8)[0]).max(), np.ones(8000, np.float32)
    words, shares, *_ = _called(url, _file(_uploaded(url, wav(quiet))), "careful", ["set", "novelty"])
    assert shares["value"]["label"] == "joy" and "It may be: <b>joy, anger</b>" in words
    assert ENGLISH.familiar.format(share=150 / 301) in words and "No answer" not in words
    words, shares, *rest = _called(url, _file(_uploaded(url, wav(loud))), "careful", ["set", "novelty"])
    assert (
        ENGLISH.novel.format(share=300 / 301) in words and "It may be" not in words and ENGLISH.abstained not in words
    )
    assert not shares["value"] and not shares["visible"] and rest == ["", ""]
    assert "No answer" not in _called(url, _file(_uploaded(url, wav(loud))), "careful", ["set"])[0]


def test_a_recording_without_speech_gets_no_answer_and_a_model_says_what_it_cannot_do(url):
    token = _uploaded(url, wav(clips(0.8)[0]))
    words, shares, *_ = _called(url, _file(token), "careful", ["novelty", "speech"])
    assert ENGLISH.no_speech.format(seconds=0.0, least=0.5) in words and not shares["value"]
    words, shares, *_ = _called(url, _file(token), "first", ["set", "novelty"])
    missing = f"{ENGLISH.cautions['set']}, {ENGLISH.cautions['novelty']}"
    assert ENGLISH.lacks.format(cautions=missing) in words and shares["value"]["label"] == "joy"


def test_a_call_is_made_anew_of_what_may_be_in_it():
    token, stranger = "0" * 32 + ".wav", _file("/etc/passwd")
    call = {
        "data": [_file(token, url="http://elsewhere.example/", is_stream=True), None, ["set"]],
        "fn_index": 0,
        "trigger_id": 6,
        "session_hash": "a1",
        "event_data": stranger,
        "batched": True,
        "x": stranger,
    }
    assert json.loads(page.checked_call(Catalogue({"first": Stub()}), json.dumps(call).encode())) == {
        "data": [_file(token), "first", ["set"]],
        "fn_index": 0,
        "trigger_id": 6,
        "session_hash": "a1",
    }


def test_an_upload_is_played_as_nothing_but_sound(url):
    content = b"<script>alert(1)</script>"
    token = _uploaded(url, content, "x.html")
    played = httpx.get(f"{url}/en/gradio_api/file={token}", auth=AUTH)
    assert played.content == content and "html" not in played.headers["content-type"]
    assert "sandbox" in played.headers["content-security-policy"]
    assert played.headers["content-disposition"].startswith("attachment") and "x.html" not in str(played.headers)
    for other in ("/etc/passwd", "/proc/self/environ", "http://127.0.0.1/", "lock", "0" * 32 + ".wav"):
        assert httpx.get(f"{url}/en/gradio_api/file={other}", auth=AUTH).status_code == 404
    large = httpx.post(f"{url}/it/gradio_api/upload", files={"files": bytes(2_000_000)}, auth=AUTH)
    assert large.status_code == 413
    assert httpx.post(f"{url}/en/gradio_api/upload", files={"files": b"x"}).status_code == 401


def test_an_upload_is_deleted_after_its_time(serving, url, monkeypatch):
    monkeypatch.setattr(shelf, "KEPT_SECONDS", 0.3)
    path = serving.shelf.folder / _uploaded(url, wav(clips(0.5)[0]))
    until = time.monotonic() + 60
    while path.exists():
        assert time.monotonic() < until, "it is still there"
        time.sleep(0.05)


def test_the_page_wants_the_token_and_shares_nothing(url):
    response = httpx.get(f"{url}/en/", headers={"Origin": "https://elsewhere.example"})
    assert response.status_code == 401 and response.headers["WWW-Authenticate"].startswith("Basic")
    response = httpx.get(f"{url}/en/", headers={"Origin": "https://elsewhere.example"}, auth=AUTH)
    policy = response.headers["Content-Security-Policy"]
    assert response.status_code == 200 and "connect-src 'self'" in policy and "unsafe-eval" not in policy
    assert "script-src 'self' 'sha256-" in policy
    assert not [name for name in response.headers if name.startswith("access-control-")]
    entrance = httpx.get(url, auth=AUTH, headers={"Accept-Language": "de,it;q=0.8,en"})
    assert entrance.status_code == 307 and entrance.headers["location"] == "/it/"


# -- its words and pictures ---------------------------------------------------------------------------------------


def test_both_languages_say_the_same_things():
    for name in ENGLISH.__dataclass_fields__:
        if name not in ("labels", "names", "problems"):
            assert getattr(ENGLISH, name) and getattr(ITALIAN, name) != getattr(ENGLISH, name)
    assert ENGLISH.summary.format(seconds=1, model="m") and ITALIAN.summary.format(seconds=1, model="m")


def test_a_timeline_is_drawn_in_the_colours_of_its_emotions():
    segments = [Segment(0.0, 1.0, "joy", {}), Segment(1.5, 2.0, "fear", {})]
    made = drawing.timeline(np.ones(32_000, np.float32), 16_000, segments, ("fear", "joy"), {"joy": "gioia <b>"})
    assert made.count(f'fill="{drawing.COLOURS[1]}"') == 300 and made.count(f'fill="{drawing.COLOURS[0]}"') == 150
    assert made.count('fill="#c8c8c8"') == 150, "nobody speaks there"
    assert "gioia &lt;b&gt;" in made and "<b>" not in made and "2.0 s" in made
