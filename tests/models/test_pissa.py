"""PiSSA on shared weights: the function and the gradients of peft's own, which changes the weights themselves."""

from __future__ import annotations

import copy
from typing import Any

import peft
import pytest
import torch
from torch import Tensor, nn

from affetto.backbones.checkpoints import load_backbone
from affetto.errors import UserError
from affetto.models import lowrank
from affetto.models.methods.pissa import Pissa

RANK = 3


def layer() -> nn.Linear:
    """A layer whose singular values fall off, as those of a trained one do."""
    torch.manual_seed(0)
    made = nn.Linear(8, 6)
    left, right = (torch.linalg.qr(torch.randn(size, size))[0] for size in (6, 8))
    with torch.no_grad():
        made.weight.copy_(left @ torch.diag(torch.tensor([8.0, 4, 2, 1, 0.5, 0.25])) @ right[:6])
    return made


def adapted(plain: nn.Linear, start: Any) -> Any:
    config = peft.LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights=start, target_modules=["0"])
    stack: Any = nn.Sequential(copy.deepcopy(plain))
    model: Any = peft.get_peft_model(stack, config)
    return model.base_model.model[0]


def test_the_factors_are_those_of_the_largest_singular_values() -> None:
    weight = layer().weight.detach()
    low, high = lowrank.principal_factors(weight, RANK)
    u, s, v = torch.linalg.svd(weight, full_matrices=False)
    assert torch.allclose(high @ low, u[:, :RANK] * s[:RANK] @ v[:RANK], atol=1e-5)
    assert torch.allclose(low @ low.T, torch.diag(s[:RANK]), atol=1e-5)
    assert torch.allclose(high.T @ high, torch.diag(s[:RANK]), atol=1e-5)


def test_function_and_gradients_are_peft_s_after_some_steps_too() -> None:
    plain, x, weights = layer(), torch.randn(5, 8), torch.randn(5, 6)
    theirs, ours = adapted(plain, "pissa"), adapted(plain, True)
    lowrank.fuse(ours)
    low, high = (theirs.lora_A["default"].weight, theirs.lora_B["default"].weight)
    lowrank.start_at(ours, low.detach().clone(), high.detach().clone())
    pairs = [(theirs.lora_A["default"], ours.lora_A["default"]), (theirs.lora_B["default"], ours.lora_B["default"])]
    assert torch.allclose(ours(x), plain(x), atol=1e-5) and torch.allclose(theirs(x), plain(x), atol=1e-5)
    for _ in range(3):
        outputs: list[Tensor] = [module(x) for module in (theirs, ours)]
        assert torch.allclose(*outputs, atol=1e-4)
        for output in outputs:
            (output.tanh() * weights).sum().backward()
        for first, second in pairs:
            assert torch.allclose(first.weight.grad, second.weight.grad, atol=1e-4)
            for module in (first, second):
                module.weight.data.sub_(0.1 * module.weight.grad)
                module.weight.grad = None
    assert torch.equal(ours.base_layer.weight, plain.weight), "W itself stays as it is"
    before = ours(x)
    lowrank.widen(ours)
    assert torch.allclose(ours(x), before, atol=1e-6)


def test_a_rank_that_no_layer_has_is_refused() -> None:
    with pytest.raises(UserError, match=r"pissa.rank=97: a layer of 192 × 96 weights has no such rank"):
        Pissa(load_backbone("whisper-mini", random_weights=True), range(1), rank=97)
