"""The page that listens live, in a real browser whose microphone plays a file."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

from affetto.inference import timeline
from affetto.serving.limits import Limits
from affetto.serving.live_texts import LIVE_TEXTS
from affetto.serving.texts import LANGUAGES
from conftest import CHROMIUM, FAKE_MICROPHONE
from serving.served import Serving, Stub

TOKEN = "correct-horse-battery"
RATE_HZ = 48_000
SECONDS = 2.0, 1.5
"""Loud, then quiet, again and again."""


@pytest.fixture(autouse=True)
def detector(monkeypatch):
    pytest.importorskip("silero_vad")
    monkeypatch.setattr(timeline, "silero", lambda: lambda frame: float(np.abs(frame).max() > 0.05))


@pytest.fixture(scope="module")
def speaking(tmp_path_factory) -> Iterator[Any]:
    """Chromium with a microphone that plays a tone and pauses."""
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}: apt-get install chromium")
    path = tmp_path_factory.mktemp("microphone") / "speech.wav"
    tone = 0.5 * np.sin(np.arange(int(SECONDS[0] * RATE_HZ)) * 0.05)
    soundfile.write(path, np.concatenate([tone, np.zeros(int(SECONDS[1] * RATE_HZ))]), RATE_HZ, subtype="PCM_16")
    with playwright.sync_playwright() as made:
        arguments = ["--no-sandbox", *FAKE_MICROPHONE, f"--use-file-for-fake-audio-capture={path}"]
        chromium = made.chromium.launch(executable_path=str(CHROMIUM), args=arguments)
        yield chromium
        chromium.close()


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_microphone_hears_becomes_segments_while_it_listens(speaking, caplog, language):
    pytest.importorskip("gradio")
    texts, words = LANGUAGES[language], LIVE_TEXTS[language]
    asked, forbidden = [], []
    limits = Limits(token=TOKEN)
    serving = Serving({"a": Stub(seconds=1.0), "b": Stub(seconds=1.0)}, limits, page=True, root_path="/speech")
    with caplog.at_level(logging.INFO, logger="affetto.server"), serving as url:
        context = speaking.new_context(
            http_credentials={"username": "me", "password": TOKEN}, viewport={"width": 390, "height": 800}
        )
        context.set_default_timeout(60_000)
        context.on("request", lambda request: asked.append(request.url))
        tab = context.new_page()
        tab.on("console", lambda line: forbidden.append(line.text) if line.type == "error" else None)
        tab.on("pageerror", lambda problem: forbidden.append(str(problem)))
        tab.on("websocket", lambda socket: asked.append(socket.url))
        tab.goto(f"{url}/speech/{language}/live")
        assert texts.synthetic in tab.inner_text("body") and words["lead"] in tab.inner_text("body")
        tab.select_option("#model", "b")
        tab.click("#start")
        tab.wait_for_selector("#status[data-state=listening]")
        tab.wait_for_selector("#now .word")
        assert not tab.is_visible("#access"), "the browser has sent the page's password"
        tab.wait_for_selector("#segments li:nth-child(2)")
        assert tab.inner_text("#status") == words["listening"], "segments come before the end"
        if folder := os.environ.get("AFFETTO_PICTURES"):
            tab.screenshot(path=f"{folder}/live-{language}-390.png", full_page=True)
            tab.set_viewport_size({"width": 1280, "height": 800})
            tab.screenshot(path=f"{folder}/live-{language}-1280.png", full_page=True)
            tab.set_viewport_size({"width": 390, "height": 800})
        tab.click("#start")
        tab.wait_for_selector("#status[data-state=done]")
        lines = tab.locator("#segments li")
        assert lines.count() >= 2 and texts.labels.get("joy", "joy") in lines.first.inner_text()
        assert "75 %" in lines.first.inner_text() and tab.inner_text("#start") == words["start"]
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        context.close()
    assert not forbidden
    ours = (f"{url}/speech/{language}/", f"{url.replace('http', 'ws')}/speech/{language}/live/stream", "data:")
    outside = [address for address in asked if not address.startswith(ours)]
    assert not outside and len(asked) >= 4
    facts = next(record.facts for record in caplog.records if record.__dict__.get("facts", {}).get("status") == 101)
    assert facts["status"] == 101 and facts["model"] == "b" and facts["audio_seconds"] > 3


def test_the_page_and_its_files_are_all_that_is_there():
    pytest.importorskip("gradio")
    with Serving({"a": Stub()}, page=True) as url:
        page = httpx.get(f"{url}/en/live")
        assert page.headers["content-type"].startswith("text/html") and "script-src 'self'" in str(page.headers)
        for name in ("live.js", "worklet.js", "live.css"):
            assert httpx.get(f"{url}/en/live/{name}").status_code == 200
        for name in ("", "live.py", "..%2flive.js", "live.jsx"):
            assert httpx.get(f"{url}/en/live/{name}").status_code == 404


def test_both_languages_have_the_same_words():
    english, italian = (set(LIVE_TEXTS[code]) for code in ("en", "it"))
    assert english <= italian and italian - english == {"unauthorised", "ending", "too_slow"}, "errors are in English"
