"""Small numbers by hand: heads, LoRA, pooling, dropout."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from torch import Tensor, nn

from affetto.backbones.checkpoints import load_backbone
from affetto.models import lowrank
from affetto.models.dropout import keep
from affetto.models.head_layers import (
    ContextHead,
    FrameHead,
    StatisticsHead,
    attentive_statistics,
    masked_mean,
    masked_statistics,
)
from affetto.models.heads.head import Shape
from affetto.models.heads.registry import HEADS
from affetto.models.methods.lora import Lora
from affetto.models.pooling import StatePooling

FRAMES = torch.tensor([[[1.0, -2.0], [3.0, 2.0], [100.0, 100.0]]])
MASK = torch.tensor([[True, True, False]])


@torch.no_grad()
def filled(module: nn.Module, *weights: list[list[float]]) -> nn.Module:
    """The linear layers of `module`, in order, with these weights and the bias 1 everywhere."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    assert len(layers) == len(weights)
    for layer, weight in zip(layers, weights, strict=True):
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.fill_(1.0)
    return module


def built(name: str, *, unmasked_mean: bool = False) -> nn.Module:
    return HEADS[name].build(Shape(width=2, classes=2, hidden=2, dropout=0.0, unmasked_mean=unmasked_mean))


def test_means_are_over_the_clip_s_own_frames() -> None:
    assert masked_mean(FRAMES, MASK).tolist() == [[2.0, 0.0]]
    assert masked_mean(FRAMES[:, :2], None).tolist() == [[2.0, 0.0]]
    assert masked_statistics(FRAMES, MASK)[0].tolist() == pytest.approx([2.0, 0.0, 1.0, 2.0])


SWAP, MINUS, DOUBLE = [[0.0, 1.0], [1.0, 0.0]], [[-1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 2.0]]


def test_the_paper_s_head() -> None:
    """Three layers on each frame, two ReLUs between them; the mean; a layer, a ReLU, a layer."""
    head = filled(built("paper"), SWAP, MINUS, DOUBLE, MINUS, SWAP).eval()
    # frame 1: (1, −2) → (−1, 2) → (0, 2) → (1, 3) → (1, 3) → (3, 7)
    # frame 2: (3, 2) → (3, 4) → (3, 4) → (−2, 5) → (0, 5) → (1, 11)
    # mean (2, 9) → (−1, 10) → (0, 10) → (11, 1)
    assert head(FRAMES, MASK).tolist() == [[11.0, 1.0]]
    shape = [type(layer).__name__ for layer in (*head.per_frame, *head.per_clip)]  # type: ignore[misc, union-attr]
    assert shape == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear", "Linear", "ReLU", "Linear"]


def test_the_other_heads() -> None:
    short = filled(built("short"), SWAP, DOUBLE).eval()
    # (1, −2) → (−1, 2) → (0, 2); (3, 2) → (3, 4); mean (1.5, 3) → (4, 7)
    assert short(FRAMES, MASK).tolist() == [[4.0, 7.0]]
    linear = filled(built("linear"), SWAP, DOUBLE).eval()
    # (−1, 2), (3, 4); mean (1, 3) → (3, 7)
    assert linear(FRAMES, MASK).tolist() == [[3.0, 7.0]]
    unmasked = filled(built("linear", unmasked_mean=True), SWAP, DOUBLE).eval()
    assert unmasked(FRAMES, MASK)[0].tolist() == pytest.approx([1 + 2 * 103 / 3, 1 + 2 * 107 / 3])


def test_attentive_statistics_weigh_the_clip_s_own_frames() -> None:
    """Weights 3/4 and 1/4: mean (1.5, −1), deviation √(3/4 · 1/4) of the distance (2, 4)."""
    scores = torch.log(torch.tensor([[[3.0], [1.0], [50.0]]]))
    expected = pytest.approx([1.5, -1.0, 0.75**0.5, 3**0.5])
    assert attentive_statistics(FRAMES, scores, MASK)[0].tolist() == expected
    assert attentive_statistics(FRAMES[:, :2], scores[:, :2], None)[0].tolist() == expected


