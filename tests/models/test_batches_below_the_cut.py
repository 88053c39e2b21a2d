"""Clips together below the cut: the prefixes of a padded batch are those of each clip alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from affetto.audio import AudioError
from affetto.backbones.backbone import Backbone, pad_waves
from affetto.backbones.checkpoints import load_backbone
from affetto.backbones.encoders.wav2vec2 import Wav2Vec2Backbone, group_norm
from affetto.backbones.encoders.whisper import WhisperBackbone
from affetto.models.classifier import Prefix
from models.systems import FAMILIES, classifier, clips

CUTS: dict[str, dict[str, Any]] = {
    "features": {"method": "full"},
    "state": {"method": "lora"},
    "state and sum": {"method": "lora", "first_block": 2, "state_norm": "layer"},
    "state and states": {"method": "adapter", "first_block": 1, "pooling": "weighted"},
    "pooled": {"method": "frozen"},
    "states": {"method": "frozen", "pooling": "weighted"},
    "statistics": {"method": "frozen", "pooling": "layer", "head": "statistics"},
}
SECONDS = (0.1, 6.0, 0.35, 2.0, 1.2345)


def waves() -> list[np.ndarray]:
    """Clips of many lengths, each with its own loudness and offset, which a normalisation over padding would mix."""
    return [wave * (0.2 + i) + 0.05 * i for i, wave in enumerate(clips(*SECONDS))]


def relative_error(ours: Prefix, expected: Prefix) -> float:
    assert ours.keys() == expected.keys()
    errors = []
    for name, tensor in expected.items():
        assert ours[name].shape == tensor.shape and ours[name].dtype == tensor.dtype == torch.float32
        errors.append(float((ours[name] - tensor).abs().max() / tensor.abs().max()))
    return max(errors)


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize("cut", CUTS)
def test_a_padded_batch_has_the_prefixes_of_its_clips(key: str, cut: str) -> None:
    model = classifier(key, **CUTS[cut])
    together = model.prefixes(waves())
    for wave, prefix in zip(waves(), together, strict=True):
        assert relative_error(prefix, model.prefix(wave)) < 1e-5


@pytest.mark.parametrize("key", FAMILIES)
def test_in_bfloat16_they_differ_by_rounding(key: str) -> None:
    model = classifier(key, "lora").compute_in("bfloat16")
    for wave, prefix in zip(waves(), model.prefixes(waves()), strict=True):
        assert relative_error(prefix, model.prefix(wave)) < 0.03


def test_group_normalisation_sees_a_clip_s_own_frames_alone() -> None:
    torch.manual_seed(0)
    norm, hidden = nn.GroupNorm(2, 4), 3.0 + torch.randn(2, 4, 9)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    mask = torch.arange(9) < torch.tensor([[9], [5]])
    ours = group_norm(norm, hidden, mask)
    assert torch.allclose(ours[0], norm(hidden)[0], atol=1e-6)
    assert torch.allclose(ours[1, :, :5], norm(hidden[1:, :, :5])[0], atol=1e-6)
    assert torch.equal(group_norm(norm, hidden, None), norm(hidden))
    inputs = hidden.requires_grad_()
    (ours,) = torch.autograd.grad(group_norm(norm, inputs, mask)[1, :, :5].square().sum(), inputs)
    (expected,) = torch.autograd.grad(norm(inputs[1:, :, :5]).square().sum(), inputs)
    assert torch.allclose(ours, expected, atol=1e-5)


def test_group_normalisation_is_stable_far_from_zero() -> None:
    norm, hidden = nn.GroupNorm(1, 1), 1000.0 + torch.randn(2, 1, 400, generator=torch.Generator().manual_seed(0))
    expected = (hidden[0] - hidden[0].double().mean()) / hidden[0].double().std(unbiased=False)
    mask = torch.arange(400) < torch.tensor([[400], [9]])
    assert (group_norm(norm, hidden, mask)[0] - expected).abs().max() < 1e-3


@pytest.mark.parametrize("samples", [1600, 16_000, 16_001, 31_999])
def test_the_log_mel_of_a_clip_among_longer_ones(samples: int) -> None:
    """A pure tone: its quiet bands are the floor, which hangs on the loudest value and on the edges' reflection."""
    backbone = load_backbone("whisper-mini", random_weights=True)
    assert isinstance(backbone, WhisperBackbone)
    wave = np.sin(np.arange(samples) * 0.3).astype(np.float32) * 0.1
    lengths = torch.tensor([samples, 40_000])
    padded, expected = torch.zeros(2, 40_000), backbone.prepare(wave)
    padded[0, :samples], padded[1] = torch.from_numpy(wave), torch.from_numpy(clips(2.5)[0]) * 9.0
    mel = backbone.log_mel.padded(padded, lengths)[0]
    assert (mel[:, : expected.shape[1]] - expected).abs().max() < 2e-6
    assert not mel[:, expected.shape[1] :].any()


@pytest.mark.parametrize(
    ("lengths", "most", "width"),
    [
        ((5000, 5000), None, 5000),
        ((5000, 5001), None, 6400),
        ((64_000, 1600), None, 64_000),
        ((64_001, 1600), 65_000, 65_000),
        ((102_401, 1600), None, 108_800),
    ],
)
def test_batches_have_few_widths(lengths: tuple[int, int], most: int | None, width: int) -> None:
    batch, samples = pad_waves([torch.ones(length) for length in lengths], most)
    assert batch.shape == (2, width) and tuple(samples.tolist()) == lengths
    assert batch.sum(1).tolist() == list(lengths)


def test_a_batch_near_the_longest_clip_has_no_more_positions_than_the_encoder() -> None:
    model = classifier("whisper-mini", "lora")
    waves = clips(29.95, 0.2)
    model.backbone.model.config.max_source_positions = 1498  # 29.96 s
    model.backbone.model.embed_positions.weight.data = model.backbone.model.embed_positions.weight.data[:1498]
    for wave, prefix in zip(waves, model.prefixes(waves), strict=True):
        assert relative_error(prefix, model.prefix(wave)) < 1e-5


def test_a_clip_that_is_too_long_is_refused_in_a_batch_too() -> None:
    with pytest.raises(AudioError, match=r"30\.50 s long"):
        classifier("whisper-mini", "lora").prefixes(clips(1.0, 30.5))


class Halved(Wav2Vec2Backbone):
    """A plug-in that changes the input of the front end and has no batch form."""

    def prepare(self, wave: np.ndarray) -> Tensor:
        return super().prepare(wave) / 2.0


def test_a_family_without_a_batch_form_takes_clips_one_by_one() -> None:
    assert Halved.features_batch is Backbone.features_batch
    model = classifier("wav2vec2-mini", "full")
    model.backbone = Halved(model.backbone.model, model.backbone.preprocessing)
    for wave, prefix in zip(waves(), model.prefixes(waves()), strict=True):
        assert torch.equal(prefix["features"], model.prefix(wave)["features"])
