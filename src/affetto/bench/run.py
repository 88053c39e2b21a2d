"""`affetto bench`: the comparisons and their results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import torch

from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.families.registry import FAMILIES
from affetto.bench import compare
from affetto.bench.sides import WINDOW_SECONDS, Task, Workers
from affetto.errors import UserError, unknown
from affetto.models.device import capabilities
from affetto.training import device as devices
from affetto.training.provenance import provenance

METHODS = ("frozen", "lora", "adapter", "inference", "int8")
"""`int8` is inference too, ours in 8-bit integers; on a CPU only."""
MEASURES = {"frozen": compare.frozen, "inference": compare.inference, "int8": compare.inference}
STACKS = (3, 6)
"""Fits of a run's seeds, and of the folds of EMOVO's six speakers."""
COMPARISONS = ("same", "defaults")
"""`same`: same precision and window on both sides. `defaults`: each side with its own defaults."""


def run(
    backbones: Sequence[str],
    methods: Sequence[str],
    *,
    device: str = "auto",
    precision: str = "float32",
    clips: int = 64,
    batch_size: int = 8,
    rounds: int = 3,
    comparisons: Sequence[str] = COMPARISONS,
    stack: Sequence[int] | None = None,
    say: Callable[[str], None] = lambda _: None,
    on_result: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure `methods` on the shapes of `backbones` with random weights; JSON-ready.

    `precision` is that of both sides in the comparison `same`. `stack`: numbers of fits that are also measured as one
    training, by default those of STACKS on a device with memory of its own, and none elsewhere. `on_result` receives
    each comparison's result as soon as it is measured. Raises UserError for unknown names, and for a device or a
    precision that this machine lacks.
    """
    _check(backbones, methods, comparisons)
    exact = devices.choose(device)
    precision = devices.resolve_precision(precision, exact)
    pairs = [pair for pair in product(comparisons, methods) if _is_measured(*pair, exact)]
    if not pairs:
        raise UserError("int8 is compared on a CPU and as each comes: nothing is left to measure; add a --method")
    template = Task(
        side="ours",
        backbone="",
        method="lora",
        clips=clips,
        batch_size=batch_size,
        precision=precision,
        device=device,
        stack=tuple(STACKS if stack is None and capabilities(exact).own_memory else stack or ()),
    )
    precisions = dict.fromkeys((precision, devices.resolve_precision("auto", exact)))
    peaks = {name: devices.peak_operations_per_second(name, exact) for name in precisions}
    results = []
    with Workers(keep=capabilities(exact).own_memory) as workers:
        for backbone, (comparison, method) in product(backbones, pairs):
            task = replace(template, backbone=backbone)
            sides = _both_sides(task, method, comparison, exact)
            result = _measure(comparison, method, sides, rounds=rounds, say=say, start=workers.start)
            if "counts" in result:
                result["share_of_peak"] = _rate(result) / peaks[result["our_precision"]]
            results.append(result)
            on_result(result)
    return {"results": results, "peak_operations_per_second": peaks, "provenance": provenance(exact)}


def _measure(
    comparison: str, method: str, sides: tuple[Task, Task], *, rounds: int, say: compare.Say, start: compare.Start
) -> dict[str, Any]:
    """One comparison's facts and results."""
    task, reference = sides
    precisions = f"ours in {task.precision}, the yardstick in {reference.precision}"
    say(f"{comparison}: {method} on {task.backbone}, {precisions}")
    facts = {
        "comparison": comparison,
        "backbone": task.backbone,
        "method": method,
        "clips": task.clips,
        "batch_size": task.batch_size,
        "our_precision": task.precision,
        "yardstick_precision": reference.precision,
    }
    return facts | MEASURES.get(method, compare.training)(task, reference, rounds, say, start)


def _rate(result: dict[str, Any]) -> float:
    """Floating-point operations a second within our steps."""
    return float(result["counts"]["operations"]["step"] / result["epoch_parts"]["step"])


def _is_measured(comparison: str, method: str, device: torch.device) -> bool:
    return method != "int8" or (comparison != "same" and capabilities(device).int8)


def _check(backbones: Sequence[str], methods: Sequence[str], comparisons: Sequence[str]) -> None:
    """Raise UserError for unknown names."""
    for backbone in backbones:
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
    task = task if MEASURES.get(method) is compare.inference else replace(task, method=method)
    reference = replace(task, side="yardstick")
    if comparison == "defaults":
        # As each comes without a choice: the yardstick computes in float32, and Whisper's window is 30 s.
        family = FAMILIES.find(BACKBONES[task.backbone].family)
        task = replace(task, precision=devices.resolve_precision("auto", device))
        reference = replace(
            reference,
            precision="float32" if capabilities(device).host_memory else reference.precision,
            pad_seconds=None if family.window_seconds else WINDOW_SECONDS,
        )
    return (replace(task, precision="int8") if method == "int8" else task), reference
