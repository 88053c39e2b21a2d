"""`affetto bench`: which comparisons are made, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from affetto.bench import compare
from affetto.bench.compare import Task
from affetto.errors import UserError, unknown
from affetto.models.catalogue import BACKBONES
from affetto.models.device import capabilities
from affetto.models.families.registry import FAMILIES
from affetto.training import device as devices
from affetto.training.provenance import provenance

METHODS = ("frozen", "lora", "adapter", "inference", "int8")
"""`int8` is inference, too: ours in 8-bit integers, as it can be asked for; on a CPU only."""
MEASURES = {"frozen": compare.frozen, "inference": compare.inference, "int8": compare.inference}
COMPARISONS = ("same", "defaults")
"""`same`: same precision, same window. `defaults`: ours as it comes, the yardstick as it comes."""


def run(
    backbone: str, methods: tuple[str, ...], *, precision: str = "float32", clips: int = 64, batch_size: int = 8,
    rounds: int = 3, comparisons: tuple[str, ...] = COMPARISONS, say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Measure `methods` on `backbone`'s shapes with random weights; JSON-ready.

    `precision` is that of both sides in the comparison `same`. Raises UserError for unknown names.
    """
    if backbone not in BACKBONES:
        raise unknown("backbone key", backbone, BACKBONES)
    for method in methods:
        if method not in METHODS:
            raise unknown("method", method, METHODS)
    for comparison in comparisons:
        if comparison not in COMPARISONS:
            raise unknown("comparison", comparison, COMPARISONS)
    family = FAMILIES.find(BACKBONES[backbone].family)
    device = devices.choose("auto")
    device_capabilities = capabilities(device)
    ours = devices.resolve_precision("auto", device)
    # What one gets without asking: the yardstick's precision is float32, and Whisper's window 30 s.
    settings = {
        "same": (precision, precision, compare.WINDOW_SECONDS),
        "defaults": (
            ours,
            "float32" if device_capabilities.host_memory else precision,
            None if family.window_seconds else compare.WINDOW_SECONDS,
        ),
    }
    results: list[dict[str, Any]] = []
    for comparison in comparisons:
        ours_in, theirs, padded = settings[comparison]
        for method in methods:
            if method == "int8" and (comparison == "same" or not device_capabilities.int8):
                continue
            mine = "int8" if method == "int8" else ours_in
            trained = "lora" if method in ("inference", "int8") else method
            one = Task("ours", backbone, trained, clips, batch_size, mine)
            other = Task("yardstick", backbone, trained, clips, batch_size, theirs, pad_seconds=padded)
            say(f"{comparison}: {method} on {backbone}, ours in {mine}, the yardstick in {theirs}")
            measure = MEASURES.get(method, compare.training)
            result = measure(one, other, rounds, say)
            results.append({
                "comparison": comparison, "backbone": backbone, "method": method, "clips": clips,
                "batch_size": batch_size, "our_precision": mine, "yardstick_precision": theirs, **result,
            })  # fmt: skip
    if not results:
        raise UserError("int8 is compared on a CPU and as each comes: nothing is left to measure; add a --method")
    peaks = {name: devices.peak_operations_per_second(name, device) for name in dict.fromkeys((precision, ours))}
    for result in results:
        if "operations" in result:
            rate = result["operations"]["step"] / sum(result["phases"].values())
            result["share_of_peak"] = rate / peaks[result["our_precision"]]
    return {"results": results, "peak_operations_per_second": peaks, "provenance": provenance(device)}
