"""Comparisons: both sides in turns, each in a process of its own; medians and spread of the ratios."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from affetto.bench.sides import Side, Task

EPOCHS = 30
"""Epochs of a frozen run, as in the paper."""
Say = Callable[[str], None]
Start = Callable[[Task], Side]
"""Function that starts the side of a task; see `Workers.start`."""


def training(task: Task, reference: Task, rounds: int, say: Say, start: Start = Side) -> dict[str, Any]:
    """An epoch of LoRA, Adapter or full beside the yardstick's; ours is one after the first."""
    with start(task) as ours, start(reference) as yardstick:
        prepared = ours("prepare")
        yardstick("epoch")  # the first warms up both
        ours("epochs", 1)
        pairs, peaks = [], []
        for number in range(rounds):
            pair = (yardstick("epoch"), ours("epochs", 2)[-1])
            pairs.append(pair)
            peaks.append((yardstick.peak_bytes, ours.peak_bytes))
            say(f"{task.method}, round {number + 1}/{rounds}: {pair[0]:.2f} s against {pair[1]:.2f} s an epoch")
        result = _result(pairs, task.clips) | _memory(peaks)
        return result | {
            "stacked": _stacked(ours, [reference for reference, _ in pairs]),
            "prepare_seconds": prepared,
            "epoch_seconds": result["our_seconds"],
            "prepare_phases": ours("prepare_phases"),
            "phases": ours("phases"),
            "epoch_parts": ours("epoch_parts"),
            "counts": ours("counts"),
        }


def _stacked(ours: Side, reference: list[float]) -> dict[str, Any]:
    """Results of an epoch of each fit, {fits that train as one: result}; `reference`: the yardstick's epochs."""
    results = {}
    for fits in ours.task.stack:
        pairs = []
        for seconds in reference:
            epochs = ours("stacked", fits, 2)
            if epochs is not None:
                pairs.append((seconds, epochs[-1] / fits))
        if pairs:
            results[str(fits)] = _result(pairs, ours.task.clips)
    return results


def frozen(task: Task, reference: Task, rounds: int, say: Say, start: Start = Side) -> dict[str, Any]:
    """A whole frozen run of 30 epochs from an empty store; the yardstick's is 30 times its measured epoch."""
    with start(reference) as yardstick:
        yardstick("epoch")
        pairs, three, peaks, parts = [], [], [], []
        for number in range(rounds):
            epoch = yardstick("epoch")
            with start(task) as ours:  # anew each round: the store is empty
                ours("warm_up")
                prepared = ours("prepare")
                seed = sum(ours("epochs", EPOCHS))
                peaks.append((yardstick.peak_bytes, ours.peak_bytes))
                seeds = ours("seeds", 3, EPOCHS)
            parts.append((prepared, seed / EPOCHS))
            pairs.append((EPOCHS * epoch, prepared + seed))
            three.append((3 * EPOCHS * epoch, prepared + seeds))
            say(
                f"frozen, round {number + 1}/{rounds}: {EPOCHS} epochs {pairs[-1][0]:.1f} s against "
                f"{pairs[-1][1]:.1f} s, of which {prepared:.1f} s once for all seeds"
            )
        prepare_seconds, epoch_seconds = (statistics.median(values) for values in zip(*parts, strict=True))
        result = _result(pairs, task.clips * EPOCHS) | _memory(peaks)
        result |= {"prepare_seconds": prepare_seconds, "epoch_seconds": epoch_seconds}
        return result | {"three_seeds": _result(three, task.clips * EPOCHS * 3)}


def inference(task: Task, reference: Task, rounds: int, say: Say, start: Start = Side) -> dict[str, Any]:
    """Clips a second beside transformers' pipeline."""
    with start(replace(task, side="our pipeline")) as ours, start(replace(reference, side="pipeline")) as stock:
        stock("pass_over"), ours("pass_over")
        pairs, peaks = [], []
        for number in range(rounds):
            pairs.append((stock("pass_over"), ours("pass_over")))
            peaks.append((stock.peak_bytes, ours.peak_bytes))
            say(f"inference, round {number + 1}/{rounds}: {pairs[-1][0]:.2f} s against {pairs[-1][1]:.2f} s")
        return _result(pairs, task.clips) | _memory(peaks)


def _result(pairs: list[tuple[float, float]], clips: int) -> dict[str, Any]:
    """Medians over the rounds; a ratio above one means that ours is faster."""
    ratios = [reference / ours for reference, ours in pairs]
    reference, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
    return {
        "ratio": statistics.median(ratios),
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
        "yardstick_seconds": reference,
        "our_seconds": ours,
        "yardstick_clips_per_second": clips / reference,
        "our_clips_per_second": clips / ours,
        "rounds": len(pairs),
    }


def _memory(peaks: Iterable[tuple[int, int]]) -> dict[str, Any]:
    reference, ours = (statistics.median(side) for side in zip(*peaks, strict=True))
    return {"yardstick_peak_bytes": int(reference), "our_peak_bytes": int(ours), "memory_ratio": ours / reference}
