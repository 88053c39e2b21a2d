"""Counts of our side's training step: operations, launches, and the device's busiest kernels."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, supported_activities
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from affetto.models.device import capabilities, synchronise
from affetto.training.batches import plan
from affetto.training.loop import Fit

Ours = Any
"""An `affetto.bench.ours.Ours`, which is written in terms of this module."""
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch", "cudaMemcpyAsync", "cudaMemsetAsync")
"""Starts of the names of the calls by which the host gives a CUDA device work, in a profile."""
TOP = 8
"""Kernels that are listed."""


class DispatchCount(TorchDispatchMode):
    """Number of operations that torch hands to its kernels: on a device without a profile, about its launches."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        return function(*args, **(kwargs or {}))


def counts(ours: Ours) -> dict[str, Any]:
    """Counts of a step, means over an epoch: floating-point operations, operations of torch and, by the device's
    profile where torch has one, launches, kernels, the share of the time in which the device works, its top kernels."""
    ids = ours.ids[: ours.batch_size]
    with FlopCounterMode(display=False) as prefix:
        ours.classifier.prefix(ours.builder.data.sources[ids[0]].load(ours.prefixes.seconds))
    batches = _batches(ours)
    with DispatchCount() as dispatch, FlopCounterMode(display=False) as step:
        for batch in batches:
            logits = ours.classifier(*ours.prefixes.batch(batch, ours.device))
            targets = torch.zeros(len(batch), dtype=torch.long, device=logits.device)
            torch.nn.functional.cross_entropy(logits, targets).backward()
            for parameter in ours.classifier.trainable().values():
                parameter.grad = None
    operations = {"prefix": float(prefix.get_total_flops()), "step": step.get_total_flops() / len(batches)}
    result = {"operations": operations, "dispatched": round(dispatch.operations / len(batches))}
    return result | (_profiled(ours) if is_profiled(ours.device) else {})


def is_profiled(device: torch.device) -> bool:
    """True if torch's profiler sees the device's kernels."""
    return capabilities(device).own_memory and ProfilerActivity.CUDA in supported_activities()


def _batches(ours: Ours) -> list[list[str]]:
    """The batches of the second epoch but for its first step: those that `parts.epoch_parts` has timed."""
    training = ours.builder.spec.settings.training
    frames = ours.prefixes.frames
    batches = plan(ours.ids, frames, training.batch_size, training.length_window, seed=0, epoch=1)
    return batches[1:] or batches


def _profiled(ours: Ours) -> dict[str, Any]:
    """Launches, kernels and time of the second epoch of a fit, by torch's profiler."""
    profiler = profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])
    ticks: list[float] = []

    def epoch(_: Fit) -> None:
        synchronise(ours.device)
        ticks.append(time.perf_counter())
        if len(ticks) == 1:
            profiler.start()
            ticks[0] = time.perf_counter()
        else:
            profiler.stop()

    steps: list[int] = []
    ours.fit(2, on_epoch=epoch, on_step=lambda done, _all: steps.append(done))
    return summarise(profiler.events(), len(steps) // 2, ticks[1] - ticks[0])


def summarise(events: Any, steps: int, seconds: float) -> dict[str, Any]:
    """Launches and kernels a step, the device's seconds a step and its share of `seconds`, and its top kernels."""
    launches, kernels = 0, 0
    microseconds: dict[str, float] = defaultdict(float)
    calls: dict[str, int] = defaultdict(int)
    for event in events:
        if event.device_type.name == "CPU":
            launches += event.name.startswith(LAUNCHES)
        elif not getattr(event, "is_user_annotation", False):
            kernels += 1
            microseconds[event.name] += event.time_range.elapsed_us()
            calls[event.name] += 1
    busy = sum(microseconds.values()) / 1e6
    top = sorted(microseconds, key=lambda name: -microseconds[name])[:TOP]
    return {
        "launches": round(launches / steps),
        "kernels": round(kernels / steps),
        "device_seconds": busy / steps,
        "device_share": busy / seconds,
        "top_kernels": [
            {"name": name, "share": microseconds[name] / 1e6 / busy, "calls": round(calls[name] / steps)}
            for name in top
        ],
    }
