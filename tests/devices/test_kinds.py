"""Another device than the CPU: all that is computed with lies on it, and is asked of it only what it can do.

torch's `meta` device stands in: its tensors have no values, and refuse to be mixed with the CPU's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from affetto.backbones.casts import autocast_dtype
from affetto.bench.ours import Ours
from affetto.errors import UserError
from affetto.inference.backends import padded
from affetto.inference.backends.padded import LOGITS
from affetto.inference.backends.trained import ClassifierPredictor
from affetto.models import device as devices
from affetto.models.device import KINDS, Capabilities, capabilities, send
from affetto.models.prefix import collate
from affetto.training.augment import masked, stretches
from affetto.training.device import LONGEST_SECONDS, choose, resolve_precision, timely_width
from affetto.training.provenance import provenance
from devices.guard import OnTheDevice
from models.systems import FAMILIES, METHODS, classifier, clips

META = torch.device("meta")
CARD = {"audio": {"seconds": 4.0}, "precision": "float32"}


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The devices whose tensors were pinned; `meta` counts as one with copies from pinned memory."""
    seen: list[str] = []

    def pin_memory(tensor: torch.Tensor) -> torch.Tensor:
        seen.append(tensor.device.type)
        return tensor

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)
    monkeypatch.setitem(KINDS, "meta", Capabilities(pinned_copies=True, fused_optimizer=True))
    return seen


def test_what_lies_on_the_device_is_sent_without_pinned_memory(pinned: list[str]) -> None:
    for tensor in (torch.zeros(2, device=META), torch.zeros(2)):
        assert send(tensor, META).device == META
    assert pinned == ["cpu"]


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize(
    ("method", "head", "pooling"),
    [(method, "paper", "mean") for method in METHODS]
    + [("frozen", "statistics", "layer"), ("lora", "statistics", "layer"), ("lora", "paper", "weighted")],
)
def test_prediction_runs_on_the_device_alone(key: str, method: str, head: str, pooling: str, pinned: list[str]) -> None:
    predictor = ClassifierPredictor(classifier(key, method, head=head, pooling=pooling), CARD, META)
    assert predictor.padded is not None
    ((order, logits),) = predictor.padded.compute(clips(0.6, 0.9), LOGITS)
    assert (order, logits.device.type, logits.shape) == ([1, 0], "meta", (2, 7))
    assert set(pinned) == {"cpu"}, "what lies on the device cannot be pinned"


@pytest.mark.parametrize("key", FAMILIES)
def test_a_small_batch_of_prediction_is_captured_on_the_device_alone(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "meta", Capabilities(graphs=True))
    monkeypatch.setattr(padded, "recorder_of", lambda _: Watched())
    predictor = ClassifierPredictor(classifier(key, "lora"), CARD, META)
    assert predictor.padded is not None and predictor.padded.captured is not None
    for _ in range(3):
        ((_, logits),) = predictor.padded.compute(clips(0.6, 0.9), LOGITS)
        assert (logits.device.type, logits.shape) == ("meta", (2, 7))
    assert (predictor.padded.captured.shapes, predictor.padded.captured.problem) == (1, None)


class Watched:
    """A recorder that lets a captured function compute on the device alone."""

    def warm_up(self, function: Callable[[], torch.Tensor]) -> torch.Tensor:
        return function()

    def capture(self, function: Callable[[], torch.Tensor]) -> tuple[Callable[[], None], torch.Tensor]:
        with OnTheDevice():
            return lambda: None, function()

    def recover(self) -> None:
        raise AssertionError("a capture failed")


@pytest.mark.parametrize("method", METHODS)
def test_training_runs_on_the_device_alone(method: str, pinned: list[str]) -> None:
    """From prefixes of the store, on the CPU, to a step of the optimiser; and the benchmark's count of operations."""
    made = classifier("wavlm-mini", method)
    prefixes = [made.prefix(clip) for clip in clips(0.9, 0.6)]
    made = made.to(META).train()
    batch, lengths = collate(prefixes, META)
    assert set(pinned) == {"cpu"} and lengths.device.type == "cpu"
    drawn = stretches(["a", "b"], lengths.tolist(), 8, 0, 0, time_mask=0.3, feature_mask=0.3)
    batch = masked(batch, send(drawn, META))
    loss = torch.nn.functional.cross_entropy(made(batch, lengths), torch.zeros(2, dtype=torch.long, device=META))
    loss.backward()
    torch.optim.Adam(made.trainable().values()).step()
    assert {parameter.grad.device.type for parameter in made.trainable().values()} == {"meta"}  # type: ignore[union-attr]
    (wave,) = clips(0.9)
    bench: Any = object.__new__(Ours)
    bench.ids, bench.device, bench.classifier, bench.batch_size = ("a", "b"), META, made, 2
    training = SimpleNamespace(batch_size=2, length_window=1)
    source = SimpleNamespace(load=lambda _: wave)
    bench.builder = SimpleNamespace(
        spec=SimpleNamespace(settings=SimpleNamespace(training=training)),
        data=SimpleNamespace(sources={"a": source}),
    )
    bench.prefixes = SimpleNamespace(
        batch=lambda _, device: collate(prefixes, device), frames={"a": 9, "b": 7}, seconds=None
    )
    operations = bench.counts()["operations"]
    assert operations["step"] > 0 and operations["prefix"] > 0


