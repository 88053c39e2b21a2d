"""Sounds that are no speech are stranger to a real encoder than a speaker whom the model does not know."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from affetto import audio
from affetto.backbones.checkpoints import load_backbone
from affetto.corpora.published import emovo
from affetto.models.novelty import Novelty
from affetto.models.saved import assemble

pytestmark = pytest.mark.real
HELD_OUT = "f1"
TRAINED, TESTED = 60, 12
STATE = 3


@pytest.fixture(scope="module")
def states(shared: Path):
    """Function of a wave (samples,) to the statistics of a state of Whisper tiny.en, (2 width,)."""
    weights = shared / "real" / "whisper-tiny-en"
    if not weights.is_dir():
        pytest.skip(f"no {weights}")
    blueprint = {
        "labels": ["anger", "joy"],
        "method": {"name": "frozen", "first_block": 0, "settings": {}},
        "pooling": {"kind": "layer", "layer": STATE, "state_norm": "none"},
        "head": {"name": "statistics", "width": 8, "dropout": 0.0, "unmasked_mean": False},
    }
    classifier = assemble(load_backbone(str(weights)), blueprint)

    def compute(wave: np.ndarray) -> np.ndarray:
        return classifier.prefix(audio.crop(wave, 2.0))["statistics"][STATE].numpy()

    return compute


def sounds() -> dict[str, np.ndarray]:
    """Two seconds of noise, a chord, and silence with a hiss, from a fixed seed."""
    random, times = np.random.default_rng(0), np.arange(2 * audio.RATE_HZ) / audio.RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * n * times) / n for hz in (220.0, 277.2, 329.6) for n in range(1, 6))
    waves = {
        "noise": 0.05 * random.standard_normal(len(times)),
        "music": 0.05 * chord * np.exp(-4 * (times % 0.5)),
        "silence": 1e-4 * random.standard_normal(len(times)),
    }
    return {name: wave.astype(np.float32) for name, wave in waves.items()}


def test_noise_music_and_silence_are_stranger_than_an_unknown_speaker(shared: Path, states) -> None:
    corpus = shared / "real" / "EMOVO"
    if not corpus.is_dir():
        pytest.skip(f"no {corpus}")
    manifest = emovo.read(corpus)
    groups = {
        most: [clip for clip in manifest.clips if (clip.speaker == HELD_OUT) == is_held_out]
        for most, is_held_out in ((TRAINED, False), (TESTED, True))
    }
    drawn = {most: clips[:: len(clips) // most][:most] for most, clips in groups.items()}
    features = {
        most: np.stack([states(audio.load(manifest.path(clip))) for clip in clips]) for most, clips in drawn.items()
    }
    classes = np.unique([clip.emotion for clip in drawn[TRAINED]], return_inverse=True)[1]
    novelty = Novelty.fit(features[TRAINED], classes)
    assert novelty is not None
    held_out = novelty.distances(features[TESTED])
    for name, wave in sounds().items():
        (distance,) = novelty.distances(states(wave)[None])
        assert distance > held_out.max(), name
