"""Checkpoints: the state of an unfinished fit in one safetensors file, with everything but tensors as JSON in it."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from affetto.errors import UserError
from affetto.files import replacing

IDENTITY = "identity"


@dataclass
class Checkpoint:
    """A fit's checkpoint file. Only the main one of several processes writes it."""

    path: Path
    identity: str
    """The run's, and the fold's name: a checkpoint of another fit is not used."""
    seconds: float
    """Longest stretch of training that a kill can undo; `is_due` goes by it."""
    writes: bool = True
    """False in processes other than the main one."""
    _written: float = field(default_factory=time.monotonic)

    @property
    def is_due(self) -> bool:
        """True if more than `seconds` have gone by since the last one."""
        return time.monotonic() - self._written > self.seconds

    def write(self, progress: Any, tensors: dict[str, Tensor], optimizer: torch.optim.Optimizer) -> None:
        """Keep the fields of `progress` (a dataclass of JSON values), tensors and the optimiser's state."""
        self._written = time.monotonic()
        if not self.writes:
            return
        facts = {name: _plain(getattr(progress, name)) for name in progress.__dataclass_fields__}
        write(self.path, tensors | pack_optimizer(optimizer), facts | {IDENTITY: self.identity})

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


def write(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Replace the file at once, so that a kill leaves the old one or the new one. Raises UserError if it cannot."""
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, shared=False) as temporary:  # a run has one process
            save_file(contiguous, temporary, {"facts": json.dumps(facts)})
    except (OSError, SafetensorError) as problem:
        raise UserError(f"{path}: cannot be written ({problem}); make room and run again, it goes on") from None


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
