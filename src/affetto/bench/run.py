"""`affetto bench`: the comparisons and their results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.families.registry import FAMILIES
from affetto.bench import compare
from affetto.bench.compare import Task
from affetto.errors import UserError, unknown
from affetto.models.device import capabilities
from affetto.training import device as devices
from affetto.training.provenance import provenance

METHODS = ("frozen", "lora", "adapter", "inference", "int8")
"""`int8` is inference too, ours in 8-bit integers; on a CPU only."""
MEASURES = {"frozen": compare.frozen, "inference": compare.inference, "int8": compare.inference}
COMPARISONS = ("same", "defaults")
"""`same`: same precision and window on both sides. `defaults`: each side with its own defaults."""


def run(
    backbone: str,
    methods: tuple[str, ...],
    *,
    precision: str = "float32",
    clips: int = 64,
    batch_size: int = 8,
    rounds: int = 3,
    comparisons: tuple[str, ...] = COMPARISONS,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure `methods` on `backbone`'s shapes with random weights; JSON-ready.

    `precision` is that of both sides in the comparison `same`. Raises UserError for unknown names.
    """
    _check(backbone, methods, comparisons)
    device = devices.choose("auto")
    default_precision = devices.resolve_precision("auto", device)
    results: list[dict[str, Any]] = []
    for comparison in comparisons:
        for method in methods:
            if method == "int8" and (comparison == "same" or not capabilities(device).int8):
                continue
            task = Task(
                side="ours",
                backbone=backbone,
                method="lora" if MEASURES.get(method) is compare.inference else method,
                clips=clips,
                batch_size=batch_size,
                precision=precision,
            )
            task, reference = _both_sides(task, method, comparison, device)
            sides = f"ours in {task.precision}, the yardstick in {reference.precision}"
            say(f"{comparison}: {method} on {backbone}, {sides}")
            measure = MEASURES.get(method, compare.training)
            result = measure(task, reference, rounds, say)
            facts = {"comparison": comparison, "backbone": backbone, "method": method, "clips": clips}
            facts |= {"batch_size": batch_size, "our_precision": task.precision}
            results.append({**facts, "yardstick_precision": reference.precision, **result})
    if not results:
        raise UserError("int8 is compared on a CPU and as each comes: nothing is left to measure; add a --method")
    precisions = dict.fromkeys((precision, default_precision))
    peaks = {name: devices.peak_operations_per_second(name, device) for name in precisions}
    for result in results:
        if "operations" in result:
            rate = result["operations"]["step"] / sum(result["phases"].values())
            result["share_of_peak"] = rate / peaks[result["our_precision"]]
    return {"results": results, "peak_operations_per_second": peaks, "provenance": provenance(device)}


def _check(backbone: str, methods: tuple[str, ...], comparisons: tuple[str, ...]) -> None:
    """Raise UserError for unknown names."""
    if backbone not in BACKBONES:
        raise unknown("backbone key", backbone, BACKBONES)
    for method in methods:
        if method not in METHODS:
            raise unknown("method", method, METHODS)
    for comparison in comparisons:
        if comparison not in COMPARISONS:
            raise unknown("comparison", comparison, COMPARISONS)


def _both_sides(task: Task, method: str, comparison: str, device: torch.device) -> tuple[Task, Task]:
    """Our task and the yardstick's. `task` has the precision that both have in the comparison `same`."""
    reference = replace(task, side="yardstick")
    if comparison == "defaults":
        # As each comes without a choice: the yardstick computes in float32, and Whisper's window is 30 s.
        family = FAMILIES.find(BACKBONES[task.backbone].family)
        task = replace(task, precision=devices.resolve_precision("auto", device))
        reference = replace(
            reference,
            precision="float32" if capabilities(device).host_memory else reference.precision,
            pad_seconds=None if family.window_seconds else compare.WINDOW_SECONDS,
        )
    return (replace(task, precision="int8") if method == "int8" else task), reference
