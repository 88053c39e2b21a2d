"""What this machine can do: the rate of a large matrix product, which no training can exceed."""

from __future__ import annotations

import time
from functools import lru_cache

import torch

from affetto.models.device import synchronise
from affetto.training import device as devices

SIZE = {"cpu": 2048, "cuda": 8192}


def peak_operations_per_second(precision: str, device: torch.device) -> float:
    """Floating-point operations a second of a square matrix product in this precision; the best of some."""
    size = SIZE.get(device.type, 2048)
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(6):
        synchronise(device)
        started = time.perf_counter()
        a @ b
        synchronise(device)
        best = min(best, time.perf_counter() - started)
    return float(2 * size**3 / best)


@lru_cache
def rate_here(device: str, precision: str) -> float:
    """This machine's, measured on first use, for a device's name and a precision, also `auto`. Raises UserError."""
    chosen = devices.choose(device)
    return peak_operations_per_second(devices.resolve_precision(precision, chosen), chosen)
