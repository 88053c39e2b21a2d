"""A training step on the device alone, from a bank's rows to the optimiser: families, methods, heads, poolings."""

from __future__ import annotations

import importlib
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
from affetto.models.prefix import collate
from affetto.targets.losses import BALANCES, CrossEntropy
from affetto.targets.target import LossSettings
from affetto.training import gradients
from affetto.training.engine import adam
from devices.guard import META, LeavingError, OnTheDevice, on_device
from models.systems import FAMILIES, classifier, clips
from targets.test_losses import EVERY as TARGETS
from targets.test_losses import truth_of

EVERYWHERE = ("adapter", "frozen", "full", "lora")
"""Methods that are tried on every family; the others on one with a position bias and on one without."""
OTHERS = [name for name, method in METHODS.items() if method.takes_steps and name not in EVERYWHERE] + ["lora+adapter"]
NEEDS_LAYER = {"layer": 2}


@pytest.fixture(autouse=True)
def capturable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of Adam that can be captured, on `meta` too: torch has a list of the devices that it lets have them."""
    module = importlib.import_module("torch.optim.adam")  # torch.optim hides its modules
    monkeypatch.setattr(module, "_get_capturable_supported_devices", lambda **_: ["meta"])


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
    loss = CrossEntropy.fitted(torch.tensor([0, 1]), 7, LossSettings(label_smoothing=0.1)).to(META)
    rows, targets, weights = bank.index("ab"), torch.zeros(2, dtype=torch.long, device=META), torch.ones(2, device=META)
    groups = [{"params": list(made.trainable().values()), "lr": 1e-3}]
    optimizer = adam(groups, META, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01, static=True)
    made.method.restore_step_state({})
    with OnTheDevice():
        prefix, lengths = bank.gather(rows, 48)
        total = loss.of_batch(made(prefix, lengths), targets, weights)
        penalty = made.method.penalty()
        (total if penalty is None else total + penalty).backward()
        optimizer.step()
        made.method.after_step(5, 10)
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


@pytest.mark.parametrize("method", EVERYWHERE)
def test_the_proof_of_gradients_waits_for_the_device_twice(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the weights that are zero, and for the gradients; each look is one for all parameters."""
    made, looks = classifier("whisper-mini", method), []

    def look(statements: list[Tensor]) -> list[bool]:
        looks.append({(tensor.device, tensor.dtype, tensor.dim()) for tensor in statements})
        return [True] * len(statements)

    monkeypatch.setattr(gradients, "_look", look)
    prefixes = [made.prefix(clip) for clip in clips(0.9, 0.6)]
    batch, lengths = collate(prefixes, META)
    on_device(made)
    with OnTheDevice(carries=True):
        gradients.check_gradients(made, batch, lengths)
    assert looks == [{(META, torch.bool, 0)}] * 2


def test_transformers_own_objectives_leave_the_device() -> None:
    """So `masked` and `ctc` of specialisations cannot run under the guard.

    transformers assigns the frames of `masked` by a boolean mask, whose number of frames it has to know, and compares
    the largest label of `ctc` with the size of the vocabulary. torch's CTC loss takes lengths on the host.
    """
    backbone = on_device(from_config("wav2vec2", BACKBONES["wav2vec2-mini"].config, {"normalize": True}))
    encoder, record = backbone.model, backbone.record
    encoder.config.apply_spec_augment = True
    encoder.masked_spec_embed = torch.nn.Parameter(torch.empty(backbone.width, device=META))
    mask = torch.empty(2, 9, dtype=torch.bool, device=META)
    with OnTheDevice(), pytest.raises(LeavingError, match="a mask as an index"):
        encoder._mask_hidden_states(torch.empty(2, 9, backbone.width, device=META), mask)
    encoder.config.vocab_size = 5
    model = on_device(record.stock_ctc_class(encoder.config))
    labels = torch.zeros(2, 3, dtype=torch.long, device=META)
    with OnTheDevice(), pytest.raises((LeavingError, RuntimeError), match=r"looks at values|meta"):
        model(torch.empty(2, 4000, device=META), labels=labels)


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


@pytest.mark.parametrize("kind", BALANCES)
@pytest.mark.parametrize("name", TARGETS)
def test_losses_and_values_of_every_target_stay_on_the_device(name: str, kind: str) -> None:
    target, truth = TARGETS[name], truth_of(TARGETS[name], 4)
    loss = target.loss(truth, LossSettings(kind=kind, label_smoothing=0.1)).to(META)
    outputs = torch.empty(4, target.outputs, device=META, requires_grad=True)
    on_meta, weights = truth.to(META), torch.empty(4, device=META)
    with OnTheDevice():
        total = loss.of_batch(outputs, on_meta, weights)
        total.backward()
        shown = target.activate(outputs)
    assert total.device == shown.device == META and shown.shape == outputs.shape
