"""AdaLoRA in a backbone: its ranks fall to the budget, its penalty, and what another fit finds."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from affetto.backbones.checkpoints import load_backbone
from affetto.errors import UserError
from affetto.models.methods.adalora import AdaLora
from affetto.training.spec import settings

STEPS = 8


def adapted(**values: Any) -> tuple[AdaLora, list[torch.Tensor]]:
    """The method on a small Whisper, and the singular values of its layers."""
    backbone = load_backbone("whisper-mini", random_weights=True)
    torch.manual_seed(0)
    method = AdaLora(backbone, range(2), rank=2, initial_rank=4, alpha=4.0, **values)
    return method, [parameter for name, parameter in backbone.named_parameters() if "lora_E" in name]


def learn(method: AdaLora, step: int) -> None:
    random = torch.Generator().manual_seed(step)
    for layer in method.__dict__["budget"].layers.values():
        for parameter in layer.values():
            parameter.grad = torch.randn(parameter.shape, generator=random)
            parameter.data.sub_(0.05 * parameter.grad)
    method.after_step(step, STEPS)


def test_ranks_fall_to_their_mean_and_stay() -> None:
    method, values = adapted()
    assert len(values) == 4 and all(value.shape == (4, 1) and not value.any() for value in values)
    ranks = []
    for step in range(1, STEPS + 1):
        learn(method, step)
        ranks.append(sum(int(value.count_nonzero()) for value in values))
    assert ranks[0] == 16 and ranks[3:] == [8] * 5


def test_another_fit_begins_with_every_rank() -> None:
    method, values = adapted()
    for step in range(1, STEPS + 1):
        learn(method, step)
    assert method.step_state()
    method.restore_step_state({})
    assert method.step_state() == {}
    learn(method, 1)
    assert sum(int(value.count_nonzero()) for value in values) == 16


def test_the_penalty_is_the_setting_s_share_of_the_distance_from_orthogonality() -> None:
    method, _ = adapted(orthogonality=0.5)
    double, _ = adapted(orthogonality=1.0)
    first, second = method.penalty(), double.penalty()
    assert first is not None and second is not None and second.item() == pytest.approx(2 * first.item())
    assert adapted(orthogonality=0.0)[0].penalty() is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"adalora.rank": "12"}, "rank must be below initial_rank, 12"),
        ({"adalora.warm_up": "0.6"}, "warm_up and settled must be below 1 together"),
    ],
)
def test_a_course_without_room_is_refused_in_one_line(values: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message) as problem:
        settings("recommended", values, method="adalora")
    assert "\n" not in str(problem.value)
