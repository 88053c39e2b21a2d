"""Whisper's encoder on as many positions as a clip needs, and no more than it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from affetto.audio import AudioError
from affetto.backbones.checkpoints import load_backbone
from affetto.backbones.encoders.whisper import WhisperBackbone
from affetto.models.prefix import PrefixData, PrefixStore, Source
from models.systems import classifier, clips


@pytest.fixture(scope="module")
def backbone() -> WhisperBackbone:
    made = load_backbone("whisper-mini", random_weights=True)
    assert isinstance(made, WhisperBackbone)
    return made


@pytest.mark.parametrize(
    ("samples", "positions"), [(1600, 5), (16_000, 50), (16_001, 51), (16_320, 51), (64_000, 200), (480_000, 1500)]
)
def test_positions_of_a_clip(backbone: WhisperBackbone, samples: int, positions: int) -> None:
    """One position is 20 ms; what has begun counts."""
    mel = backbone.prepare(clips(31)[0][:samples])
    assert mel.shape == (80, 2 * positions)
    if positions < 300:
        assert backbone.features(mel).shape == (positions, backbone.width)


def test_the_mel_frames_are_those_of_the_thirty_seconds_window(backbone: WhisperBackbone) -> None:
    """Only the last frames hear the silence behind the clip, and its quietest bands the louder clip's floor."""
    wave = clips(2)[0]
    ours = backbone.prepare(wave).numpy()
    stock = backbone.extractor(wave, sampling_rate=16_000)["input_features"][0]
    assert stock.shape == (80, 3000)
    assert np.abs(ours[:, :-2] - stock[:, : ours.shape[1] - 2]).max() < 1e-5


def test_a_clip_of_more_than_thirty_seconds_is_refused(backbone: WhisperBackbone) -> None:
    assert backbone.longest_seconds == 30
    with pytest.raises(AudioError, match=r"30\.50 s long; Whisper takes at most 30 s: crop .*audio\.seconds"):
        backbone.prepare(np.zeros(488_000, dtype=np.float32))


def prepared(tmp_path: Path, wave: np.ndarray, seconds: float | None) -> tuple[PrefixData, dict[str, str]]:
    soundfile.write(tmp_path / "long.wav", wave, 16_000, subtype="FLOAT")
    source = Source(tmp_path / "long.wav")
    made = classifier("whisper-mini", "lora")
    store = PrefixStore({"seconds": seconds}, "float32", tmp_path / "store")
    data = PrefixData(made, store, {"long": source}, {"long": source.digest()}, seconds)
    return data, data.prepare()


def test_it_is_named_as_unusable_or_cropped_to_the_window(tmp_path: Path) -> None:
    wave = clips(30.5)[0]
    data, bad = prepared(tmp_path, wave, None)
    assert list(bad) == ["long"]
    assert bad["long"].startswith(f"{tmp_path / 'long.wav'}: 30.50 s long")
    data, bad = prepared(tmp_path, wave, 4.0)
    assert bad == {}
    assert data.frames == {"long": 200}
    assert torch.equal(data["long"]["state"], data.classifier.prefix(wave[:64_000])["state"])


def test_a_clip_that_grows_in_augmentation_is_cropped(tmp_path: Path) -> None:
    data, bad = prepared(tmp_path, clips(0.5)[0], None)
    assert bad == {}
    _, lengths = data.fresh_batch(["long"], torch.device("cpu"), lambda _, wave: np.tile(wave, 61))
    assert lengths.tolist() == [1500]
