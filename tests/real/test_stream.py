"""A stream of real clips and pauses, by silero's own ears: its end is the timeline of the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from affetto import audio
from affetto.corpora.published import emovo
from affetto.inference.loading import load
from affetto.inference.timeline import Timeline
from serving.served import Serving, write_model
from serving.test_stream import Client

pytestmark = pytest.mark.real
CLIPS = 4


def test_a_stream_of_clips_and_pauses_is_the_offline_timeline(shared: Path, tmp_path: Path) -> None:
    corpus = shared / "real" / "EMOVO"
    if not corpus.is_dir():
        pytest.skip(f"no {corpus}")
    manifest = emovo.read(corpus)
    silence = np.zeros(16_000, np.float32)
    files = [manifest.path(clip) for clip in manifest.clips[:: len(manifest.clips) // CLIPS][:CLIPS]]
    wave = np.concatenate([part for file in files for part in (audio.load(file), silence)])
    samples = np.clip(np.round(32768 * wave), -32768, 32767).astype("<i2")
    predictor = load(write_model(tmp_path / "lora", "lora"), device="cpu")
    offline = [segment.to_json() for segment in Timeline(predictor)(samples)]
    with Serving({"lora": predictor}) as url, Client(url) as client:
        client.send(*np.split(samples, range(700, len(samples), 700))).end()
        got, code = client.rest()
    segments = got[-1]["segments"]
    assert code == 1000 and len(segments) == len(offline) >= CLIPS - 1
    for segment, expected in zip(segments, offline, strict=True):
        assert (segment["start"], segment["end"]) == (expected["start"], expected["end"])
        assert segment["emotion"] == expected["emotion"]
        assert segment["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)
