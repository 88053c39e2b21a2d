"""Training on a GPU: the CPU's numbers with every method, resumed as undisturbed, and steps that wait for nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from affetto.models import device as kinds
from affetto.models.methods.registry import METHODS
from affetto.training import loop
from affetto.training.train import train
from gpu.fits import DEVICES, Trainer, cases, synchronisation_forbidden, table
from training.corpora import spec

__all__ = ["table"]
STEPPED = tuple(name for name, method in METHODS.items() if method.takes_steps)


class StopError(Exception):
    """End of a fit before its time."""


@pytest.mark.parametrize(("method", "device"), cases(("lora",), STEPPED))
def test_a_method_trains_to_the_numbers_of_the_cpu(table, tmp_path, method, device):
    expected = Trainer(table, method, "cpu").fit(tmp_path / "cpu.safetensors")
    trained = Trainer(table, method, device).fit(tmp_path / "device.safetensors")
    assert trained.losses == pytest.approx(expected.losses, rel=2e-3) and trained.losses[0] != trained.losses[1]
    assert trained.weights.keys() == expected.weights.keys()
    for name, weight in expected.weights.items():
        torch.testing.assert_close(trained.weights[name], weight, rtol=2e-2, atol=2e-3, msg=name)


@pytest.mark.parametrize(("backbone", "device"), cases(("whisper-mini",), ("whisper-mini", "wavlm-mini", "xlsr-mini")))
def test_a_family_trains_in_bfloat16(table, tmp_path, backbone, device):
    exact = Trainer(table, "lora", device, backbone=backbone).fit(tmp_path / "exact.safetensors")
    options = {"backbone": backbone, "compute__precision": "bfloat16"}
    narrow = Trainer(table, "lora", device, **options).fit(tmp_path / "narrow.safetensors")
    assert all(map(math.isfinite, narrow.losses)) and narrow.losses == pytest.approx(exact.losses, rel=5e-2)


@pytest.mark.parametrize("device", DEVICES)
def test_a_stopped_fit_ends_as_an_undisturbed_one(table, tmp_path, monkeypatch, device):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    trainer = Trainer(table, "lora", device)
    expected = trainer.fit(tmp_path / "undisturbed.safetensors")

    def stop(done: int, _all: int) -> None:
        if done == 6:
            raise StopError

    file = tmp_path / "stopped.safetensors"
    with pytest.raises(StopError):
        trainer.fit(file, stop)
    resumed = trainer.fit(file)
    assert resumed.losses == pytest.approx(expected.losses, rel=1e-5)
    for name, weight in expected.weights.items():
        torch.testing.assert_close(resumed.weights[name], weight, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(("method", "device"), cases(("lora",), ("frozen", "lora", "adapter")))
def test_captured_steps_give_the_numbers_of_eager_ones(table, tmp_path, monkeypatch, method, device):
    captured = Trainer(table, method, device).fit(tmp_path / "captured.safetensors")
    kind = torch.device(device).type
    monkeypatch.setitem(kinds.KINDS, kind, replace(kinds.KINDS[kind], graphs=False))
    eager = Trainer(table, method, device).fit(tmp_path / "eager.safetensors")
    assert captured.losses == pytest.approx(eager.losses, rel=1e-4)


@pytest.mark.parametrize(("method", "device"), cases(("adapter",), ("frozen", "lora", "adapter")))
def test_fits_that_train_as_one_end_as_single_ones(table, tmp_path, method, device):
    trainer, seeds = Trainer(table, method, device), (0, 1, 2)
    singles = [trainer.fit(tmp_path / f"single-{seed}.safetensors", seed=seed) for seed in seeds]
    stacked = trainer.fit_together(tmp_path, seeds)
    assert singles[0].losses != singles[1].losses
    for trained, single in zip(stacked, singles, strict=True):
        assert trained.losses == pytest.approx(single.losses, rel=1e-4)
        for name, weight in single.weights.items():
            torch.testing.assert_close(trained.weights[name], weight, rtol=1e-2, atol=1e-3, msg=name)


@pytest.mark.parametrize(("method", "device"), cases(("lora",), ("frozen", "lora", "adapter")))
def test_no_step_waits_for_the_device(table, tmp_path, method, device):
    trainer = Trainer(table, method, device, training__epochs="3")
    forbidden = synchronisation_forbidden(trainer.device)
    steps = -(-len(trainer.task.train) // trainer.builder.spec.settings.training.batch_size)
    counted = []

    def step(done: int, _all: int) -> None:
        # In the last epoch, whose shapes were all seen: from behind its first step to its last one.
        counted.append(done)
        if done == 2 * steps + 1:
            forbidden.__enter__()
        elif done == 3 * steps:
            forbidden.__exit__(None, None, None)

    try:
        trainer.fit(tmp_path / "fit.safetensors", step)
    finally:
        if trainer.device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert counted == list(range(1, 3 * steps + 1)) and steps > 2


@pytest.mark.parametrize(("method", "device"), cases((), ("probe", "lora", "full")))
def test_a_run_of_folds_ends_with_scores_and_a_model(table, tmp_path, method, device):
    run = spec(table, method, split="kfold:3")
    metrics = train(run, tmp_path / "device", device=device)
    assert metrics["clips"] == 42 and 0 <= metrics["test"]["uar"] <= 1
    if method == "probe":  # no dropout: the same numbers
        expected = train(run, tmp_path / "cpu", device="cpu")
        assert metrics["test"]["uar"] == pytest.approx(expected["test"]["uar"], abs=0.05)
    assert (tmp_path / "device" / "model").is_dir()
