"""One run on several processes (GPUs): each takes a part of every batch, and the gradients are summed.

`accelerate launch` or torchrun starts the processes. The batches, the loss and the gradient are those of one process:
each clip's loss is divided by the weight of the whole batch, and the parts' gradients are added up, which holds for
weighted classes and for parts of unlike size. Every process then takes the same optimiser step. What differs is the
order of sums (rounding), and which elements dropout leaves out.

This is what DistributedDataParallel does with gradients, without its wrapper: what trains is small (a head, LoRA,
Adapter), hooks and frozen parameters need no care, and one sum over a flat tensor carries the loss as well.
With one process every function here returns its argument.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, broadcast_object_list, gather_object
from torch import Tensor

from affetto.errors import UserError
from affetto.models.classifier import Classifier
from affetto.training.runs import RunFolder

T = TypeVar("T")
BUCKET = 1 << 24
"""Numbers that go between processes at once: 64 MB in float32."""


class SharedError(UserError):
    """Mistake of the user that all processes have been told."""


def part(items: Sequence[T], accelerator: Accelerator) -> list[T]:
    """This process's share: every n-th, so that the shares of clips sorted by length are of like length."""
    return list(items[accelerator.process_index :: accelerator.num_processes])


def sum_in_place(tensors: Iterable[Tensor], accelerator: Accelerator) -> None:
    """Add the tensors of all processes into each one's: gradients, and what travels with them."""
    if accelerator.num_processes == 1:
        return
    for bucket in _buckets(tensors):
        flat = accelerator.reduce(torch.cat([tensor.flatten() for tensor in bucket]), "sum")
        for tensor, total in zip(bucket, flat.split([tensor.numel() for tensor in bucket]), strict=True):
            tensor.copy_(total.view_as(tensor))


def sum_values(values: Tensor, accelerator: Accelerator) -> Tensor:
    """Sum of each process's values, on the CPU."""
    if accelerator.num_processes == 1:
        return values
    summed: Tensor = accelerator.reduce(values.to(accelerator.device), "sum")
    return summed.cpu()


def gather_items(items: list[T], accelerator: Accelerator) -> list[T]:
    """All processes' items, on each."""
    return items if accelerator.num_processes == 1 else list(gather_object(items))


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors that travel together: some BUCKET numbers."""
    bucket: list[Tensor] = []
    size = 0
    for tensor in tensors:
        bucket.append(tensor)
        size += tensor.numel()
        if size >= BUCKET:
            yield bucket
            bucket, size = [], 0
    if bucket:
        yield bucket


def reseed(accelerator: Accelerator, *position: int) -> None:
    """Let dropout draw by position (seed, epoch, step) and process: no two drop alike, and nothing need be kept."""
    if accelerator.num_processes > 1:
        text = repr((*position, accelerator.process_index)).encode()
        torch.manual_seed(int.from_bytes(hashlib.sha256(text).digest()[:6], "big"))


def share_start(classifier: Classifier, accelerator: Accelerator) -> None:
    """Give every process the main one's weights and constants: other processors may round otherwise."""
    if accelerator.num_processes > 1:
        classifier.restore(broadcast(classifier.snapshot()))


def check_same_position(accelerator: Accelerator, position: tuple[int, ...], checkpoint: Path) -> None:
    """Raise UserError where a process would go on from another position than the main one."""
    main = on_main_rank(accelerator, lambda: position)

    def check() -> None:
        if tuple(main) != position:
            raise UserError(
                f"{checkpoint.parent} is not the same for all processes: it must lie on a disk that they share"
            )

    on_all_ranks(accelerator, check)


def on_all_ranks(accelerator: Accelerator, action: Callable[[], T]) -> T:
    """Run `action` on every process, each with its own result. Where it fails on one all end, with that error."""
    if accelerator.num_processes == 1:
        return action()
    errors: list[str | None] = [None]
    result: list[T] = []
    try:
        result.append(action())
    except SharedError:
        raise
    except UserError as problem:
        errors[0] = str(problem)
    _end_together(accelerator, [error for error in gather_object(errors) if error is not None])
    return result[0]


def on_main_rank(accelerator: Accelerator, action: Callable[[], T]) -> T:
    """Run `action` on the main process alone; all get its result. Where it fails all end."""
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
    """Run folder of several processes: the main one reads and writes, and all get what it has read."""

    def __init__(self, path: str | Path, accelerator: Accelerator) -> None:
        super().__init__(path)
        self.accelerator, self._plain = accelerator, RunFolder(path)

    def fold(self, name: str) -> RunFolder:
        return SharedFolder(self._plain.fold(name).path, self.accelerator)

    def examine(self, identity: str | None = None) -> bool:
        return on_main_rank(self.accelerator, lambda: self._plain.examine(identity))

    def has(self, name: str) -> bool:
        return on_main_rank(self.accelerator, lambda: self._plain.has(name))

    def drop_checkpoint(self) -> None:
        on_main_rank(self.accelerator, self._plain.drop_checkpoint)

    def drop_time(self) -> None:
        on_main_rank(self.accelerator, self._plain.drop_time)

    def claim(self, identity: str, spec: dict[str, Any]) -> None:
        on_main_rank(self.accelerator, lambda: self._plain.claim(identity, spec))

    def sweep(self) -> None:
        on_main_rank(self.accelerator, self._plain.sweep)

    def read(self, name: str) -> dict[str, Any] | None:
        return on_main_rank(self.accelerator, lambda: self._plain.read(name))

    def read_lines(self, name: str) -> list[dict[str, Any]]:
        return on_main_rank(self.accelerator, lambda: self._plain.read_lines(name))

    def read_whole_lines(self, name: str) -> list[dict[str, Any]]:
        return on_main_rank(self.accelerator, lambda: self._plain.read_whole_lines(name))

    def append_lines(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        on_main_rank(self.accelerator, lambda: self._plain.append_lines(name, rows))

    def write(self, name: str, content: dict[str, Any]) -> None:
        on_main_rank(self.accelerator, lambda: self._plain.write(name, content))

    def write_text(self, name: str, text: str) -> None:
        on_main_rank(self.accelerator, lambda: self._plain.write_text(name, text))

    def write_lines(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        on_main_rank(self.accelerator, lambda: self._plain.write_lines(name, rows))