def test_the_attentive_head() -> None:
    head = built("attentive").eval()
    with torch.no_grad():
        for layer, weight in zip((head.per_frame[0], head.attention[0]), (SWAP, MINUS), strict=True):  # type: ignore[index]
            layer.weight.copy_(torch.tensor(weight))
            layer.bias.fill_(1.0)
        head.attention[2].weight.copy_(torch.tensor([[2.0, 0.5]]))  # type: ignore[index]
        head.out.weight.copy_(torch.eye(4)[1:3])  # type: ignore[union-attr, operator]
        head.out.bias.zero_()  # type: ignore[union-attr, operator]
    # rows (0, 2) and (3, 4) → (1, 3) and (−2, 5) → tanh → scores
    # `out` gives the mean of 2 and 4, and the deviation of 0 and 3
    first, second = (2 * math.tanh(a) + 0.5 * math.tanh(b) for a, b in ((1.0, 3.0), (-2.0, 5.0)))
    weight = 1 / (1 + math.exp(first - second))
    expected = [2 + 2 * weight, 3 * (weight * (1 - weight)) ** 0.5]
    assert head(FRAMES, MASK)[0].tolist() == pytest.approx(expected, rel=1e-4)
    unmasked = built("attentive", unmasked_mean=True).eval()
    unmasked.load_state_dict(head.state_dict())
    assert unmasked(FRAMES, MASK)[0].tolist() != pytest.approx(expected, rel=0.1)


def test_attention_of_channels_sees_the_clip_s_own_statistics() -> None:
    """Scores of channel 1 from the frame alone are log 3 and log 1; those of channel 2 are equal."""
    scores = torch.log(torch.tensor([[[3.0, 1.0], [1.0, 1.0], [50.0, 50.0]]]))
    by_channel = attentive_statistics(FRAMES, scores, MASK)[0].tolist()
    assert by_channel == pytest.approx([1.5, 0.0, 0.75**0.5, 2.0])
    head = ContextHead(nn.Identity(), nn.Identity(), nn.Identity())
    rows = head.scores(FRAMES, MASK)
    assert rows[0, 0].tolist() == pytest.approx([1.0, -2.0, 2.0, 0.0, 1.0, 2.0])
    assert rows[0, 1].tolist() == pytest.approx([3.0, 2.0, 2.0, 0.0, 1.0, 2.0])


def test_the_statistics_head() -> None:
    head = StatisticsHead(1, 2, 0.0)
    head.standardise(torch.tensor([[1.0, 7.0], [5.0, 7.0]]))
    assert head.centre.tolist() == [3.0, 7.0] and head.scale.tolist() == [2.0, 1.0]
    assert not head.classify(torch.tensor([[9.0, 9.0]])).any(), "it starts at zero"
    filled(head, [[1.0, 0.0], [1.0, 1.0]])
    assert head.classify(torch.tensor([[7.0, 8.0]])).tolist() == [[3.0, 4.0]]


def test_draws_of_dropout_stand_side_by_side_in_training_and_nowhere_else() -> None:
    head = StatisticsHead(20, 3, 0.5)
    head.dropout_samples = 4
    nn.init.normal_(head.out.weight)
    statistics = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    draws = head.train().classify(statistics).chunk(4, dim=1)
    assert [draw.shape for draw in draws] == [(5, 3)] * 4
    assert not any(torch.equal(draws[0], draw) for draw in draws[1:])
    assert head.eval().classify(statistics).shape == (5, 3)


@pytest.mark.parametrize(
    ("name", "layers"), [("attentive", 1), ("ecapa", 1), ("paper", 2), ("short", 1), ("statistics", 1)]
)
def test_the_heads_dropout_is_the_setting_s(name: str, layers: int) -> None:
    made = HEADS[name].build(Shape(width=4, classes=3, hidden=5, dropout=0.25))
    assert [module.p for module in made.modules() if type(module).__name__ == "Dropout"] == [0.25] * layers


