"""A training step on the device alone, from a bank's rows to the optimiser: families, methods, heads, poolings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.checkpoints import from_config
from affetto.models.bank import Bank
from affetto.models.classifier import Classifier
from affetto.models.heads.registry import HEADS
from affetto.models.methods.registry import METHODS
from affetto.models.pooling import POOLINGS
from affetto.targets.losses import CrossEntropy
from affetto.training.gradients import check_gradients
from devices.guard import META, LeavingError, OnTheDevice, on_device
from models.systems import FAMILIES, classifier, clips
from targets.test_losses import EVERY as TARGETS
from targets.test_losses import truth_of

EVERYWHERE = ("adapter", "frozen", "full", "lora")
"""Methods that are tried on every family; the others on one with a position bias and on one without."""
OTHERS = [name for name, method in METHODS.items() if method.takes_steps and name not in EVERYWHERE] + ["lora+adapter"]
NEEDS_LAYER = {"layer": 2}


class Stored(dict[str, Any]):
    """Prefixes as the store has them."""

    @property
    def frames(self) -> dict[str, int]:
        return {name: next(iter(prefix.values())).shape[0] for name, prefix in self.items()}


def step(made: Classifier) -> None:
    """A step of two clips; what comes before the first step of a fit is not watched."""
    stored = Stored(zip("ab", (made.prefix(clip) for clip in clips(0.9, 0.6)), strict=True))
    on_device(made).train()
    bank = Bank(stored, "ab", META)
    loss = CrossEntropy.fitted(torch.tensor([0, 1]), 7, weighted=True, smoothing=0.1).to(META)
    rows, targets, weights = bank.index("ab"), torch.zeros(2, dtype=torch.long, device=META), torch.ones(2, device=META)
    optimizer = torch.optim.Adam(made.trainable().values(), foreach=False)
    made.method.restore_step_state({})
    with OnTheDevice():
        prefix, lengths = bank.gather(rows, 48)
        total = loss.of_batch(made(prefix, lengths), targets, weights)
        penalty = made.method.penalty()
        (total if penalty is None else total + penalty).backward()
        made.method.after_step(5, 10)
    optimizer.step()
    trained = made.trainable()
    assert trained and {parameter.device.type for parameter in trained.values()} == {"meta"}
    assert all(parameter.grad is not None and parameter.grad.device == META for parameter in trained.values())


@pytest.mark.parametrize(
    ("method", "key"),
    [(method, key) for method in EVERYWHERE for key in FAMILIES]
    + [(method, key) for method in OTHERS for key in ("wavlm-mini", "whisper-mini")],
)
def test_a_step_stays_on_the_device(method: str, key: str) -> None:
    step(classifier(key, method))


@pytest.mark.parametrize("head", list(HEADS))
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_step_of_each_head_and_pooling_stays_on_the_device(head: str, pooling: str) -> None:
    for method in ("frozen", "lora"):
        step(classifier("wav2vec2-mini", method, head=head, pooling=pooling, layer=NEEDS_LAYER.get(pooling)))


@pytest.mark.parametrize("placement", ["sequential", "houlsby", "pfeiffer", "peft_ser"])
def test_a_step_of_each_placement_stays_on_the_device(placement: str) -> None:
    step(classifier("xlsr-mini", "adapter", placement=placement, dropout=0.1))


def test_a_step_with_dropout_in_lora_stays_on_the_device() -> None:
    step(classifier("wav2vec2-mini", "lora", dropout=0.1))


def test_positions_with_a_batch_norm_stay_on_the_device() -> None:
    """mHuBERT's, which full fine-tuning trains."""
    config = BACKBONES["hubert-mini"].config | {"conv_pos_batch_norm": True}
    backbone = on_device(from_config("hubert", config, {"normalize": True}))
    mask = torch.arange(9, device=META) < torch.tensor([[9], [7]], device=META)
    with OnTheDevice():
        assert backbone.positions(torch.ones(2, 9, backbone.width, device=META), mask).shape == (2, 9, backbone.width)


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize(
    ("method", "head", "pooling"),
    [
        ("full", "paper", "mean"),
        ("lora", "paper", "mean"),
        ("frozen", "paper", "weighted"),
        ("frozen", "statistics", "layer"),
    ],
)
def test_clips_are_prepared_on_the_device(key: str, method: str, head: str, pooling: str) -> None:
    """From waves, which are carried over, to what lies at the cut."""
    made = on_device(classifier(key, method, head=head, pooling=pooling, layer=NEEDS_LAYER.get(pooling)))
    with OnTheDevice(carries=True):
        prefixes = made.prefixes(clips(0.9, 0.6))
    assert {tensor.device for prefix in prefixes for tensor in prefix.values()} == {META}


def test_the_proof_of_gradients_looks_at_the_device_and_so_comes_once_a_run() -> None:
    made = on_device(classifier("whisper-mini", "lora"))
    batch = {"features": torch.empty(2, 9, made.backbone.width, device=META)}
    with pytest.raises(RuntimeError, match="meta"):
        check_gradients(made, batch, torch.tensor([9, 7]))


def values() -> Tensor:
    return torch.ones(3, device=META)


LEAVING: dict[str, Callable[[], Any]] = {
    "item": lambda: values().sum().item(),
    "tolist": lambda: values().tolist(),
    "cpu": lambda: values().cpu(),
    "numpy": lambda: values().numpy(),
    "condition": lambda: bool(values().sum() > 0),
    "nonzero": lambda: values().nonzero(),
    "masked_select": lambda: values().masked_select(values() > 0),
    "mask as index": lambda: values()[values() > 0],
    "assignment by mask": lambda: values().__setitem__(values() > 0, 1.0),
    "repeats": lambda: values().repeat_interleave(values().long()),
    "made on the host": lambda: torch.arange(3).to(META),
    "mixed": lambda: values() + torch.ones(3),
    "pinned": lambda: torch.ops.aten._pin_memory(values()),
}


@pytest.mark.parametrize("name", LEAVING)
def test_the_guard_raises_for_whatever_leaves_the_device(name: str) -> None:
    with OnTheDevice(), pytest.raises((LeavingError, NotImplementedError, RuntimeError, TypeError)):
        LEAVING[name]()


@pytest.mark.parametrize("name", TARGETS)
def test_losses_and_values_of_every_target_stay_on_the_device(name: str) -> None:
    target, truth = TARGETS[name], truth_of(TARGETS[name], 4)
    loss = target.loss(truth, weighted=True, smoothing=0.1).to(META)
    outputs = torch.empty(4, target.outputs, device=META, requires_grad=True)
    on_meta, weights = truth.to(META), torch.empty(4, device=META)
    with OnTheDevice():
        total = loss.of_batch(outputs, on_meta, weights)
        total.backward()
        shown = target.activate(outputs)
    assert total.device == shown.device == META and shown.shape == outputs.shape
