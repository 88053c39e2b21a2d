"""Checkpoints: the state of an unfinished fit in one safetensors file, with everything but tensors as JSON in it.

The state is copied between two steps, and a thread writes the copy while the next steps are taken.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from affetto.errors import UserError
from affetto.files import replacing
from affetto.models.device import capabilities

IDENTITY = "identity"


@dataclass
class Checkpoint:
    """A fit's checkpoint file. Only the main one of several processes writes it.

    The block of a `with` ends when the last write has ended, so that nothing writes into a folder that is free again.
    """

    path: Path
    identity: str
    """The run's, and the fold's name: a checkpoint of another fit is not used."""
    seconds: float
    """Least time between two checkpoints, and so about the most training that a kill can undo; see `is_due`."""
    writes: bool = True
    """False in processes other than the main one."""
    _written: float = field(default_factory=time.monotonic)
    _writer: threading.Thread | None = None
    _problem: Exception | None = None

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wait()
        if kind is None:
            self._report()

    def close(self) -> None:
        """Wait until the last one is on the disk. Raises UserError if it cannot be written."""
        self.wait()
        self._report()

    def wait(self) -> None:
        """Wait until the thread has ended."""
        if self._writer is not None:
            self._writer.join()
            self._writer = None

    @property
    def is_due(self) -> bool:
        """True if more than `seconds` have gone by since the last one, and that one is on the disk."""
        if self._writer is not None and self._writer.is_alive():
            return False
        return time.monotonic() - self._written > self.seconds

    def write(self, progress: Any, tensors: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
        """Copy the fields of `progress` (a dataclass of JSON values), tensors and optimiser, and begin to write.

        Waits for the write before, so that one copy is held at most. Raises UserError if that one has failed.
        """
        self._written = time.monotonic()
        if not self.writes:
            return
        self.close()
        values = {name: _plain(getattr(progress, name)) for name in progress.__dataclass_fields__}
        facts = json.dumps(values | {IDENTITY: self.identity})
        state = tensors | pack_optimizer(optimizer)
        copies = {name: _copy(tensor) for name, tensor in state.items()}
        events = _copying(state.values())
        self._writer = threading.Thread(target=self._save, args=(copies, facts, events), name="checkpoint")
        self._writer.start()

    def read(self, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The tensors and the fields of `progress` (None for an infinite one); the optimiser gets its state back.

        None where there is no checkpoint of this fit.
        """
        self._written = time.monotonic()
        saved = read(self.path, self.identity)
        if saved is None:
            return None
        tensors, facts = saved
        unpack_optimizer(optimizer, tensors)
        return tensors, {name: value for name, value in facts.items() if name != IDENTITY}

    def _save(self, copies: dict[str, Tensor], facts: str, events: list[Any]) -> None:
        """Body of the thread: wait until the device has filled the copies, and write them."""
        try:
            for event in events:
                event.synchronize()
            write(self.path, copies, facts)
        except Exception as problem:  # raised by the next write, or at the end of the fit
            self._problem = problem

    def _report(self) -> None:
        """Raise the error of the last write, once."""
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem


def write(path: Path, tensors: dict[str, Tensor], facts: str) -> None:
    """Replace the file at once, so that a kill leaves the old one or the new one; `facts` is a JSON object.

    Raises UserError if it cannot.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, shared=False) as temporary:  # a run has one process
            save_file(tensors, temporary, {"facts": facts})
    except (OSError, SafetensorError) as problem:
        raise UserError(f"{path}: cannot be written ({problem}); make room and run again, it goes on") from None


def _copy(tensor: Tensor) -> Tensor:
    """Copy in the machine's memory, of the values between the steps before and those after.

    A device with `pinned_copies` fills it in the order of its queue, so that no step waits; `_copying` says when.
    """
    pinned = capabilities(tensor.device).pinned_copies
    copy = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu", pin_memory=pinned)
    return copy.copy_(tensor.detach(), non_blocking=pinned)


def _copying(tensors: Iterable[Tensor]) -> list[Any]:
    """Events of the devices' queues, which have come when `_copy` of these tensors is filled."""
    devices = {tensor.device for tensor in tensors if capabilities(tensor.device).pinned_copies}
    return [torch.get_device_module(device).current_stream(device).record_event() for device in devices]


def read(path: Path, identity: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Content of a checkpoint file; None if it is missing, broken or of another fit."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["facts"])
            if facts[IDENTITY] != identity:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return None


def pack_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an Adam as named tensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{i}.{name}": torch.as_tensor(value) for i, slots in state.items() for name, value in slots.items()
    }


def unpack_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an Adam the state that `pack_optimizer` has made of another one."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def without_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isinf(value) else value
