"""The states of every family are transformers' own, and stay so under fresh LoRA and Adapter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from affetto.backbones.backbone import Backbone
from affetto.backbones.checkpoints import load_backbone
from affetto.models.methods.registry import METHODS

FAMILIES = ("wav2vec2-mini", "xlsr-mini", "hubert-mini", "wavlm-mini", "whisper-mini")


def wave(seconds: float = 1.3, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(round(seconds * 16_000)) * 0.1).astype(np.float32)


def own_states(backbone: Backbone, clip: np.ndarray) -> list[torch.Tensor]:
    with torch.no_grad():
        hidden = backbone.embed(backbone.features(backbone.prepare(clip))[None], None)
        context = backbone.context(None, hidden.shape[1])
        states = [hidden]
        for i in range(backbone.depth):
            hidden = backbone.block(i, hidden, context)
            states.append(hidden)
        states[-1] = backbone.finish(hidden)
    return states


def stock_states(key: str, clip: np.ndarray) -> list[torch.Tensor]:
    """transformers' own forward pass on the same unpadded clip, by a model of its own with the same weights."""
    backbone = load_backbone(key, random_weights=True)
    prepared = backbone.prepare(clip)
    model = backbone.model
    if key.startswith("wavlm"):
        stock = type(model)(model.config)  # a fresh one, whose attention is the stock one
        stock.load_state_dict(model.state_dict())
        model = stock.eval()
    if key.startswith("whisper"):
        positions = prepared.shape[1] // 2
        table = torch.nn.Embedding(positions, backbone.width)
        table.weight.data.copy_(model.embed_positions.weight[:positions])
        model.embed_positions = table
        model.config.max_source_positions = positions
    with torch.no_grad():
        out = model(prepared[None], output_hidden_states=True)
    return [*out.hidden_states[:-1], out.last_hidden_state]


def close(ours: list[torch.Tensor], theirs: list[torch.Tensor], relative: float) -> None:
    assert len(ours) == len(theirs)
    for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= relative * b.abs().max(), f"state {i}"


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize("training", [False, True])
def test_states_are_those_of_transformers(key: str, training: bool) -> None:
    backbone = load_backbone(key, random_weights=True).train(training)
    states = own_states(backbone, wave())
    assert len(states) == backbone.depth + 1
    close(states, stock_states(key, wave()), 2e-6)


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("lora", {"targets": "ff"}),
        ("lora", {"targets": "all"}),
        ("adapter", {}),
        ("adapter", {"placement": "houlsby"}),
        ("adapter", {"placement": "parallel"}),
    ],
)
def test_a_fresh_method_changes_no_state(key: str, method: str, settings: dict[str, str]) -> None:
    before = own_states(load_backbone(key, random_weights=True), wave())
    backbone = load_backbone(key, random_weights=True)
    METHODS[method](backbone, range(backbone.depth), **settings).eval()
    close(own_states(backbone, wave()), before, 1e-6)


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize("targets", ["ff", "attention", "all"])
def test_lora_reaches_every_target(key: str, targets: str) -> None:
    """With B set to something, each targeted layer changes the last state: none is bypassed."""
    backbone = load_backbone(key, random_weights=True)
    before = own_states(backbone, wave())[-1]
    METHODS["lora"](backbone, range(backbone.depth), targets=targets)
    second = {name: p for name, p in backbone.model.named_parameters() if "lora_B" in name}
    assert len(second) == backbone.depth * len(backbone.lora_targets[targets])
    for name, parameter in second.items():
        torch.nn.init.normal_(parameter, std=0.5)
        changed = own_states(backbone, wave())[-1]
        torch.nn.init.zeros_(parameter)
        assert (changed - before).abs().max() > 1e-5, name
