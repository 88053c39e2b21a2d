"""Emotions in the shape of OpenAI's transcriptions, asked for as its client does: a form, and a bearer's token."""

from __future__ import annotations

from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from affetto.inference import timeline
from affetto.inference.loading import load
from affetto.inference.transcriber import Transcriber
from affetto.serving import transcriptions
from affetto.serving.limits import Limits
from inference.whisper import write_whisper
from models.systems import clips
from serving.served import Serving, until, wav, write_model
from serving.test_server import refused

TOKEN = "correct-horse-battery"
WAVE = np.concatenate([clips(1.7)[0], np.zeros(16_000, np.float32), clips(0.9)[0]])


@pytest.fixture(scope="module")
def predictor(tmp_path_factory):
    return load(write_model(tmp_path_factory.mktemp("models") / "lora", "lora"), device="cpu")


@pytest.fixture(scope="module")
def serving(predictor):
    serving = Serving({"lora": predictor}, Limits(token=TOKEN))
    with serving as url:
        serving.url = url
        yield serving


def ask(serving: Serving, query: dict[str, str] | None = None, **fields: str) -> httpx.Response:
    return httpx.post(
        f"{serving.url}/v1/audio/transcriptions",
        headers={"Authorization": f"Bearer {TOKEN}"},
        files={"file": ("clip.wav", wav(WAVE), "audio/wav")},
        data=fields,
        params=query,
        timeout=60,
    )


