"""Steps of static shapes, against those that are taken batch by batch; a stand-in captures them on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from affetto.models import graphs
from affetto.models.bank import Bank
from affetto.models.classifier import Classifier, Prefix
from affetto.models.device import KINDS
from affetto.models.dropout import Dropout
from affetto.models.prefix import collate
from affetto.targets.target import LossSettings
from affetto.training import device as devices
from affetto.training import joint, loop, predict, program
from affetto.training.augment_settings import AugmentSettings
from affetto.training.loop import Fit, fit
from affetto.training.sections import TrainingSettings
from affetto.training.task import Task
from models.systems import classifier, clips
from models.test_bank import Stored
from models.test_graphs import Record

CPU = torch.device("cpu")
SECONDS = (0.5, 0.62, 0.7, 0.4, 0.9, 0.45, 0.66)
SETTINGS = TrainingSettings(
    epochs=4, batch_size=3, lr=0.01, weight_decay=0.05, lr_decay=0.5, label_smoothing=0.1, length_window=1
)


class Packed(Stored):
    """Prefixes in memory, packed once where the device is one for that."""

    banked: Bank | None = None

    def bank(self, device: torch.device) -> Bank | None:
        if KINDS["cpu"].banked and self.banked is None:
            self.banked = Bank(self, tuple(self), device)
        return self.banked

    def batch(self, ids: list[str], device: torch.device) -> tuple[Prefix, Tensor]:
        return collate([self[clip_id] for clip_id in ids], device)


@pytest.fixture
def capturing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Record]]:
    """A function that lets the CPU capture from then on; it returns the recorders that will be made."""
    optimizers: list[torch.optim.Optimizer] = []
    make = loop.make_optimizer

    def watched(*arguments: Any) -> torch.optim.Optimizer:
        optimizers.append(make(*arguments))
        return optimizers[-1]

    def changed() -> list[Tensor]:
        parameters = [p for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]
        states = [state for optimizer in optimizers for state in optimizer.state.values()]
        return parameters + [tensor for state in states for tensor in state.values()]

    def begin(problem: str | None = None) -> list[Record]:
        records: list[Record] = []

        def record(_: torch.device) -> Record:
            records.append(Record(changed, problem))
            return records[-1]

        monkeypatch.setattr(loop, "make_optimizer", watched)
        monkeypatch.setitem(KINDS, "cpu", replace(KINDS["cpu"], banked=True, graphs=True))
        monkeypatch.setattr(program, "recorder_of", record)
        monkeypatch.setattr(predict, "recorder_of", record)
        return records

    return begin


AUXILIARY = ("5", "6")


def parts(
    method: str, seed: int = 3, clips_left_out: int = 0, auxiliary: bool = False, **more: Any
) -> tuple[Classifier, Packed, Task]:
    """A classifier without dropout, its prefixes, and a task on some of them.

    `auxiliary`: two clips are another corpus's, with a weight and a standardisation of their own.
    """
    made = classifier("wavlm-mini", method, **more)
    for module in made.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
    prefixes = Packed((str(n), made.prefix(wave)) for n, wave in enumerate(clips(*SECONDS)))
    ids = tuple(prefixes)
    target = {clip_id: int(clip_id) % 3 for clip_id in ids}
    task = Task(ids[clips_left_out:], ids[2:5], target, seed, SETTINGS.epochs, identity=str(seed))
    if auxiliary:
        apart = dict.fromkeys(AUXILIARY, "more")
        task = replace(task, factors=dict.fromkeys(AUXILIARY, 0.3), standardised_apart=apart)
    return made, prefixes, task


def fitted(
    tmp_path: Path, method: str = "lora", augment: AugmentSettings | None = None, **more: Any
) -> tuple[Classifier, Fit]:
    made, prefixes, task = parts(method, **more)
    file = tmp_path / "checkpoint.safetensors"
    file.unlink(missing_ok=True)
    accelerator = devices.accelerator(CPU)
    return made, fit(made, prefixes, task, SETTINGS, accelerator, augment=augment, checkpoint_file=file)  # type: ignore[arg-type]


MASKED = AugmentSettings(time_mask=0.4, feature_mask=0.4)
MIXED = AugmentSettings(feature_mask=0.4, mixup=0.5)


@pytest.mark.parametrize(
    ("method", "head", "pooling", "augment"),
    [
        ("lora", "paper", "mean", None),
        ("adapter", "paper", "weighted", MASKED),
        ("frozen", "statistics", "layer", MASKED),
        ("full", "short", "layer", None),
        ("frozen", "statistics", "layer", MIXED),
    ],
    ids=["lora", "adapter", "frozen", "full", "mixed"],
)
def test_captured_steps_are_those_taken_batch_by_batch(
    method: str, head: str, pooling: str, augment: Any, tmp_path: Path, capturing: Callable[..., list[Record]]
) -> None:
    """Widths, short batches, class weights, rates and their decay, weight decay, masks, validation: all of them."""
    shape = {"head": head, "pooling": pooling, "auxiliary": head == "statistics"}
    expected, before = fitted(tmp_path, method, augment, **shape)
    records = capturing()
    made, progress = fitted(tmp_path, method, augment, **shape)
    for name, value in made.trainable().items():
        torch.testing.assert_close(value, expected.trainable()[name], rtol=1e-3, atol=2e-5, msg=name)
    assert progress.best_epoch == before.best_epoch
    for record, other in zip(progress.history, before.history, strict=True):
        assert record["loss"] == pytest.approx(other["loss"], rel=1e-4) and record["lr"] == other["lr"]
        assert record["validation"] == pytest.approx(other["validation"], rel=1e-3)
        assert record["captured"] is True and "captured" not in other
    calls = [record.calls for record in records if record.calls]
    steps, judged = SETTINGS.epochs * 3, SETTINGS.epochs
    assert sorted(calls_.count("warm up") + calls_.count("replay") for calls_ in calls) == [judged, steps]
    assert all(0 < calls_.count("capture") <= 4 for calls_ in calls)


@pytest.mark.parametrize(
    ("method", "head", "augment"),
    [("lora", "paper", None), ("frozen", "statistics", MASKED), ("frozen", "statistics", MIXED)],
    ids=["lora", "frozen", "mixed"],
)
def test_captured_steps_of_stacked_fits_are_those_of_each_alone(
    method: str, head: str, augment: Any, tmp_path: Path, capturing: Callable[..., list[Record]]
) -> None:
    """Of other seeds, clips and numbers of steps; the mask of a fit is its own, or none."""
    shape = {"head": head, "pooling": "layer"}
    tasks: list[dict[str, Any]] = [{"seed": 3}, {"seed": 4, "clips_left_out": 1}, {"seed": 5, "clips_left_out": 2}]
    tasks[1] |= {"auxiliary": head == "statistics"}
    changes = [augment, augment, None]
    alone = [fitted(tmp_path, method, change, **asked, **shape) for asked, change in zip(tasks, changes, strict=True)]
    records = capturing()
    together = [parts(method, **asked, **shape) for asked in tasks]
    outcomes = joint.fit_together(
        [
            partial(
                loop.make_loop,
                *(made, prefixes, task, SETTINGS, devices.accelerator(CPU)),
                augment=change or AugmentSettings(),
                checkpoint_file=tmp_path / str(task.seed),
                on_epoch=lambda _: None,
                on_step=lambda _done, _all: None,
            )
            for (made, prefixes, task), change in zip(together, changes, strict=True)
        ]
    )
    for (expected, before), (made, *_), progress in zip(alone, together, outcomes, strict=True):
        assert isinstance(progress, Fit), progress
        assert progress.best_epoch == before.best_epoch
        for record, other in zip(progress.history, before.history, strict=True):
            assert record["loss"] == pytest.approx(other["loss"], rel=1e-4) and record["lr"] == other["lr"]
            assert record["validation"] == pytest.approx(other["validation"], rel=1e-3)
        for name, value in made.trainable().items():
            torch.testing.assert_close(value, expected.trainable()[name], rtol=1e-3, atol=2e-5, msg=name)
    calls = [record.calls for record in records if record.calls]
    steps = [calls_.count("warm up") + calls_.count("replay") for calls_ in calls]
    assert sum(steps) < 3 * SETTINGS.epochs * 4, "fewer than three fits one by one"
    assert any("capture" in calls_ for calls_ in calls)


def test_steps_that_cannot_be_captured_are_taken_all_the_same(
    tmp_path: Path, capturing: Callable[..., list[Record]]
) -> None:
    _, before = fitted(tmp_path)
    capturing("an operation waits for the device")
    with pytest.warns(UserWarning, match="could not be captured and run call by call: an operation waits"):
        _, progress = fitted(tmp_path)
    losses = [record["loss"] for record in before.history]
    assert [record["loss"] for record in progress.history] == pytest.approx(losses, rel=1e-4)
    assert progress.history[-1]["not_captured"] == "an operation waits for the device"


@pytest.mark.parametrize(
    ("method", "augment", "reason"),
    [
        ("adalora", None, "the method acts between steps: adalora"),
        ("lora", AugmentSettings(noise_snr_db=10.0), "waves are changed anew in every epoch"),
        ("lora", None, None),
        ("lora+adapter", None, None),
    ],
)
def test_what_stands_against_static_steps_is_said(
    method: str, augment: Any, reason: str | None, capturing: Callable[..., list[Record]]
) -> None:
    def learner(processes: int = 1, bank: Any = "packed", adversary: Any = None, cross: Any = None) -> Any:
        return SimpleNamespace(
            adversary=adversary,
            cross=cross,
            accelerator=SimpleNamespace(device=CPU, num_processes=processes),
            augment=augment or AugmentSettings(),
            classifier=classifier("wavlm-mini", method),
            data=SimpleNamespace(bank=lambda _: bank),
        )

    assert program.obstacle(learner()) == "the device captures nothing"
    capturing()
    assert program.obstacle(learner()) == reason
    if reason is None:
        assert program.obstacle(learner(bank=None)) == "the stored states do not fit on the device"
        assert program.obstacle(learner(processes=2)) == "several processes share a step"
        assert program.obstacle(learner(adversary="a layer")) == "an adversary learns beside the classifier"
        assert program.obstacle(learner(cross="heads")) == "heads are solved for between epochs"


def test_captures_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "CudaRecorder", lambda device: device)
    cuda = torch.device("cuda")
    assert graphs.recorder_of(cuda) == cuda
    monkeypatch.setenv("AFFETTO_GRAPHS", "off")
    assert graphs.recorder_of(cuda) is None


@pytest.mark.parametrize(
    ("method", "shape", "augment"),
    [("lora", {}, MASKED), ("frozen", {"head": "statistics", "pooling": "layer"}, MIXED)],
    ids=["lora", "mixed"],
)
def test_a_static_step_waits_for_nothing_on_the_cpu(method: str, shape: dict[str, Any], augment: Any) -> None:
    """On torch's `meta` device a value that is read, or a tensor on the CPU, is an error."""
    meta = torch.device("meta")
    made = classifier("wavlm-mini", method, **shape)
    prefixes = Packed((str(n), made.prefix(wave)) for n, wave in enumerate(clips(*SECONDS)))
    made = made.to(meta)
    task = Task(tuple(prefixes), None, dict.fromkeys(prefixes, 0), seed=0, epochs=1, identity="")
    accelerator: Any = SimpleNamespace(device=meta)
    learner = loop.Learner(
        classifier=made,
        data=prefixes,  # type: ignore[arg-type]
        task=task,
        settings=SETTINGS,
        augment=augment,
        accelerator=accelerator,
        loss=made.target.loss(task.truth(task.train), LossSettings(label_smoothing=0.1)).to(meta),
        clip_weights=dict.fromkeys(prefixes, 1.0),
    )
    optimizer = torch.optim.Adam(made.trainable().values(), foreach=False)
    steps = program.Program(learner, optimizer, Bank(prefixes, tuple(prefixes), meta), None)
    learner.begin(0)
    steps.begin()
    for step in range(3):
        steps.take(step)
    assert [loss.device.type for loss in learner.losses] == ["meta"] * 3
