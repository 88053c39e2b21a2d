"""Capabilities of devices, by kind: features beside plain computing.

No other place compares kinds of devices; code asks `capabilities(device)`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
"""Compiled products that oneDNN keeps, one for each shape; 1,024 by default. Batches of clips have hundreds of shapes:
a run on EMOVO grew from fold to fold to 4 GB, and stays at 1.3 with these, no slower. oneDNN reads it when it first
computes, and what the user has set stands."""


@dataclass(frozen=True)
class Capabilities:
    """Features of one kind of device. A kind that is not in `KINDS` has the defaults."""

    host_memory: bool = False
    """Its memory is the machine's: a module made on the CPU is there already, and can share weights."""
    clips_side_by_side: bool = False
    """Several clips at once, each alone on a few threads, are quicker than one padded batch."""
    slow_random: bool = False
    """torch's own dropout takes longer than the layers around it."""
    int8: bool = False
    """torch has 8-bit kernels for linear layers."""
    pinned_copies: bool = False
    """Copies from pinned memory run beside what the device still computes."""
    queued: bool = False
    """Calls return before the work is done, so that a clock has to wait for the device."""
    batches_ahead: bool = False
    """The next batch may be made in a thread while the device computes."""
    bfloat16: bool = True
    """It can compute in bfloat16, natively or not."""
    own_memory: bool = False
    """It has memory of its own, of which torch knows the peak."""
    fused_optimizer: bool = False
    """torch's Adam has a fused form."""
    banked: bool = False
    """A run's stored states are packed in its memory, where they fit: copies from the CPU would keep it waiting."""
    graphs: bool = False
    """A sequence of kernels can be captured once and replayed by one call, as `torch.cuda.CUDAGraph` does."""
    matrix_width: int = 2048
    """Width of square matrices whose product comes near to its highest rate."""


KINDS = {
    "cpu": Capabilities(host_memory=True, clips_side_by_side=True, slow_random=True, int8=True, fused_optimizer=True),
    "cuda": Capabilities(
        pinned_copies=True,
        queued=True,
        batches_ahead=True,
        own_memory=True,
        fused_optimizer=True,
        banked=True,
        graphs=True,
        matrix_width=8192,
    ),
    "mps": Capabilities(queued=True, bfloat16=False, banked=True),
}
"""Capabilities by torch's `device.type`."""
PLUGGED_IN = Capabilities(queued=True, banked=True)
"""Capabilities of an accelerator that is not in `KINDS`: xpu, npu, hpu and whatever else is plugged into torch."""


def capabilities(device: torch.device) -> Capabilities:
    """The features of a device's kind."""
    if device.type in KINDS:
        return KINDS[device.type]
    return PLUGGED_IN if device.type == accelerator_kind() else Capabilities()


def accelerator_kind() -> str | None:
    """Kind of the accelerator that this machine has and torch was built for; None where there is none."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    return None if accelerator is None else accelerator.type


def native_bfloat16(device: torch.device) -> bool:
    """True if the device computes in bfloat16 by itself, not by emulation."""
    if device.type == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if not capabilities(device).bfloat16 or device.type != accelerator_kind():
        return False
    module = torch.get_device_module(device)
    if device.type == "cuda":
        return bool(module.is_bf16_supported(including_emulation=False))
    return bool(getattr(module, "is_bf16_supported", bool)())


def device_name(device: torch.device) -> str | None:
    """Name of the hardware; None where torch does not know it."""
    name = getattr(_module(device), "get_device_name", None)
    return None if name is None else str(name(device))


def peak_memory_bytes(device: torch.device) -> int | None:
    """The most bytes that torch has held on the device since `reset_peak_memory`; None without memory of its own."""
    return int(torch.accelerator.max_memory_allocated(device)) if capabilities(device).own_memory else None


def reset_peak_memory(device: torch.device) -> None:
    """Let the peak of the device's memory begin at its present use."""
    if capabilities(device).own_memory:
        torch.accelerator.reset_peak_memory_stats(device)


def free_memory_bytes(device: torch.device) -> int | None:
    """Bytes that are free on the device; None where torch does not know it."""
    memory = getattr(_module(device), "mem_get_info", None)
    return None if memory is None else int(memory(device)[0])


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on `device`, beside what that still computes where it can. Memory of a device cannot be pinned."""
    if capabilities(device).pinned_copies and capabilities(tensor.device).host_memory:
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def fetch(tensors: dict[str, Tensor], device: torch.device) -> tuple[dict[str, Tensor], Callable[[], None]]:
    """Tensors of `device` on the CPU, and a function that waits until they are there; any thread may call it.

    Where copies are asynchronous the device goes on computing meanwhile.
    """
    if not capabilities(device).pinned_copies:
        return {name: tensor.cpu() for name, tensor in tensors.items()}, lambda: None
    host = {
        name: torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)
        for name, tensor in tensors.items()
    }
    module = _module(device)
    event = module.Event(blocking=True)  # threads that wait sleep, and leave the cores to those that decode
    event.record(module.current_stream(device))
    return host, event.synchronize


def random_states() -> dict[str, Tensor]:
    """States of torch's generators: `rng` of the CPU's and, of an accelerator's, `rng_` and its kind; on the CPU."""
    states, kind = {"rng": torch.get_rng_state()}, accelerator_kind()
    if kind is not None and hasattr(torch.get_device_module(kind), "get_rng_state"):
        states[f"rng_{kind}"] = torch.get_device_module(kind).get_rng_state()
    return states


def restore_random_states(states: Mapping[str, Tensor]) -> None:
    """Give torch's generators the states that `random_states` has read; those of an absent accelerator are left out."""
    torch.set_rng_state(states["rng"])
    kind = accelerator_kind()
    if f"rng_{kind}" in states:
        torch.get_device_module(kind).set_rng_state(states[f"rng_{kind}"])


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished its queue."""
    if capabilities(device).queued:
        torch.accelerator.synchronize(device)


def autocast(device: torch.device, *, enabled: bool) -> contextlib.AbstractContextManager[object]:
    """bfloat16 autocast switched on or off, within a `with`; nothing on a device that has no autocast."""
    if not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def _module(device: torch.device) -> Any:
    """torch's module of a kind of device that this machine has; None of the CPU and of others."""
    return torch.get_device_module(device) if device.type == accelerator_kind() else None