def test_json_has_the_emotion_of_the_recording_and_an_empty_text(serving, predictor):
    expected = predictor.classify([WAVE])[0]
    for fields in ({}, {"response_format": "json", "temperature": "0", "prompt": "none", "stream": "False"}):
        response = ask(serving, model="lora", **fields)
        assert response.status_code == 200, response.text
        body = response.json()
        assert (body["text"], body["model"], body["emotion"]) == ("", "lora", expected.emotion)
        assert body["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
        assert body["windows"] == expected.windows and "segments" not in body


def test_options_are_followed_or_refused_in_the_query_and_in_the_form(serving):
    for answer in (ask(serving, query={"abstain_below": "1"}), ask(serving, abstain_below="1")):
        assert answer.status_code == 200 and answer.json()["emotion"] is None
    for answer in (ask(serving, query={"coverage": "0.9"}), ask(serving, coverage="0.9")):
        assert refused(answer) == (422, "invalid_parameter"), "this model has no sets"
        assert answer.json()["message"].startswith("coverage: the model 'lora'")
    for value in ("2", "nan", "ninety"):
        answer = ask(serving, query={"coverage": value})
        assert refused(answer) == (422, "invalid_parameter")
        assert answer.json()["message"].startswith("query.coverage: Input should be ")
    headers, files = {"Authorization": f"Bearer {TOKEN}"}, {"file": wav(WAVE)}
    for path in ("predict", "timeline", "batch", "audio/transcriptions"):
        for place, sent in (("query", {"params": {"abstain_belw": "1"}}), ("form", {"data": {"abstain_belw": "1"}})):
            answer = httpx.post(f"{serving.url}/v1/{path}", headers=headers, files=files, timeout=60, **sent)
            assert refused(answer) == (422, "invalid_parameter")
            message = f"{place}: unknown parameter 'abstain_belw': did you mean 'abstain_below'?"
            assert answer.json()["message"].startswith(message)
    assert refused(ask(serving, query={"response_format": "json"})) == (422, "invalid_parameter"), "it is of the form"


def test_a_form_may_have_all_fields_of_openai_s_clients_and_ours(serving):
    texts = {"language": "it", "prompt": "a", "temperature": "0", "response_format": "json", "stream": "false"}
    granularities = {"timestamp_granularities[]": ["segment", "word"]}
    answer = ask(serving, model="lora", timeout="60", abstain_below="0", **texts, **granularities)
    assert answer.status_code == 200, answer.text


def test_segments_refuse_the_options_of_whole_recordings(serving, monkeypatch):
    monkeypatch.setattr(serving.service, "makes_timelines", True)
    for option in ("coverage", "sets", "refuse_novel", "require_speech"):
        value = {option: "0.9"}
        timelines = {"url": f"{serving.url}/v1/timeline", "headers": {"Authorization": f"Bearer {TOKEN}"}}
        for answer in (
            ask(serving, response_format="verbose_json", **value),
            ask(serving, response_format="verbose_json", query=value),
            httpx.post(**timelines, files={"file": wav(WAVE)}, data=value, timeout=60),
            httpx.post(**timelines, files={"file": wav(WAVE)}, params=value, timeout=60),
        ):
            assert refused(answer) == (422, "invalid_parameter")
            assert answer.json()["message"].startswith(f"{option}: it is for answers to whole recordings")


def test_verbose_json_has_the_segments_of_the_timeline(serving, predictor, monkeypatch):
    pytest.importorskip("silero_vad")
    monkeypatch.setattr(timeline, "silero", lambda: lambda frame: float(np.abs(frame).max() > 0.05))
    response = ask(serving, model="lora", response_format="verbose_json", language="it")
    assert response.status_code == 200, response.text
    body = response.json()
    assert (body["task"], body["language"], body["text"], body["synthetic"]) == ("transcribe", "it", "", True)
    assert body["duration"] == body["seconds"] == pytest.approx(3.6) and "emotion" not in body
    expected = list(timeline.Timeline(predictor)(WAVE))
    assert len(expected) >= 2
    for n, (segment, offline) in enumerate(zip(body["segments"], expected, strict=True)):
        assert (segment["id"], segment["text"], segment["emotion"]) == (n, "", offline.emotion)
        assert (segment["start"], segment["end"]) == (offline.start, offline.end)
        assert segment["probabilities"] == pytest.approx(offline.probabilities, abs=1e-5)


def test_formats_that_are_texts_and_streams_are_refused(serving, monkeypatch):
    for fields in ({"response_format": "srt"}, {"stream": "true"}):
        response = ask(serving, **fields)
        assert refused(response) == (422, "invalid_parameter") and f"form.{next(iter(fields))}" in response.text
    assert refused(ask(serving, model="whisper-1")) == (404, "unknown_model")
    assert "without a transcript (--asr)" in ask(serving, response_format="text").text
    monkeypatch.setattr(serving.service, "makes_timelines", False)
    assert refused(ask(serving, response_format="verbose_json")) == (501, "no_timeline")
    assert ask(serving).status_code == 200


# -- with a transcriber ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def transcriber(tmp_path_factory):
    folder = write_whisper(tmp_path_factory.mktemp("whisper") / "tiny", chunk_seconds=2)
    return Transcriber(str(folder), device="cpu")


@pytest.fixture(scope="module")
def transcribing(predictor, transcriber):
    serving = Serving({"lora": predictor}, Limits(token=TOKEN), transcriber=transcriber)
    with serving as url:
        serving.url = url
        yield serving


@pytest.fixture
def loud_is_speech(monkeypatch):
    pytest.importorskip("silero_vad")
    monkeypatch.setattr(timeline, "silero", lambda: lambda frame: float(np.abs(frame).max() > 0.05))


def test_a_text_beside_the_emotion(transcribing, predictor, transcriber):
    text = transcriber.transcribe(WAVE, "it")
    body = ask(transcribing, language="IT").json()
    assert body["text"] == text and text
    assert body["emotion"] == predictor.classify([WAVE])[0].emotion
    response = ask(transcribing, language="it", response_format="text")
    assert response.text == text + "\n" and response.headers["content-type"].startswith("text/plain")
    detected = transcriber.detect_language(WAVE)
    assert ask(transcribing).json()["text"] == transcriber.transcribe(WAVE, detected)
    response = ask(transcribing, language="tlh")
    assert refused(response) == (422, "invalid_parameter") and "tiny knows en, it" in response.text


def test_texts_of_segments_and_subtitles(transcribing, transcriber, loud_is_speech):
    body = ask(transcribing, response_format="verbose_json").json()
    language = transcriber.detect_language(WAVE)
    assert body["language"] == language and len(body["segments"]) >= 2
    for segment in body["segments"]:
        piece = WAVE[round(16_000 * segment["start"]) : round(16_000 * segment["end"])]
        assert segment["text"] == transcriber.transcribe(piece, language)
    texts = [segment["text"] for segment in body["segments"] if segment["text"]]
    assert body["text"] == " ".join(texts) and texts
    subtitles = ask(transcribing, response_format="srt").text.split("\n\n")
    first = body["segments"][0]
    clock = f"00:00:{first['start']:06.3f} --> 00:00:{first['end']:06.3f}"
    assert subtitles[0] == f"1\n{clock.replace('.', ',')}\n{texts[0]}" and len(subtitles) == len(texts)
    response = ask(transcribing, response_format="vtt")
    assert response.headers["content-type"].startswith("text/vtt")
    assert response.text.startswith(f"WEBVTT\n\n{clock}\n<c.{first['emotion']}>{texts[0]}</c>\n")


def test_a_transcript_does_not_hold_up_emotions(transcribing, transcriber):
    """While one request has the transcriber, others get their emotions, and who leaves frees the place."""
    authorised = {"Authorization": f"Bearer {TOKEN}"}
    with transcriber._turn:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{transcribing.url}/v1/audio/transcriptions",
                headers=authorised,
                files={"file": ("clip.wav", wav(WAVE), "audio/wav")},
                timeout=2,
            )
        answer = httpx.post(f"{transcribing.url}/v1/predict", headers=authorised, content=wav(WAVE), timeout=60)
        assert answer.status_code == 200
        until(lambda: transcribing.service.places == 0)


def test_a_label_of_any_letters_does_not_break_subtitles():
    part = SimpleNamespace(start=0.0, end=1.0, emotion="not a <b>emotion")
    answer = transcriptions._text("vtt", transcriptions.Recognised(1.0, segments=[part], texts=["a < b --> c"]))
    assert bytes(answer.body).decode().endswith("\n<c.not-a--b-emotion>a &lt; b --&gt; c</c>\n")
