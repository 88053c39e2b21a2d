"""bfloat16: the residual stream and pooling stay in float32, and a fresh method is the frozen backbone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from affetto.models.classifier import Classifier, Prefix
from affetto.models.pooling import StatePooling
from affetto.models.prefix import PrefixStore, collate
from models.systems import FAMILIES, classifier, clips

CPU = torch.device("cpu")


def stream_dtypes(made: Classifier, wave: np.ndarray) -> set[torch.dtype]:
    """The dtypes in which the residual stream enters blocks, from the wave to the logits."""
    seen: set[torch.dtype] = set()
    for block in made.backbone.blocks:
        block.register_forward_pre_hook(lambda _module, inputs: seen.add(inputs[0].dtype))
    logits(made, made.prefix(wave))
    return seen


@torch.no_grad()
def logits(made: Classifier, prefix: Prefix) -> Tensor:
    return made(*collate([prefix], CPU))


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize("method", ["frozen", "lora", "full"])
def test_the_residual_stream_is_float32_below_the_cut_and_above_it(key: str, method: str) -> None:
    made = classifier(key, method, first_block=0 if method == "full" else 1).compute_in("bfloat16")
    assert stream_dtypes(made, clips(0.6)[0]) == {torch.float32}
    assert made.states(clips(0.6)[0]).dtype == torch.float32


@pytest.mark.parametrize("key", FAMILIES)
def test_a_fresh_method_is_the_frozen_backbone_by_way_of_the_store_too(key: str, tmp_path: Path) -> None:
    wave = clips(0.8)[0]
    frozen = classifier(key, "frozen", stir=0.0).compute_in("bfloat16")
    expected = logits(frozen, frozen.prefix(wave))
    for method in ("lora", "adapter"):
        for first_block in (0, 1):
            made = classifier(key, method, stir=0.0, first_block=first_block).compute_in("bfloat16")
            made.head.load_state_dict(frozen.head.state_dict())
            stored = PrefixStore({"cut": made.cut}, "float32", tmp_path / method).put("ab" * 32, made.prefix(wave))
            found = logits(made, stored)
            assert (found - expected).abs().max() <= 1e-6 * expected.abs().max(), (method, first_block)


def test_learned_weights_pool_states_in_float32() -> None:
    """A mean that bfloat16, with its three digits, cannot hold, of states that it can."""
    made = classifier("whisper-mini", "frozen").compute_in("bfloat16")
    made.pooling = StatePooling(1, 2, "weighted")
    states = torch.tensor([[[1.0, 3.0], [1.0078125, 3.0]]])  # (frames, states, width)
    frames, _ = made.pooled({"states": states[None]}, None)
    assert frames.dtype == torch.float32 and frames[0, 0].tolist() == [1.00390625, 3.0]
