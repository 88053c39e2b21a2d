"""`from_waves`, what an exported graph computes, is what prefix and forward give; the log-mel is transformers' own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from affetto.backbones.checkpoints import load_backbone
from affetto.backbones.encoders.whisper import SAMPLES_PER_POSITION, WhisperBackbone
from affetto.models.prefix import collate
from models.systems import FAMILIES, classifier

SYSTEMS = (
    ("frozen", {"head": "statistics", "pooling": "layer", "layer": 1}),
    ("adapter", {"pooling": "weighted"}),
    ("lora", {"pooling": "without_embedding"}),
    ("full", {"state_norm": "layer", "head": "linear"}),
)


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize(("method", "options"), SYSTEMS)
@torch.no_grad()
def test_whole_waves(key: str, method: str, options: dict) -> None:
    """A batch of two clips of one length, loud and quiet, is each clip by itself through prefix and forward."""
    random = np.random.default_rng(3)
    waves = (np.array([[0.3], [0.002]]) * random.standard_normal((2, 14_321))).astype(np.float32)
    parts = classifier(key, method, **options)
    batch, lengths = collate([parts.prefix(wave) for wave in waves], torch.device("cpu"))
    expected = parts(batch, lengths)
    whole = classifier(key, method, **options).merge()
    torch.testing.assert_close(whole.from_waves(torch.from_numpy(waves)), expected, atol=2e-6, rtol=1e-5)
    assert (expected[0] - expected[1]).abs().max() > 1e-4  # the two clips differ, so that the test can fail


@pytest.mark.parametrize("samples", [1600, 16_000, 16_001, 63_923])
@pytest.mark.parametrize("level", [1e-3, 0.5])
def test_log_mel(samples: int, level: float) -> None:
    backbone = load_backbone("whisper-mini", random_weights=True)
    assert isinstance(backbone, WhisperBackbone)
    wave = (level * np.random.default_rng(samples).standard_normal(samples)).astype(np.float32)
    wave[: samples // 4] = 0  # silence: the floor below the loudest
    ours = backbone.log_mel(torch.from_numpy(wave)[None])[0]
    assert ours.shape[1] == 2 * -(-samples // SAMPLES_PER_POSITION)
    torch.testing.assert_close(ours, backbone.prepare(wave), atol=5e-5, rtol=0)