def test_a_kind_that_is_not_known_is_asked_for_nothing() -> None:
    assert capabilities(META) == Capabilities()
    assert not devices.native_bfloat16(META)
    devices.synchronise(META)
    with devices.autocast(META, enabled=True):
        assert autocast_dtype(META) is None


@pytest.fixture
def plugged_in(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """An accelerator of a kind that affetto does not know: torch's module of it, with the state of its generator."""
    module = SimpleNamespace(state=torch.zeros(2), is_bf16_supported=lambda: True, get_device_name=lambda _: "Board 1")
    module.get_rng_state = lambda: module.state
    module.set_rng_state = lambda state: setattr(module, "state", state)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("xpu"))
    monkeypatch.setattr(torch, "get_device_module", lambda _: module)
    return module


def test_an_accelerator_that_is_plugged_into_torch_works_by_defaults(
    plugged_in: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    board = choose("auto")
    assert board == choose("xpu") == torch.device("xpu") and choose("cpu").type == "cpu"
    assert capabilities(board) == devices.PLUGGED_IN and resolve_precision("auto", board) == "bfloat16"
    assert devices.peak_memory_bytes(board) is None and provenance(board)["device"] == "Board 1"
    devices.synchronise(board)
    assert waited == [board]
    with pytest.raises(UserError, match="usable here: cpu, xpu"):
        choose("cuda")
    with pytest.raises(UserError, match="unknown device"):
        choose("tpu")


def test_an_accelerator_s_random_state_is_kept_beside_the_cpu_s(plugged_in: SimpleNamespace) -> None:
    states = devices.random_states()
    assert states.keys() == {"rng", "rng_xpu"}
    drawn, plugged_in.state = torch.rand(3), torch.ones(2)
    devices.restore_random_states(states)
    assert torch.equal(torch.rand(3), drawn) and not plugged_in.state.any()
    devices.restore_random_states({"rng": states["rng"], "rng_cuda": torch.ones(2)})  # written on another machine
    assert not plugged_in.state.any()


def test_the_autocast_in_force_is_told_and_can_be_switched_off() -> None:
    cpu = torch.device("cpu")
    with devices.autocast(cpu, enabled=True):
        assert autocast_dtype(cpu) == torch.bfloat16
        with devices.autocast(cpu, enabled=False):
            assert autocast_dtype(cpu) is None
    assert autocast_dtype(cpu) is None


def test_float32_on_cuda_is_float32_and_its_libraries_are_told_to_repeat_themselves() -> None:
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    wanted = [
        (cudnn, "allow_tf32", False),
        (matmul, "allow_tf32", False),
        (cudnn, "benchmark", False),
        (cudnn, "deterministic", True),
    ]
    before = [getattr(library, flag) for library, flag, _ in wanted]
    try:
        for library, flag, value in wanted:
            setattr(library, flag, not value)
        choose("cpu")
        assert [getattr(library, flag) for library, flag, _ in wanted] == [value for *_, value in wanted]
    finally:
        for (library, flag, _), value in zip(wanted, before, strict=True):
            setattr(library, flag, value)


def test_products_for_shapes_of_long_ago_are_not_kept() -> None:
    """Set before torch's first product, unless the user has: memory would grow with every shape of a batch."""
    command = "import os, affetto.models.device; print(os.environ['ONEDNN_PRIMITIVE_CACHE_CAPACITY'])"
    without = {name: value for name, value in os.environ.items() if name != "ONEDNN_PRIMITIVE_CACHE_CAPACITY"}
    for chosen, expected in (({}, "64"), ({"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "7"}, "7")):
        done = subprocess.run(
            [sys.executable, "-c", command], env=without | chosen, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == [expected]


@pytest.mark.parametrize(("rate", "width"), [(1e11, 2048), (1e9, 512), (1e3, 256)])
def test_the_peak_is_measured_by_products_that_do_not_take_minutes(rate: float, width: int) -> None:
    asked = []

    def seconds(of: int) -> float:
        asked.append(of)
        return 2 * of**3 / rate

    assert timely_width(2048, seconds) == width and max(asked) <= width
    assert width == 256 or seconds(width) <= LONGEST_SECONDS
    assert timely_width(100, seconds) == 100
