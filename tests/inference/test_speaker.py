"""Calibration to a speaker: statistics worked out by hand, what it leaves alone, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

from affetto.audio import RATE_HZ
from affetto.cli import app
from affetto.errors import UserError
from affetto.inference import speaker
from affetto.inference.backends.trained import ClassifierPredictor
from affetto.inference.loading import load
from affetto.models.head_layers import StatisticsHead
from inference.saved import saved_model
from models.systems import clips

STATISTICS = {"head": "statistics", "pooling": "layer", "layer": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_model(tmp_path_factory.mktemp("model"), "whisper-mini", "frozen", **STATISTICS)


@pytest.fixture(scope="module")
def model(folder: Path) -> ClassifierPredictor:
    made = load(folder, device="cpu")
    assert isinstance(made, ClassifierPredictor)
    return made


def write(folder: Path, waves: list[np.ndarray]) -> list[Path]:
    folder.mkdir()
    files = [folder / f"{number}.wav" for number in range(len(waves))]
    for file, wave in zip(files, waves, strict=True):
        soundfile.write(file, wave, RATE_HZ, subtype="FLOAT")
    return files


def head_of(model: ClassifierPredictor) -> StatisticsHead:
    head = model.classifier.head
    assert isinstance(head, StatisticsHead)
    return head


def test_few_clips_count_little_and_many_count_for_all() -> None:
    assert speaker.weights_of(1) == (1 / 4, 0.0)  # of one clip there is no deviation
    assert speaker.weights_of(3) == (1 / 2, 2 / 12)
    assert speaker.weights_of(11) == (11 / 14, 1 / 2)
    assert all(share > 0.98 for share in speaker.weights_of(1000))


def test_constants_move_towards_the_speaker_s_by_hand() -> None:
    head = StatisticsHead(width=1, classes=2, dropout=0.0)
    head.centre.copy_(torch.tensor([1.0, 0.0]))
    head.scale.copy_(torch.tensor([2.0, 1.0]))
    rows = np.array([[3.0, 8.0], [5.0, 8.0], [7.0, 8.0]])
    found = speaker.adapt_head(head, rows)
    # Means 5 and 8, half of the way. Variances 4 (over 3 - 1) and 0, a sixth of the way from 4 and 1.
    torch.testing.assert_close(found.centre, torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(found.scale, torch.tensor([2.0, (5 / 6) ** 0.5]))
    torch.testing.assert_close(head.centre, torch.tensor([1.0, 0.0]))
    one = speaker.adapt_head(head, rows[:1])
    torch.testing.assert_close(one.centre, torch.tensor([1.5, 2.0]))
    torch.testing.assert_close(one.scale, head.scale)


@pytest.mark.parametrize("method", ["frozen", "lora"])
def test_the_model_standardises_by_what_it_hears_of_the_speaker(tmp_path: Path, method: str) -> None:
    model = load(saved_model(tmp_path / "model", "whisper-mini", method, **STATISTICS), device="cpu")
    assert isinstance(model, ClassifierPredictor)
    waves = clips(0.5, 0.8, 1.1)
    rows = np.concatenate([model.window_statistics([wave]) for wave in waves])
    to = model.for_speaker(waves)
    centre, scale = head_of(model).centre.numpy(), head_of(model).scale.numpy()
    np.testing.assert_allclose(head_of(to).centre, (centre + rows.mean(0)) / 2, rtol=1e-5, atol=1e-6)
    variance = (10 * scale**2 + 2 * rows.var(0, ddof=1)) / 12
    np.testing.assert_allclose(head_of(to).scale, np.sqrt(variance), rtol=1e-5, atol=1e-6)
    # What is answered is the softmax of the head's logits on those statistics.
    logits = head_of(to).classify(torch.as_tensor(rows, dtype=torch.float32)).double()
    np.testing.assert_allclose(to.window_probabilities(waves), torch.softmax(logits, 1), rtol=1e-4, atol=1e-6)


def test_a_long_clip_counts_once_by_the_mean_over_its_windows(model: ClassifierPredictor) -> None:
    short, long = clips(0.9, 3.0)  # windows of 1.5 s, at 0, 0.75 and 1.5 s
    windows = [long[start : start + 24_000] for start in (0, 12_000, 24_000)]
    rows = np.concatenate([model.window_statistics([wave]) for wave in (short, *windows)])
    expected = 3 / 5 * head_of(model).centre.numpy() + 2 / 5 * (rows[0] + rows[1:].mean(0)) / 2
    np.testing.assert_allclose(head_of(model.for_speaker([short, long])).centre, expected, rtol=1e-5, atol=1e-6)


def test_other_predictions_stay_and_speakers_do_not_meet(model: ClassifierPredictor) -> None:
    one, two, asked = clips(0.6, 0.9), [3 * wave for wave in clips(0.7, 1.0, 1.2)], clips(0.8)[0]
    before, constants = model(asked), head_of(model).centre.clone()
    first = model.for_speaker(one)
    answer = first(asked)
    second = model.for_speaker(two)
    assert answer.probabilities != before.probabilities != second(asked).probabilities
    assert first(asked) == answer and model(asked) == before
    torch.testing.assert_close(head_of(model).centre, constants, rtol=0, atol=0)
    assert (model.speaker_clips, first.speaker_clips, second.speaker_clips) == (0, 2, 3)
    assert second.temperature == model.temperature and second.classifier.backbone is model.classifier.backbone


def test_an_answer_does_not_depend_on_what_is_beside_it(model: ClassifierPredictor) -> None:
    waves, own = clips(0.5, 1.4, 0.3, 2.9), clips(0.4, 1.3)
    to = model.for_speaker(own)
    for alone, beside in zip((to(wave) for wave in waves), to.classify(waves), strict=True):
        assert beside.probabilities == pytest.approx(alone.probabilities, abs=1e-6)
    backwards = model.for_speaker(own[::-1])
    torch.testing.assert_close(head_of(backwards).centre, head_of(to).centre)


def test_refusals(model: ClassifierPredictor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no clips to adapt by"):
        model.for_speaker([])
    with pytest.raises(UserError, match="not one name"):
        model.for_speaker("clip.wav")
    with pytest.raises(UserError, match="adapted to a speaker already"):
        model.for_speaker(clips(0.5)).for_speaker(clips(0.5))
    good, bad = write(tmp_path / "clips", clips(0.5, 0.6))
    bad.write_bytes(b"no audio")
    with pytest.raises(UserError, match=r"^1 of 2 clips to adapt by cannot be used.*1\.wav"):
        model.for_speaker([good, bad])
    other = load(saved_model(tmp_path / "model", "whisper-mini", "frozen", head="linear"), device="cpu")
    with pytest.raises(UserError, match="models with head=statistics"):
        other.for_speaker([good])


def test_on_the_command_line(folder: Path, model: ClassifierPredictor, tmp_path: Path) -> None:
    own = write(tmp_path / "own", clips(0.6, 0.9, 1.2))
    (asked,) = write(tmp_path / "asked", clips(0.8))

    def run(*more: str) -> tuple[int, str, str]:
        done = CliRunner().invoke(app, ["predict", str(folder), str(asked), "--device", "cpu", *more])
        return done.exit_code, done.stdout, done.stderr + str(done.exception or "")

    code, out, err = run("--format", "json", "--calibrate", str(tmp_path / "own"))
    (row,) = json.loads(out)
    expected = model.for_speaker([str(file) for file in own])(asked)
    assert (
        code == 0
        and row["protocol"] == "speaker-calibrated (3 clips)"
        and "3 unlabelled clips" in err
        and "another protocol" in err
    )
    assert row["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
    (plain,) = json.loads(run("--format", "json")[1])
    assert "protocol" not in plain and plain["probabilities"] != row["probabilities"]
    (tmp_path / "empty").mkdir()
    for place, line in (("empty", "no recordings in it"), ("absent", "no such folder")):
        code, out, err = run("--calibrate", str(tmp_path / place))
        assert code != 0 and not out and place in err and line in err
