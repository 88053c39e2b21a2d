"""Checkpoints that a thread writes beside the training: their content, their number, and the errors of writing."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from affetto.errors import UserError
from affetto.training import checkpoint
from affetto.training.checkpoint import Checkpoint


@dataclass
class Progress:
    step: int = 0
    curve: list[float] = field(default_factory=list)


class Gate:
    """Writing that waits until it is let through."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()
        self.write = checkpoint.write

    def __call__(self, *arguments: Any) -> None:
        self.begun.set()
        assert self.open.wait(30)
        self.write(*arguments)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()
    monkeypatch.setattr(checkpoint, "write", gate)
    yield gate
    gate.open.set()


def adam(*, steps: int = 1) -> tuple[torch.nn.Parameter, torch.optim.Optimizer]:
    parameter = torch.nn.Parameter(torch.arange(4.0))
    optimizer = torch.optim.Adam([parameter], lr=0.1)
    for _ in range(steps):
        parameter.grad = torch.ones(4)
        optimizer.step()
    return parameter, optimizer


def test_a_checkpoint_holds_the_moment_of_its_call_whatever_the_next_steps_change(gate: Gate, tmp_path: Path) -> None:
    parameter, optimizer = adam()
    progress, file = Progress(1, [0.5]), Checkpoint(tmp_path / "c.safetensors", "fit", 0.0)
    expected = {"p": parameter.detach().clone()} | {
        name: tensor.clone() for name, tensor in checkpoint.pack_optimizer(optimizer).items()
    }
    with file:
        file.write(progress, {"p": parameter}, optimizer)
        assert gate.begun.wait(30)
        parameter.grad = torch.full((4,), 3.0)
        optimizer.step()
        progress.step, _ = 2, progress.curve.append(0.25)
        gate.open.set()
    saved = checkpoint.read(tmp_path / "c.safetensors", "fit")
    assert saved is not None
    tensors, facts = saved
    assert facts == {"step": 1, "curve": [0.5], "identity": "fit"}
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in expected.items())


def test_none_is_due_while_one_is_being_written(gate: Gate, tmp_path: Path) -> None:
    parameter, optimizer = adam()
    with Checkpoint(tmp_path / "c.safetensors", "fit", 0.0) as file:
        assert file.is_due
        file.write(Progress(), {"p": parameter}, optimizer)
        assert gate.begun.wait(30)
        assert not file.is_due
        gate.open.set()
        file.write(Progress(), {"p": parameter}, optimizer)  # waits for the first
        assert sum(thread.name == "checkpoint" for thread in threading.enumerate()) <= 1
    assert file.is_due and not list(tmp_path.glob(".*"))
    assert not Checkpoint(tmp_path / "c.safetensors", "fit", 30.0).is_due


def write_twice(path: Path, error: Exception | None) -> None:
    """Write and end with `error`, or without one write again."""
    parameter, optimizer = adam()
    with Checkpoint(path, "fit", 0.0) as file:
        file.write(Progress(), {"p": parameter}, optimizer)
        if error is not None:
            raise error
        file.write(Progress(), {"p": parameter}, optimizer)
        pytest.fail("the second write began in spite of the first one's error")


def write_once(path: Path) -> None:
    parameter, optimizer = adam()
    with Checkpoint(path, "fit", 0.0) as file:
        file.write(Progress(), {"p": parameter}, optimizer)


def test_an_error_of_writing_is_one_line_at_the_next_write_or_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    message = r"c.safetensors: cannot be written \(.*No space left.*\); make room and run again"
    with pytest.raises(UserError, match=message):
        write_twice(tmp_path / "c.safetensors", None)
    with pytest.raises(UserError, match=message):
        write_once(tmp_path / "c.safetensors")
    with pytest.raises(KeyError, match="of the training"):
        write_twice(tmp_path / "c.safetensors", KeyError("of the training"))
    assert list(tmp_path.iterdir()) == []
