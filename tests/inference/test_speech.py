"""Speech that is required of a recording: its seconds, and that nothing is answered without it."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import numpy as np
import pytest

from affetto.audio import RATE_HZ
from affetto.errors import UserError
from affetto.inference import speech
from affetto.inference.batch.inputs import Input
from affetto.inference.batch.labelling import as_row
from affetto.inference.decision import NO_SPEECH, NOVEL
from affetto.inference.speech import FRAME, Detector, Rules, measured, seconds_of, stretches
from inference.test_predictor import Loudness, wave
from serving.served import Serving, Stub, wav


def loud(frame: np.ndarray) -> float:
    """A detector that takes what is loud for speech."""
    return float(np.abs(frame).max() > 0.2)


@pytest.fixture
def detected(monkeypatch: pytest.MonkeyPatch) -> list[Detector]:
    """The detectors that are made, one a recording."""
    made: list[Detector] = []

    def make() -> Detector:
        made.append(lambda frame: loud(frame))
        return made[-1]

    monkeypatch.setattr(speech, "check_installed", lambda purpose="": None)
    monkeypatch.setattr(speech, "detectors", lambda: make)
    return made


def test_blocks_pass_and_each_frame_is_measured_once() -> None:
    whole = wave((0.0, 0.3), (0.5, 1.0), (0.0, 0.51))
    for cuts in ([], [100, 5000, 5001], list(range(0, len(whole), 700))):
        probabilities: list[float] = []
        blocks = list(measured(np.split(whole, cuts), loud, probabilities))
        np.testing.assert_array_equal(np.concatenate(blocks), whole)
        assert probabilities == [loud(whole[start : start + FRAME]) for start in range(0, len(whole), FRAME)]


def test_seconds_are_those_of_a_timeline_without_padding() -> None:
    # Two stretches; a pause of 0.2 s belongs to the first, and 0.1 s of sound are no speech.
    whole = wave((0.0, 0.5), (0.5, 1.0), (0.0, 0.2), (0.5, 0.5), (0.0, 1.0), (0.5, 0.1), (0.0, 1.0), (0.5, 0.7))
    probabilities: list[float] = []
    list(measured([whole], loud, probabilities))
    assert seconds_of(probabilities) == pytest.approx(1.7 + 0.7, abs=4 * FRAME / RATE_HZ)
    pieces = stretches([whole], loud, Rules(padding_seconds=0.0))
    assert seconds_of(probabilities) == pytest.approx(sum(len(p.wave) for p in pieces) / RATE_HZ, abs=FRAME / RATE_HZ)
    assert seconds_of([]) == 0.0


def test_a_recording_without_enough_speech_gets_no_answer(detected: list[Detector]) -> None:
    model = Loudness()
    assert model(wave((0.5, 2.0))).speech_seconds is None and not detected
    model.require_speech(1.0)
    enough, little = model.classify([wave((0.5, 2.0)), wave((0.1, 2.0), (0.5, 0.5))])
    assert len(detected) == 2, "no recording is heard with the memory of another"
    assert (enough.emotion, enough.refused, enough.speech_seconds) == ("joy", None, 2.0)
    assert (little.emotion, little.refused) == (None, NO_SPEECH) and not little.abstained
    assert little.speech_seconds == pytest.approx(0.5, abs=2 * FRAME / RATE_HZ)
    row = as_row(Input("a.wav"), little)
    assert row["emotion"] is None and row["refused"] == NO_SPEECH and row["probabilities"]["joy"] == 1.0
    assert model.judged == ("speech_seconds",)
    model.require_speech(0.0)
    assert model(wave((0.1, 2.0))).refused is None, "0 only reports"
    for seconds in (-1.0, float("nan"), float("inf")):
        with pytest.raises(UserError, match="seconds of required speech: give 0 or more"):
            model.require_speech(seconds)


def test_no_speech_comes_before_novelty(detected: list[Detector], monkeypatch: pytest.MonkeyPatch) -> None:
    model = Loudness()
    model.require_speech(1.0)
    rows = model.window_probabilities
    monkeypatch.setattr(model, "window_probabilities", lambda waves: np.pad(rows(waves), ((0, 0), (0, 1))))

    class Far:
        def of(self, distance: float) -> float:
            return 0.999

        def check_share(self, share: float) -> None:
            pass

    model.novelty = Far()  # type: ignore[assignment]
    model.watch(0.99)
    assert model(wave((0.1, 2.0))).refused == NO_SPEECH
    assert model(wave((0.5, 2.0))).refused == NOVEL


def test_without_the_package_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"silero-vad to require speech: pip install 'affetto\[timeline\]'"):
        Loudness().require_speech(1.0)


def test_silence_has_no_speech() -> None:
    pytest.importorskip("silero_vad")
    model = Loudness()
    model.require_speech(0.1)
    answer = model(np.zeros(RATE_HZ, np.float32))
    assert (answer.speech_seconds, answer.refused) == (0.0, NO_SPEECH)


def test_a_server_requires_speech_where_a_request_says_so(
    detected: list[Detector], tone: Callable[..., np.ndarray]
) -> None:
    with Serving({"first": Stub()}) as url:

        def ask(query: dict[str, str], form: dict[str, str]) -> httpx.Response:
            clip = {"file": wav(tone(seconds=1.0, level=0.3))}
            return httpx.post(f"{url}/v1/predict", params=query, data=form, files=clip, timeout=60)

        assert "speech_seconds" not in ask({}, {}).json()
        assert ask({"require_speech": "0.5"}, {}).json()["emotion"] == "joy"
        for answer in (ask({"require_speech": "1.5"}, {}).json(), ask({}, {"require_speech": "1.5"}).json()):
            assert (answer["refused"], answer["emotion"], answer["speech_seconds"]) == (NO_SPEECH, None, 1.0)
        for refused in (ask({}, {"require_speech": "much"}), ask({}, {"require_speech": "-1"})):
            assert (refused.status_code, refused.json()["error"]) == (422, "invalid_parameter")
