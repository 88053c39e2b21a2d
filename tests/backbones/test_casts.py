"""One cast of an activation for several layers: the numbers of a cast for each."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from affetto.backbones.casts import cast_once
from affetto.backbones.checkpoints import load_backbone
from affetto.models.device import KINDS
from affetto.models.prefix import collate
from models.systems import classifier, clips


def gradient(x: Tensor, layers: list[nn.Linear], *, shared: bool) -> Tensor:
    x.grad = None
    with torch.autocast("cpu", torch.bfloat16):
        inner = x * 1.0  # autocast has one cast of a leaf for all that read it
        inputs = cast_once(inner, len(layers)) if shared else (inner,) * len(layers)
        torch.stack(
            [layer(entered) for layer, entered in zip(layers, inputs, strict=True)]
        ).float().square().sum().backward()
    assert x.grad is not None
    return x.grad


def test_gradients_of_a_shared_cast_meet_in_float32() -> None:
    torch.manual_seed(0)
    layers, x = [nn.Linear(8, 8) for _ in range(3)], torch.randn(5, 8, requires_grad=True)
    expected = gradient(x, layers, shared=False)
    assert torch.allclose(gradient(x, layers, shared=True), expected, rtol=1e-6, atol=1e-6)


def test_without_autocast_and_without_gradients_nothing_is_recorded() -> None:
    x = torch.randn(5, 8, requires_grad=True)
    assert all(entered is x for entered in cast_once(x, 2))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert {(entered.dtype, entered.requires_grad) for entered in cast_once(x, 2)} == {(torch.bfloat16, False)}


def test_layers_that_compute_more_exactly_get_the_exact_input() -> None:
    """peft's rotations compute in float32; one among the projections keeps the cast from all."""

    class Exact(nn.Linear):
        seen: torch.dtype

        def forward(self, x: Tensor) -> Tensor:
            self.seen = x.dtype
            return super().forward(x)

    backbone = load_backbone("wav2vec2-mini", random_weights=True)
    attention = backbone.attention(backbone.blocks[0])
    attention.q_proj = exact = Exact(backbone.width, backbone.width)
    with torch.autocast("cpu", torch.bfloat16):
        attention(torch.randn(1, 4, backbone.width))
    assert exact.seen == torch.float32


@pytest.mark.parametrize("method", ["lora", "adapter", "lora+adapter", "pissa"])
def test_weights_that_are_cast_together_give_the_numbers_of_each_by_itself(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = classifier("wav2vec2-mini", method).compute_in("bfloat16").train()
    made.head.eval()
    batch = collate([made.prefix(clip) for clip in clips(0.9, 0.6)], torch.device("cpu"))

    def gradients() -> dict[str, Tensor]:
        made.zero_grad()
        made(*batch).square().sum().backward()
        return {name: p.grad.clone() for name, p in made.trainable().items() if p.grad is not None}

    expected = gradients()
    monkeypatch.setitem(KINDS, "cpu", replace(KINDS["cpu"], queued=True))
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda _: None)
    together = gradients()
    assert together.keys() == expected.keys()
    for name, gradient in together.items():
        assert gradient.dtype == torch.float32
        assert (gradient - expected[name]).norm() <= 4e-3 * expected[name].norm() + 1e-7, name
