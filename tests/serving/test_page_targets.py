"""The page in a real browser for models of several labels and of dimensions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affetto.inference import timeline
from affetto.inference.loading import load
from affetto.serving import plane
from affetto.serving.texts import ENGLISH, ITALIAN
from serving.served import RATE_HZ, Serving, wav
from training.corpora import sound

LOUD = np.concatenate([np.tile(sound(number, 0, 0), 16)[: 4 * RATE_HZ] for number in (0, 5)])


def _choose(tab: Any, label: str, model: str) -> None:
    tab.get_by_label(label).first.click()
    tab.click(f"[role=option]:has-text('{model}')")


@pytest.mark.slow
def test_each_target_is_shown_in_its_own_way(
    target_run: Callable[[str], Path],
    browser: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("gradio")
    pytest.importorskip("silero_vad")
    monkeypatch.setattr(timeline, "silero", lambda: lambda frame: float(np.abs(frame).max() > 0.05))
    predictors = {name: load(target_run(name), device="cpu") for name in ("dimensions", "joint", "multilabel")}
    expected = predictors["dimensions"](LOUD).dimensions
    (tmp_path / "long.wav").write_bytes(wav(LOUD))
    forbidden: list[str] = []
    with Serving(predictors, page=True) as url:
        context = browser.new_context(locale="it-IT", viewport={"width": 390, "height": 900})
        context.set_default_timeout(120_000)
        tab = context.new_page()
        tab.on("console", lambda line: forbidden.append(line.text) if "Security Policy" in line.text else None)
        tab.goto(f"{url}/it/")
        tab.wait_for_selector("#listen")
        assert tab.locator("#emotions").count() == 0, "the first model has no probabilities"
        tab.set_input_files("#recording input[type=file]", tmp_path / "long.wav")
        tab.wait_for_selector("#recording audio, #recording #waveform", state="attached")

        tab.click("#listen")
        point = tab.wait_for_selector("#details .affetto-point")
        share = (expected["valence"] - 1) / 4
        assert float(point.get_attribute("cx")) == pytest.approx(plane.MARGIN + plane.SIDE * share, abs=0.2)
        words = tab.inner_text("#details")
        assert f"valenza {expected['valence']:.2f} (" in words and "attivazione" in words
        assert ITALIAN.path in words and ITALIAN.interval.format(level=0.9) in words
        assert tab.locator("#details .affetto-interval").count() == 1
        assert tab.locator("#details .affetto-path .affetto-begin").count() == 1
        assert tab.locator("#timeline .affetto-curve").count() == 2
        assert ITALIAN.abstained not in tab.inner_text("#told")
        box = tab.locator("#details .affetto-plane").bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390

        _choose(tab, ITALIAN.model, "joint")
        tab.click("#listen")
        tab.wait_for_selector("#emotions :text('%')")
        assert tab.locator("#details .affetto-point").count() == 1

        _choose(tab, ITALIAN.model, "multilabel")
        tab.click("#listen")
        tab.wait_for_selector(f"#details :text('{ITALIAN.several}')")
        assert tab.locator("#details .affetto-fill").count() == 7 and tab.locator("#emotions").count() == 0
        assert tab.locator("#details .affetto-plane").count() == 0 and not tab.inner_text("#timeline").strip()
        context.close()
    assert not forbidden
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_the_page_of_models_without_labels_does_not_speak_of_emotions() -> None:
    for texts in (ENGLISH, ITALIAN):
        assert "emoz" not in texts.lead_dimensions and "emot" not in texts.lead_dimensions
