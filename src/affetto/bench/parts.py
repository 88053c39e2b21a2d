"""Parts of our side's time: of a step, of preparing a clip, of an epoch."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from affetto.models.device import synchronise
from affetto.training.loop import Fit

Ours = Any
"""An `affetto.bench.ours.Ours`, which is written in terms of this module."""


class Clock:
    """Laps of wall time, each after the device has finished its queue."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.last = device, time.perf_counter()

    def lap(self) -> float:
        synchronise(self.device)
        before, self.last = self.last, time.perf_counter()
        return self.last - before


def phases(ours: Ours, steps: int = 3) -> dict[str, float]:
    """Seconds that a step's parts take one after another, each waited for: medians over some steps."""
    classifier, batch_size = ours.classifier.train(), ours.builder.spec.settings.training.batch_size
    optimizer = torch.optim.Adam(classifier.trainable().values(), fused=True)
    seconds: dict[str, list[float]] = {name: [] for name in ("read", "forward", "backward", "optimiser")}
    for number in range(steps):
        start = number * batch_size % max(1, len(ours.ids) - batch_size + 1)
        ids = ours.ids[start : start + batch_size]
        clock = Clock(ours.device)
        batch = ours.prefixes.batch(ids, ours.device)
        targets = torch.tensor([ours.target[i] for i in ids], device=ours.device)
        seconds["read"].append(clock.lap())
        loss = torch.nn.functional.cross_entropy(classifier(*batch), targets)
        seconds["forward"].append(clock.lap())
        loss.backward()
        seconds["backward"].append(clock.lap())
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds["optimiser"].append(clock.lap())
    return {name: float(np.median(values)) for name, values in seconds.items()}


def prepare_phases(ours: Ours, clips: int = 8) -> dict[str, float]:
    """Seconds a clip spends being decoded, computed and stored, medians over some, one clip after another."""
    seconds: dict[str, list[float]] = {name: [] for name in ("decode", "front end", "frozen blocks", "store")}
    backbone, data = ours.classifier.backbone, ours.prefixes
    for clip_id in ours.ids[:clips]:
        clock = Clock(ours.device)
        wave = data.sources[clip_id].load(data.seconds)
        seconds["decode"].append(clock.lap())
        prepared = backbone.prepare(wave)
        with torch.no_grad(), ours.classifier._autocast():
            backbone.embed(backbone.features(prepared)[None], None)
        front = clock.lap()
        prefix = ours.classifier.prefix(wave)
        seconds["front end"].append(front)
        seconds["frozen blocks"].append(max(0.0, clock.lap() - front))
        data.store.put("bench", prefix)
        seconds["store"].append(clock.lap())
    return {name: float(np.median(values)) for name, values in seconds.items()}


def epoch_parts(ours: Ours) -> dict[str, float]:
    """Seconds of an epoch after the first: of a `step`, of all `steps` and `outside` them.

    The device is waited for after every step, so that a step holds no work of another.
    """
    ticks: list[float] = []
    ends: list[float] = []

    def step(_done: int, _all: int) -> None:
        synchronise(ours.device)
        ticks.append(time.perf_counter())

    def epoch(_: Fit) -> None:
        synchronise(ours.device)
        ends.append(time.perf_counter())

    ours.fit(2, on_epoch=epoch, on_step=step)
    count = len(ticks) // 2
    # The first step of the epoch begins when the former epoch ends, so that its own time is not seen.
    mean = statistics.mean(after - before for before, after in pairwise(ticks[count:] if count > 1 else ticks))
    seconds = ends[1] - ends[0]
    return {"step": mean, "steps": mean * count, "outside": max(0.0, seconds - mean * count)}
