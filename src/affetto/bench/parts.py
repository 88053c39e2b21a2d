"""Parts of our side's time: of a step, of preparing a clip, of an epoch."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from affetto.backbones.backbone import frame_mask
from affetto.models.classifier import Classifier
from affetto.models.device import capabilities, send, synchronise
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
    """Seconds that a clip takes to be decoded, computed and stored, one part after another.

    Where clips are prepared side by side these are medians over some clips, else shares of a batch.
    """
    phases: dict[str, list[float]] = {name: [] for name in ("decode", "front end", "frozen blocks", "store")}
    alone = capabilities(ours.device).clips_side_by_side
    groups = [[clip_id] for clip_id in ours.ids[:clips]] if alone else [list(ours.ids[: ours.batch_size])]
    for ids in groups if alone else 2 * groups:  # the first batch of a device loads its libraries
        for name, seconds in _prepare_group(ours, ids, alone=alone).items():
            phases[name].append(seconds / len(ids))
    return {name: float(np.median(values)) if alone else values[-1] for name, values in phases.items()}


@torch.no_grad()
def _prepare_group(ours: Ours, ids: list[str], *, alone: bool) -> dict[str, float]:
    """Seconds of the parts of preparing some clips."""
    classifier, data, clock = ours.classifier, ours.prefixes, Clock(ours.device)
    waves = [data.sources[clip_id].load(data.seconds) for clip_id in ids]
    decoding = clock.lap()
    _front_end(classifier, waves, alone=alone)
    front = clock.lap()
    prefixes = [classifier.prefix(waves[0])] if alone else classifier.prefixes(waves)
    computing = clock.lap()
    for prefix in prefixes:
        data.store.put("bench", prefix)
    blocks = max(0.0, computing - front)
    return {"decode": decoding, "front end": front, "frozen blocks": blocks, "store": clock.lap()}


def _front_end(classifier: Classifier, waves: list[np.ndarray], *, alone: bool) -> None:
    """Compute what enters the first block."""
    backbone = classifier.backbone
    # Spectra are computed outside autocast, as in `Classifier.prefix`.
    if alone:
        wave = backbone.prepare(waves[0])
        with classifier._autocast():
            backbone.embed(backbone.features(wave)[None], None)
        return
    prepared, lengths = backbone.prepare_batch(waves)
    with classifier._autocast():
        features, frames = backbone.features_batch(send(prepared, backbone.device), lengths)
        backbone.embed(features, frame_mask(frames, features.shape[1], features.device))


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
