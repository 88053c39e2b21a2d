"""Losses by hand: CCC and error of dimensions, divergence of shares, binary cross-entropy, and their sum."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from affetto.measures.regression import CCC
from affetto.targets.classes import Classes
from affetto.targets.dimensions import Dimensions, Interval
from affetto.targets.distribution import Distribution
from affetto.targets.joint import Joint
from affetto.targets.losses import (
    BALANCES,
    BinaryCrossEntropy,
    CrossEntropy,
    DimensionLoss,
    SoftCrossEntropy,
    class_weights,
)
from affetto.targets.multilabel import Multilabel
from affetto.targets.target import PLAIN_LOSS, Loss, LossSettings, Target, TargetSettings
from affetto.training.sections import TargetSection, TrainingSettings

RANDOM = torch.Generator().manual_seed(3)
PLANE = Dimensions(("arousal", "valence"), (Interval(1, 5), Interval(0, 10)), "ccc")
EVERY: dict[str, Target] = {
    "classes": Classes(("a", "b", "c")),
    "distribution": Distribution(("a", "b", "c")),
    "multilabel": Multilabel(("a", "b", "c")),
    "ccc": PLANE,
    "mse": Dimensions(PLANE.names, PLANE.ranges, "mse"),
    "ccc+mse": Dimensions(PLANE.names, PLANE.ranges),
    "joint": Joint(Classes(("a", "b", "c")), PLANE, 0.5),
    "joint of shares": Joint(Distribution(("a", "b", "c")), PLANE, 2.0),
}


def truth_of(target: Target, clips: int) -> Tensor:
    """Truth of clips as `encode` gives it."""
    index = torch.randint(0, 3, (clips,), generator=RANDOM)
    shares = torch.softmax(torch.randn(clips, 3, generator=RANDOM), 1)
    numbers = torch.rand(clips, 2, generator=RANDOM) * 1.6 - 0.8
    if isinstance(target, Joint):
        return torch.cat([index[:, None].float() if target.columns == 1 else shares, numbers], 1)
    return {Classes: index, Distribution: shares, Multilabel: (shares > 0.3).float(), Dimensions: numbers}[type(target)]


def fitted(target: Target, truth: Tensor, kind: str) -> Loss:
    return target.loss(truth, LossSettings(kind=kind, label_smoothing=0.1))


@pytest.mark.parametrize("kind", BALANCES)
@pytest.mark.parametrize("name", EVERY)
def test_clips_that_only_fill_a_batch_change_no_loss_and_get_no_gradient(name: str, kind: str) -> None:
    target = EVERY[name]
    truth = truth_of(target, 6)
    loss, outputs = fitted(target, truth, kind), torch.randn(6, target.outputs, generator=RANDOM)
    alone = outputs[:4].clone().requires_grad_()
    weights = torch.full((4,), 1 / float(loss.clip_weights(truth[:4]).sum()))
    expected = loss.of_batch(alone, truth[:4], weights)
    expected.backward()
    filled = outputs.clone().requires_grad_()
    value = loss.of_batch(filled, truth, torch.cat([weights, torch.zeros(2)]))
    value.backward()
    assert filled.grad is not None and alone.grad is not None
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(filled.grad[:4], alone.grad)
    assert filled.grad[4:].abs().max() == 0


@pytest.mark.parametrize("name", EVERY)
def test_gradient_steps_bring_the_loss_down_and_the_truth_near(name: str) -> None:
    target = EVERY[name]
    truth = truth_of(target, 12)
    loss = target.loss(truth, LossSettings())
    outputs = torch.zeros(12, target.outputs, requires_grad=True)
    weights = torch.full((12,), 1 / float(loss.clip_weights(truth).sum()))
    optimizer = torch.optim.Adam([outputs], lr=0.1)
    before = float(loss.of_batch(outputs, truth, weights).detach())
    for _ in range(300):
        optimizer.zero_grad()
        loss.of_batch(outputs, truth, weights).backward()
        optimizer.step()
    values = target.activate(outputs.detach().double()).numpy()
    after = loss.of_values(values, truth)
    assert math.isfinite(before) and after < 0.1 * before
    scores = target.validation_scores(values, truth.numpy())
    assert scores[target.main_measure] > 0.95 and scores["loss"] < 0.1


@pytest.mark.parametrize("kind", BALANCES)
@pytest.mark.parametrize("name", EVERY)
def test_the_loss_of_values_is_that_of_a_batch_of_all_clips(name: str, kind: str) -> None:
    target = EVERY[name]
    truth = truth_of(target, 8)
    loss, outputs = fitted(target, truth, kind), torch.randn(8, target.outputs, generator=RANDOM).clamp(-0.9, 0.9)
    weights = torch.full((8,), 1 / float(loss.clip_weights(truth).sum()))
    values = target.activate(outputs.double()).numpy()
    assert loss.of_values(values, truth) == pytest.approx(float(loss.of_batch(outputs, truth, weights)), rel=1e-4)


def test_the_ccc_of_a_batch_is_the_measure() -> None:
    outputs, truth = torch.randn(9, 2, generator=RANDOM), torch.randn(9, 2, generator=RANDOM)
    loss = DimensionLoss(1.0, 0.0, middle=(0, 0), half=(1, 1)).of_batch(outputs, truth, torch.full((9,), 1 / 9))
    assert float(loss) == pytest.approx(1 - CCC.of_predictions(outputs.numpy(), truth.numpy()).mean(), abs=1e-6)


@pytest.mark.parametrize("constant", ["one clip", "equal outputs", "equal truth", "both alike"])
def test_the_ccc_of_nothing_that_varies_is_0_with_a_finite_gradient(constant: str) -> None:
    clips = 1 if constant == "one clip" else 5
    outputs, truth = torch.randn(clips, 1, generator=RANDOM), torch.randn(clips, 1, generator=RANDOM)
    if constant in ("equal outputs", "both alike"):
        outputs = torch.ones(clips, 1)
    if constant in ("equal truth", "both alike"):
        truth = torch.ones(clips, 1)
    outputs.requires_grad_()
    loss = DimensionLoss(1.0, 0.0, middle=(0,), half=(1,)).of_batch(outputs, truth, torch.full((clips,), 1 / clips))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(1.0, abs=1e-6)
    assert outputs.grad is not None and bool(torch.isfinite(outputs.grad).all())


def test_two_processes_share_a_loss_of_numbers_by_their_clips() -> None:
    """Each passes its own clips with weights that sum to its share."""
    outputs, truth = torch.randn(3, 1, generator=RANDOM), torch.randn(3, 1, generator=RANDOM)
    loss = DimensionLoss(0.0, 1.0, middle=(0,), half=(1,))
    third = torch.full((3,), 1 / 3)
    parts = [loss.of_batch(outputs[part], truth[part], third[part]) for part in (slice(0, 1), slice(1, 3))]
    torch.testing.assert_close(parts[0] + parts[1], (outputs - truth).square().mean())


def test_the_divergence_of_shares_by_hand() -> None:
    shares = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
    loss = SoftCrossEntropy.fitted(shares, PLAIN_LOSS)
    logits = torch.log(torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    expected = (0.5 * math.log(2) + 0.5 * math.log(0.5 / 0.75) + math.log(2)) / 2
    assert float(loss.of_batch(logits, shares, torch.full((2,), 0.5))) == pytest.approx(expected, rel=1e-6)
    # 1.5 and 0.5 clips: a label of a third of the clips counts twice as much as it would without weights.
    assert class_weights(shares.sum(0)).tolist() == pytest.approx([2 / 3, 2.0])
    weighted = SoftCrossEntropy.fitted(shares, LossSettings())
    assert weighted.clip_weights(shares).tolist() == pytest.approx([4 / 3, 2 / 3])


LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.5, 0.0], [0.0, 1.0, 1.0], [1.0, -1.0, 0.0]])
SKEWED = torch.tensor([0, 0, 1, 0])
"""Classes of four clips: three, one and none."""


def of_classes(kind: str, truth: Tensor = SKEWED, factors: Tensor | None = None, **more: Any) -> float:
    """The loss of `LOGITS`, the weighted mean over clips."""
    loss = CrossEntropy.fitted(truth, 3, LossSettings(kind=kind, **more), factors)
    weights = torch.full((4,), 1 / float(loss.clip_weights(truth).sum()))
    return float(loss.of_batch(LOGITS, truth, weights))


def test_the_focal_loss_by_hand() -> None:
    hits = torch.softmax(LOGITS, 1)[torch.arange(4), SKEWED]
    by_clip = -((1 - hits) ** 1.5) * hits.log()
    assert of_classes("focal", focal_gamma=1.5, class_weights=False) == pytest.approx(float(by_clip.mean()))
    weights = torch.tensor([4 / 9, 4 / 9, 4 / 3, 4 / 9])
    expected = float((weights * by_clip).sum() / weights.sum())
    assert of_classes("focal", focal_gamma=1.5) == pytest.approx(expected)
    shares = torch.nn.functional.one_hot(SKEWED, 3).float()
    soft = SoftCrossEntropy.fitted(shares, LossSettings(kind="focal", focal_gamma=1.5, class_weights=False))
    assert float(soft.of_batch(LOGITS, shares, torch.full((4,), 0.25))) == pytest.approx(float(by_clip.mean()))


def test_a_focal_loss_of_a_certain_clip_has_a_finite_gradient() -> None:
    outputs = torch.tensor([[100.0, 0.0, 0.0]], requires_grad=True)
    loss = CrossEntropy.fitted(SKEWED, 3, LossSettings(kind="focal", focal_gamma=0.5))
    loss.of_batch(outputs, SKEWED[:1], torch.ones(1)).backward()
    assert outputs.grad is not None and bool(torch.isfinite(outputs.grad).all())


def test_classes_are_weighted_by_the_effective_number_of_their_clips() -> None:
    """Three clips count as 1 + 0.9 + 0.81; a class without clips weighs nothing."""
    settings = LossSettings(kind="class_balanced", class_balanced_beta=0.9)
    weight = CrossEntropy.fitted(SKEWED, 3, settings).balance.weight
    assert weight.tolist() == pytest.approx([3.71 / (3 * 2.71), 3.71 / 3, 0.0])
    halved = CrossEntropy.fitted(SKEWED, 3, settings, torch.tensor([1.0, 0.5, 1.0, 0.5])).balance.weight
    assert float(halved[1] / halved[0]) == pytest.approx(1.9), "two clips, by their factors"
    shares = torch.nn.functional.one_hot(SKEWED, 3).float()
    soft = SoftCrossEntropy.fitted(shares, settings, torch.tensor([1.0, 0.5, 1.0, 0.5])).balance.weight
    torch.testing.assert_close(soft, halved)
    near = LossSettings(kind="class_balanced", class_balanced_beta=1 - 1e-9)
    torch.testing.assert_close(
        CrossEntropy.fitted(SKEWED, 3, near).balance.weight, class_weights(torch.tensor([3, 1, 0]))
    )


def test_outputs_are_adjusted_by_the_shares_of_classes_and_not_weighted() -> None:
    """Shares are 3/4 and 1/4, and even ones would be 1/2."""
    adjusted = LOGITS + torch.tensor([1.5, 0.5, 1.0]).log()
    expected = float(torch.nn.functional.cross_entropy(adjusted, SKEWED))
    assert of_classes("logit_adjusted") == pytest.approx(expected)
    by_factors = LOGITS + torch.tensor([4 / 3, 2 / 3, 1.0]).log()
    factors = torch.tensor([1.0, 0.5, 1.0, 0.5])
    expected = float(torch.nn.functional.cross_entropy(by_factors, SKEWED))
    assert of_classes("logit_adjusted", factors=factors) == pytest.approx(expected)
    smooth = LossSettings(kind="logit_adjusted", label_smoothing=0.2)
    outputs = torch.zeros(4, 3, requires_grad=True)
    CrossEntropy.fitted(SKEWED, 3, smooth).of_batch(outputs, SKEWED, torch.full((4,), 0.25)).backward()
    assert outputs.grad is not None and bool((outputs.grad[:, 2] > 0).all()), "a class without clips is not drawn up"


@pytest.mark.parametrize("kind", ["class_balanced", "logit_adjusted"])
def test_of_even_classes_a_balancing_loss_is_the_cross_entropy(kind: str) -> None:
    even = torch.tensor([0, 0, 1, 1])
    assert of_classes(kind, even) == pytest.approx(of_classes("cross_entropy", even))
    assert of_classes(kind) != pytest.approx(of_classes("cross_entropy"), abs=1e-4)


def test_every_name_of_a_loss_has_a_maker() -> None:
    assert set(get_args(TrainingSettings.model_fields["loss"].annotation)) == set(BALANCES)
    fields = {"loss": "focal", "focal_gamma": 1.5, "class_balanced_beta": 0.3}
    settings = TrainingSettings(class_weights=False, label_smoothing=0.2, **fields).loss_settings  # type: ignore[arg-type]
    assert settings == LossSettings(
        kind="focal", class_weights=False, label_smoothing=0.2, focal_gamma=1.5, class_balanced_beta=0.3
    )
    assert TrainingSettings().loss_settings == LossSettings()


def test_marks_of_a_rare_label_count_more_within_bounds() -> None:
    marks = torch.tensor([[1.0, 1.0, 0.0]] + [[1.0, 0.0, 0.0]] * 19)
    assert BinaryCrossEntropy.fitted(marks, LossSettings()).positive.tolist() == [
        pytest.approx(0.1),
        10.0,
        10.0,
    ]


def test_numbers_stay_within_their_ranges_and_come_back() -> None:
    values = PLANE.activate(torch.tensor([[-3.0, 3.0], [0.0, 0.5]]).double()).numpy()
    assert values.tolist() == [[1.0, 10.0], [3.0, 7.5]]
    assert np.allclose((values - PLANE.middle) / PLANE.half, [[-1, 1], [0, 0.5]])


def test_outputs_that_have_run_off_come_back_by_the_default_loss_and_not_by_the_ccc_alone() -> None:
    truth = torch.rand(12, 1, generator=RANDOM) - 0.5
    gradients = {}
    for name in ("ccc", "ccc+mse"):
        target = Dimensions(("arousal",), (Interval(-1, 1),), name)
        outputs = (truth - 30).requires_grad_()
        target.loss(truth, PLAIN_LOSS).of_batch(outputs, truth, torch.full((12,), 1 / 12)).backward()
        assert outputs.grad is not None
        gradients[name] = float(outputs.grad.abs().mean())
    assert gradients["ccc"] < 1e-4 < 1 < gradients["ccc+mse"]
    assert TargetSettings().dimension_loss == TargetSection().dimension_loss == "ccc+mse"
