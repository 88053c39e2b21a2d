"""Gain of torch.compile in training: a step's forward and backward pass, eager and compiled in turns.

    python benchmarks/compiled.py [--backbone wav2vec2-base] [--method lora] [--precision float32] [--rounds 5]

The clips are those of `affetto bench`, random weights, the paper's recipe. Needs a C++ compiler.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affetto.bench.clips import waves
from affetto.bench.ours import Ours
from affetto.models.device import synchronise
from affetto.training import device as devices

WINDOW_SECONDS = 4.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--backbone", default="wav2vec2-base")
    options.add_argument("--method", default="lora")
    options.add_argument("--precision", default="float32")
    options.add_argument("--clips", type=int, default=32)
    options.add_argument("--batch-size", type=int, default=8)
    options.add_argument("--rounds", type=int, default=5)
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clips = waves(arguments.clips, WINDOW_SECONDS)
        ours = Ours(
            arguments.backbone,
            arguments.method,
            clips,
            device=devices.choose(),
            batch_size=arguments.batch_size,
            precision=arguments.precision,
            folder=Path(folder),
        )
        ours.prepare()
        eager = ours.classifier.train().forward
        compiled = torch.compile(eager, dynamic=True)
        first = epoch(ours, compiled, arguments.batch_size)
        epoch(ours, compiled, arguments.batch_size)
        epoch(ours, eager, arguments.batch_size)
        ratios = []
        for number in range(arguments.rounds):
            plain, quick = (epoch(ours, forward, arguments.batch_size) for forward in (eager, compiled))
            ratios.append(plain / quick)
            print(f"round {number + 1}: eager {plain:.2f} s, compiled {quick:.2f} s", flush=True)
    print(f"the first compiled epoch took {first:.0f} s, compiling included")
    print(f"{np.median(ratios):.2f} times as fast ({min(ratios):.2f}–{max(ratios):.2f})")


def epoch(ours: Ours, forward: Callable[..., Any], batch_size: int) -> float:
    """Seconds of a pass over all clips, without the optimiser."""
    started = time.perf_counter()
    for start in range(0, len(ours.ids), batch_size):
        ids = ours.ids[start : start + batch_size]
        targets = torch.tensor([ours.target[i] for i in ids], device=ours.device)
        loss = torch.nn.functional.cross_entropy(forward(*ours.prefixes.batch(ids, ours.device)), targets)
        loss.backward()
        for parameter in ours.classifier.trainable().values():
            parameter.grad = None
    synchronise(ours.device)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
