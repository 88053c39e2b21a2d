"""The device that `--device` asks for."""

from __future__ import annotations

import torch
from accelerate import Accelerator

from affetto.errors import UserError, unknown

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose(name: str = "auto") -> torch.device:
    """`auto` takes CUDA, else MPS, else the CPU. Raises UserError for one that this machine lacks."""
    if name not in DEVICES:
        raise unknown("device", name, DEVICES)
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if here[kind]))
    if not here[name]:
        usable = [kind for kind, there in here.items() if there]
        raise UserError(
            f"--device {name}: this machine has none, or PyTorch was built without it; usable here: "
            + ", ".join(usable)
        )
    return torch.device(name)


def accelerator(device: torch.device) -> Accelerator:
    return Accelerator(cpu=device.type == "cpu", mixed_precision="no")
