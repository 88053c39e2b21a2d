"""AdaLoRA's allocation of ranks: that of peft's own allocator step by step, and its state in a checkpoint."""

from __future__ import annotations

import copy
from typing import Any

import peft
import pytest
import torch
from torch import nn

from affetto.models.rank_budget import RankBudget, Schedule, Triplet, orthogonality

STEPS, WARM_UP, SETTLED = 20, 0.1, 0.3
SCHEDULE = Schedule(warm_up=WARM_UP, settled=SETTLED, first=12, last=4)


def adapted() -> Any:
    """Two layers under peft's AdaLoRA, six ranks each at the start and two on average at the end."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3))
    config = peft.AdaLoraConfig(
        init_r=6,
        target_r=2,
        tinit=round(WARM_UP * STEPS),
        tfinal=round(SETTLED * STEPS),
        total_step=STEPS,
        target_modules=["0", "1"],
    )
    made = peft.get_peft_model(model, config)  # type: ignore[arg-type]
    for name, parameter in made.named_parameters():
        if "lora_E" in name:
            nn.init.normal_(parameter)
    return made


def triplets(model: Any) -> dict[str, Triplet]:
    layers = {name: module for name, module in model.named_modules() if hasattr(module, "lora_E") and module.lora_E}
    return {name: {part: getattr(layer, f"lora_{part}")["default"] for part in "ABE"} for name, layer in layers.items()}


def learn(model: Any, step: int) -> None:
    """Gradients of the step, the same for the same step, and an update by them."""
    random = torch.Generator().manual_seed(step)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.randn(parameter.shape, generator=random)
            parameter.data.sub_(0.05 * parameter.grad)


def values(model: Any) -> list[torch.Tensor]:
    return [layer["E"].detach().clone() for layer in triplets(model).values()]


def test_the_ranks_are_those_that_peft_allocates() -> None:
    theirs, ours = adapted(), adapted()
    budget = RankBudget(triplets(ours), SCHEDULE)
    ranks = []
    for step in range(1, STEPS + 1):
        learn(theirs, step)
        theirs.base_model.update_and_allocate(step)
        learn(ours, step)
        budget.after_step(step, STEPS)
        for first, second in zip(values(ours), values(theirs), strict=True):
            assert torch.equal(first, second), step
        ranks.append(sum(int((value != 0).sum()) for value in values(ours)))
    assert ranks[1] == 12 and ranks[-1] == 4 and ranks[13:] == [4] * 7
    assert ranks == sorted(ranks, reverse=True) and len(set(ranks)) > 4, "fewer, little by little"


def test_a_fit_that_goes_on_chooses_as_an_undisturbed_one_and_another_fit_begins_anew() -> None:
    undisturbed, stopped = adapted(), adapted()
    first, second = (RankBudget(triplets(model), SCHEDULE) for model in (undisturbed, stopped))
    for step in range(1, STEPS + 1):
        if step == 9:
            state = copy.deepcopy(second.state())
            second = RankBudget(triplets(stopped), SCHEDULE)
            second.restore(state)
        for model, budget in ((undisturbed, first), (stopped, second)):
            learn(model, step)
            budget.after_step(step, STEPS)
    for a, b in zip(values(undisturbed), values(stopped), strict=True):
        assert torch.equal(a, b)
    second.restore({})
    assert second.state() == {}


@pytest.mark.parametrize("total", [1, 2, 3])
def test_a_short_fit_ends_within_the_budget(total: int) -> None:
    model = adapted()
    budget = RankBudget(triplets(model), SCHEDULE)
    for step in range(1, total + 1):
        learn(model, step)
        budget.after_step(step, total)
    assert sum(int((value != 0).sum()) for value in values(model)) == 4


def test_orthogonality_by_hand() -> None:
    a, b = torch.tensor([[3.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    layer = {"A": nn.Parameter(a), "B": nn.Parameter(b), "E": nn.Parameter(torch.zeros(2, 1))}
    # A Aᵀ − I = diag(8, 0): 8. Bᵀ B − I = diag(1, −1): √2.
    assert orthogonality({"layer": layer}).item() == pytest.approx((8 + 2**0.5) / 2)