def test_states_are_weighed_as_the_kind_says() -> None:
    assert StatePooling(3, 2, "mean").fixed() == [0.25] * 4
    assert StatePooling(2, 2, "without_embedding").fixed() == [0.0, 0.5, 0.5]
    assert StatePooling(2, 2, "layer", 1).fixed() == [0.0, 1.0, 0.0]
    assert StatePooling(2, 2, "layer").fixed() == [0.0, 0.0, 1.0]
    learned = StatePooling(1, 2, "weighted")
    assert learned.coefficients().tolist() == [0.5, 0.5]
    with torch.no_grad():
        assert learned.weights is not None
        learned.weights.copy_(torch.log(torch.tensor([1.0, 3.0])))
    assert learned.coefficients().tolist() == pytest.approx([0.25, 0.75])
    normed = StatePooling(2, 2, state_norm="layer").normalise(torch.tensor([5.0, 1.0]))
    assert normed.tolist() == pytest.approx([1.0, -1.0], abs=1e-5)


# LoRA --------------------------------------------------------------------------------------------------------------

X = torch.tensor([[1.0, 2.0]])
WEIGHT = torch.tensor([[1.0, 0.0], [3.0, 1.0]])
BIAS = torch.tensor([0.5, 0.0])
A, B = torch.tensor([[1.0, -1.0]]), torch.tensor([[2.0], [1.0]])


def low_rank(x: Tensor, *, gelu: bool = False) -> Tensor:
    return lowrank.low_rank(x, WEIGHT, BIAS, A, B, scale=0.5, gelu=gelu)


def test_lora_s_product() -> None:
    # W x + b = (1.5, 5); A x = −1; B A x = (−2, −1), halved.
    assert low_rank(X).tolist() == [[0.5, 4.5]]
    entered = nn.functional.gelu(X)
    assert torch.allclose(low_rank(X, gelu=True), low_rank(entered))


def test_lora_s_gradients() -> None:
    x, a, b = X.clone().requires_grad_(), A.clone().requires_grad_(), B.clone().requires_grad_()
    out = lowrank.low_rank(x, WEIGHT, BIAS, a, b, scale=0.5)
    (out * torch.tensor([1.0, 10.0])).sum().backward()
    # ∂B = s g (A x)ᵀ, ∂A = s (Bᵀ g) xᵀ, ∂x = Wᵀ g + s Aᵀ Bᵀ g, with g = (1, 10), Bᵀ g = 12
    assert b.grad is not None and b.grad.tolist() == [[-0.5], [-5.0]]
    assert a.grad is not None and a.grad.tolist() == [[6.0, 12.0]]
    assert x.grad is not None and x.grad.tolist() == [[31.0 + 6.0, 10.0 - 6.0]]


def test_lora_s_dropout_lies_before_a_and_touches_nothing_else() -> None:
    torch.manual_seed(0)
    zeros = torch.zeros(1, 400)
    wide, one = torch.ones(1, 400), torch.ones(1, 1)
    drop = functools.partial(keep, p=0.25)
    out = lowrank.low_rank(wide.expand(500, 400), zeros, None, wide, one, drop=drop)
    assert float(out.mean()) == pytest.approx(400, rel=0.01)  # what is kept is scaled by 4/3
    assert float(out.std()) == pytest.approx(400**0.5 * (4 / 3) * (0.25 * 0.75) ** 0.5, rel=0.2)


@torch.no_grad()
@pytest.mark.parametrize(("alpha", "rank", "scaling"), [(1.0, 8, 0.125), (8.0, 8, 1.0), (3.0, 2, 1.5)])
def test_alpha_over_rank_scales_the_update_of_every_target(alpha: float, rank: int, scaling: float) -> None:
    backbone = load_backbone("whisper-mini", random_weights=True)
    Lora(backbone, range(1), rank=rank, alpha=alpha, targets="all")
    block = backbone.blocks[0]
    layers = [
        block.self_attn.q_proj,
        block.self_attn.k_proj,
        block.self_attn.v_proj,
        block.self_attn.out_proj,
        block.fc1,
    ]
    for layer in layers:
        low, high = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        assert low.shape[0] == rank and not high.any() and low.any()
        nn.init.normal_(high)
        x = torch.randn(3, layer.in_features)
        update = layer(x) - layer.base_layer(x)
        assert torch.allclose(update, scaling * x @ low.T @ high.T, rtol=1e-4, atol=1e-5)


def test_a_head_of_frames_takes_its_mean_before_the_last_layers() -> None:
    head = FrameHead(nn.Identity(), nn.ReLU())
    assert head(FRAMES, MASK).tolist() == [[2.0, 0.0]]
