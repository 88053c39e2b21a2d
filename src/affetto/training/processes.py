"""One run on several processes (GPUs): each takes a part of every batch, and what they find is summed.

`accelerate launch` or torchrun starts the processes. The batches, the loss and the gradient are those of one process:
each clip's loss is divided by the weight of the whole batch, and the parts' gradients are added up, which holds for
weighted classes and for parts of unlike size. Every process then takes the same optimiser step. What differs is the
order of sums (rounding), and which elements dropout leaves out.

This is what DistributedDataParallel does with gradients, without its wrapper: what trains is small (a head, LoRA,
Adapter), hooks and frozen parameters need no care, and one sum over a flat tensor carries the loss as well.
With one process everything here hands back what it was given.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, broadcast_object_list, gather_object
from torch import Tensor, nn

from affetto.errors import UserError
from affetto.models.classifier import Classifier
from affetto.training.runs import RunFolder

T = TypeVar("T")


class SharedError(UserError):
    """A user's mistake that all processes know of already."""


def part(items: Sequence[T], accelerator: Accelerator) -> list[T]:
    """This process's share: every n-th, so that the shares of clips sorted by length are of like length."""
    return list(items[accelerator.process_index :: accelerator.num_processes])


def summed(loss: Tensor, parameters: Iterable[nn.Parameter], accelerator: Accelerator) -> Tensor:
    """Add the gradients of all processes into each parameter's; returns the sum of their losses."""
    if accelerator.num_processes == 1:
        return loss.detach()
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([loss.detach().reshape(1).to(grads[0].dtype), *(grad.flatten() for grad in grads)])
    flat = accelerator.reduce(flat, "sum")
    for grad, total in zip(grads, flat[1:].split([grad.numel() for grad in grads]), strict=True):
        grad.copy_(total.view_as(grad))
    return flat[0]


def reseed(accelerator: Accelerator, *where: int) -> None:
    """Let dropout draw by seed, epoch, step and process: no two processes drop alike, and nothing need be kept."""
    if accelerator.num_processes > 1:
        text = repr((*where, accelerator.process_index)).encode()
        torch.manual_seed(int.from_bytes(hashlib.sha256(text).digest()[:6], "big"))


def same_start(classifier: Classifier, accelerator: Accelerator) -> None:
    """Give every process the main one's weights and constants: other processors may round otherwise."""
    if accelerator.num_processes > 1:
        classifier.restore(broadcast(classifier.snapshot()))


def same_place(accelerator: Accelerator, place: tuple[int, ...], checkpoint: Path) -> None:
    """Raise UserError where a process would go on from elsewhere than the main one."""
    main = agreed(accelerator, lambda: place)

    def check() -> None:
        if tuple(main) != place:
            raise UserError(
                f"{checkpoint.parent} is not the same for all processes: it must lie on a disk that they share"
            )

    everyone(accelerator, check)


def everyone(accelerator: Accelerator, action: Callable[[], T]) -> T:
    """What `action` gives each process. Where it fails on one all end, and the main one tells why."""
    if accelerator.num_processes == 1:
        return action()
    told: list[str | None] = [None]
    result: list[T] = []
    try:
        result.append(action())
    except SharedError:
        raise
    except UserError as problem:
        told[0] = str(problem)
    _end_together(accelerator, [one for one in gather_object(told) if one is not None])
    return result[0]


def agreed(accelerator: Accelerator, action: Callable[[], T]) -> T:
    """What `action` gives the main process, which alone runs it; where it fails all end."""
    if accelerator.num_processes == 1:
        return action()
    outcome: list[Any] = [None, None]
    if accelerator.is_main_process:
        try:
            outcome[0] = action()
        except UserError as problem:
            outcome[1] = str(problem)
    broadcast_object_list(outcome)
    _end_together(accelerator, [outcome[1]] if outcome[1] is not None else [])
    return outcome[0]


def _end_together(accelerator: Accelerator, problems: list[str]) -> None:
    if problems and accelerator.is_main_process:
        raise SharedError(problems[0])
    if problems:
        raise SystemExit(2)


class SharedFolder(RunFolder):
    """A run's folder for several processes: the main one reads and writes, and all know what it has read."""

    def __init__(self, path: str | Path, accelerator: Accelerator) -> None:
        super().__init__(path)
        self.accelerator, self._plain = accelerator, RunFolder(path)

    def fold(self, name: str) -> RunFolder:
        return SharedFolder(self._plain.fold(name).path, self.accelerator)

    def examine(self, identity: str | None = None) -> bool:
        return agreed(self.accelerator, lambda: self._plain.examine(identity))

    def has(self, name: str) -> bool:
        return agreed(self.accelerator, lambda: self._plain.has(name))

    def drop_checkpoint(self) -> None:
        agreed(self.accelerator, self._plain.drop_checkpoint)

    def claim(self, identity: str, spec: dict[str, Any]) -> None:
        agreed(self.accelerator, lambda: self._plain.claim(identity, spec))

    def sweep(self) -> None:
        agreed(self.accelerator, self._plain.sweep)

    def read(self, name: str) -> dict[str, Any] | None:
        return agreed(self.accelerator, lambda: self._plain.read(name))

    def read_lines(self, name: str) -> list[dict[str, Any]]:
        return agreed(self.accelerator, lambda: self._plain.read_lines(name))

    def write(self, name: str, content: dict[str, Any]) -> None:
        agreed(self.accelerator, lambda: self._plain.write(name, content))

    def write_lines(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        agreed(self.accelerator, lambda: self._plain.write_lines(name, rows))
