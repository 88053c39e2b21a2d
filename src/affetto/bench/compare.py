"""Both sides in one run, in turns, each in a process of its own: medians and spread of the ratios."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any

from affetto.errors import UserError

WINDOW_SECONDS = 4.0
EPOCHS = 30
"""Epochs of a frozen run, as in the paper."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """Work of one side's process. `pad_seconds` None: the family's own window (Whisper: 30 s)."""

    side: str
    backbone: str
    method: str
    clips: int
    batch_size: int
    precision: str
    window_seconds: float = WINDOW_SECONDS
    pad_seconds: float | None = WINDOW_SECONDS
    threads: int | None = None


class Side:
    """A process that measures on command, and rests meanwhile."""

    def __init__(self, task: Task) -> None:
        self.task, self.peak_bytes = task, 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "affetto.bench.worker", json.dumps(asdict(task))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def __call__(self, name: str, *arguments: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([name, *arguments]) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.peak_bytes = answer["peak_bytes"]
        return answer["value"]

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None and self.process.stderr is not None
        line = self.process.stdout.readline()
        if not line:
            messages = self.process.stderr.read().strip().splitlines()
            reason = messages[-1] if messages else "no reason given"
            raise UserError(f"the benchmark of {self.task.side} stopped: {reason}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


def training(task: Task, reference: Task, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """An epoch of LoRA, Adapter or full beside the yardstick's; ours is one after the first."""
    with Side(task) as ours, Side(reference) as yardstick:
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
            "prepare_seconds": prepared,
            "prepare_phases": ours("prepare_phases"),
            "phases": ours("phases"),
            "operations": ours("operations"),
        }


def frozen(task: Task, reference: Task, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """A whole frozen run of 30 epochs from an empty store; the yardstick's is 30 times its measured epoch."""
    with Side(reference) as yardstick:
        yardstick("epoch")
        pairs, three, peaks = [], [], []
        for number in range(rounds):
            epoch = yardstick("epoch")
            with Side(task) as ours:  # anew each round: the store is empty
                prepared = ours("prepare")
                seeds = [sum(ours("epochs", EPOCHS, seed)) for seed in range(3)]
                peaks.append((yardstick.peak_bytes, ours.peak_bytes))
            pairs.append((EPOCHS * epoch, prepared + seeds[0]))
            three.append((3 * EPOCHS * epoch, prepared + sum(seeds)))
            say(
                f"frozen, round {number + 1}/{rounds}: {EPOCHS} epochs {pairs[-1][0]:.1f} s against "
                f"{pairs[-1][1]:.1f} s, of which {prepared:.1f} s once for all seeds"
            )
        return (
            _result(pairs, task.clips * EPOCHS)
            | _memory(peaks)
            | {"three_seeds": _result(three, task.clips * EPOCHS * 3)}
        )


def inference(task: Task, reference: Task, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Clips a second beside transformers' pipeline."""
    with Side(replace(task, side="our pipeline")) as ours, Side(replace(reference, side="pipeline")) as stock:
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
