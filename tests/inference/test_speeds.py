"""Test-time augmentation: copies of each window at other speeds, and the mean of what is answered."""

from __future__ import annotations

import json

import numpy as np
import pytest

from affetto import audio
from affetto.errors import UserError
from affetto.inference.loading import load
from affetto.inference.spec import PredictorSpec
from affetto.inference.speeds import at_speed, check_speeds, parse_speeds
from inference.saved import saved_model
from models.systems import clips


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return saved_model(tmp_path_factory.mktemp("speeds") / "model", "wav2vec2-mini", "frozen", seconds=1.5)


def test_answers_are_the_mean_over_the_clip_and_its_copies(model):
    """Uncalibrated probabilities, so that the mean can be worked out from answers."""
    (wave,) = clips(0.9)
    predictor = load(model, device="cpu", calibrate=False)
    versions = [wave, at_speed(wave, 0.9), at_speed(wave, 1.1)]
    alone = [list(predictor(version).probabilities.values()) for version in versions]
    assert np.ptp(alone, axis=0).max() > 1e-4
    predictor.speeds = (0.9, 1.1)
    answer = predictor(wave)
    assert list(answer.probabilities.values()) == pytest.approx(np.mean(alone, axis=0), abs=2e-6)
    assert answer.seconds == answer.seconds_heard == 0.9 and answer.windows == 1
    assert predictor.protocol == "averaged over speeds 1, 0.9, 1.1"


def test_a_copy_never_leaves_the_window_and_is_never_too_short(model):
    (wave,) = clips(1.5)
    predictor = load(model, device="cpu", calibrate=False)
    plain = list(predictor(wave).probabilities.values())
    slow = list(predictor(at_speed(wave, 0.5)[: len(wave)]).probabilities.values())
    predictor.speeds = (0.5,)
    answer = predictor(wave)
    assert list(answer.probabilities.values()) == pytest.approx(np.mean([plain, slow], axis=0), abs=2e-6)
    (short,) = clips(0.15)
    assert at_speed(short, 2.0) is short
    assert len(at_speed(clips(1.0)[0], 2.0)) == audio.RATE_HZ // 2


def test_speeds_are_a_mark_of_every_output(model, tmp_path, write_wav, monkeypatch, capsys):
    from affetto.cli import main

    clip = write_wav("clip.wav")
    monkeypatch.setattr("sys.argv", ["affetto", "predict", str(model), str(clip), "--tta", "0.9", "--format", "jsonl"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert json.loads(capsys.readouterr().out)["protocol"] == "averaged over speeds 1, 0.9"
    assert PredictorSpec(str(model), device="cpu").load().protocol is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fast", "write speeds with commas between"),
        ("0.9,", "write speeds with commas between"),
        ("0.1", "give speeds from 0.5 to 2"),
        ("nan", "give speeds from 0.5 to 2"),
        ("1", "is counted already"),
        ("0.9,0.9", "is counted already"),
        (",".join(f"1.{n}" for n in range(10, 40)), "give 16 at most"),
    ],
)
def test_speeds_that_make_no_sense_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        parse_speeds(text)


def test_no_speeds_are_no_copies():
    assert parse_speeds(None) == check_speeds([]) == ()
