"""Our side of the comparison: the parts that `affetto train` and `affetto predict` run, under a clock."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affetto.backbones.checkpoints import load_backbone
from affetto.bench import counts, parts
from affetto.bench.clips import CLASSES, write
from affetto.corpora.labels import EMOTIONS
from affetto.inference.backends.trained import ClassifierPredictor
from affetto.models.device import capabilities, synchronise
from affetto.models.saved import assemble
from affetto.training import device as devices
from affetto.training.augment_settings import AugmentSettings
from affetto.training.build import Builder
from affetto.training.data import read
from affetto.training.display import Display
from affetto.training.loop import Fit, fit
from affetto.training.spec import CorpusSpec, RunSpec, settings
from affetto.training.stack_size import AUTO
from affetto.training.stacking import FitRequest, drive, fitted
from affetto.training.task import Task


class Ours:
    """A run on `waves` under the paper's recipe, stopped between its parts to read the clock."""

    def __init__(
        self,
        key: str,
        method: str,
        waves: Sequence[np.ndarray],
        *,
        device: torch.device,
        batch_size: int,
        precision: str,
        folder: Path,
    ) -> None:
        table = _table(folder, list(waves))
        overrides = {"training.batch_size": str(batch_size), "compute.precision": precision}
        spec = RunSpec(
            corpora=(CorpusSpec(name="table", path=str(table)),),
            backbone=key,
            method=method,
            recipe="paper",
            random_weights=True,
            settings=settings("paper", overrides, method=method),
            probe=False,
        )
        self.device, self.batch_size, self.folder = device, batch_size, folder
        data = read(spec, lambda _: None)
        backbone = load_backbone(key, random_weights=True)
        self.builder = Builder(spec, data, backbone, self.device, Display(quiet=True))
        self.classifier = self.builder.fresh()
        self.ids = tuple(clip.id for clip in data.manifest.clips)
        self.target = {clip.id: EMOTIONS.index(clip.emotion) for clip in data.manifest.clips}

    def warm_up(self) -> None:
        """Let a device load its libraries, as the yardstick's first epoch does; nothing is stored."""
        if capabilities(self.device).queued:
            sources, seconds = self.builder.data.sources, self.builder.spec.settings.audio.seconds
            self.classifier.prefixes([sources[clip_id].load(seconds) for clip_id in self.ids[: self.batch_size]])
            synchronise(self.device)

    def prepare(self) -> float:
        """Seconds to decode, to compute and to store the frozen prefix of all clips."""
        started = time.perf_counter()
        self.prefixes = self.builder.prefixes(self.classifier)
        synchronise(self.device)
        return time.perf_counter() - started

    def epochs(self, count: int, seed: int = 0) -> list[float]:
        """Seconds of each of `count` epochs, checkpoints included; the first also holds the proof of gradients."""
        ticks = [time.perf_counter()]

        def tick(_: Fit) -> None:
            synchronise(self.device)
            ticks.append(time.perf_counter())

        self.fit(count, seed, on_epoch=tick)
        return [after - before for before, after in pairwise(ticks)]

    def seeds(self, count: int, epochs: int) -> float:
        """Seconds of the fits of `count` seeds, as many at once as `--stack auto` lets train together."""
        started = time.perf_counter()
        self._drive(self._requests(count, epochs, lambda _: None), AUTO)
        synchronise(self.device)
        return time.perf_counter() - started

    def stacked(self, fits: int, epochs: int) -> list[float] | None:
        """Seconds of each of `epochs` epochs of the fits of as many seeds that train as one; None if they cannot."""
        ticks: list[float] = []
        reports = 0

        def tick(_: Fit) -> None:
            nonlocal reports
            reports += 1
            if reports % fits == 0:  # the last fit of the epoch
                synchronise(self.device)
                ticks.append(time.perf_counter())

        requests = self._requests(fits, epochs, tick)
        if requests[0].architecture is None:
            return None
        ticks.append(time.perf_counter())
        self._drive(requests, fits)
        return [after - before for before, after in pairwise(ticks)]

    def _requests(self, count: int, epochs: int, on_epoch: Callable[[Fit], None]) -> list[FitRequest]:
        """Fits of `count` seeds from their start."""
        requests = []
        for seed in range(count):
            file = self.folder / f"checkpoint-{seed}.safetensors"
            file.unlink(missing_ok=True)
            classifier = self.builder.fresh(slot=seed)
            requests.append(
                FitRequest(
                    classifier=classifier,
                    data=self.prefixes,
                    task=self._task(seed, epochs),
                    settings=self.builder.spec.settings.training,
                    accelerator=devices.accelerator(self.device),
                    augment=AugmentSettings(),
                    checkpoint_file=file,
                    on_epoch=on_epoch,
                    on_step=lambda _done, _all: None,
                    architecture=self.builder.architecture(classifier),
                )
            )
        return requests

    def _drive(self, requests: Sequence[FitRequest], stack: int | str) -> None:
        for outcome in drive([fitted(request) for request in requests], stack):
            if isinstance(outcome, Exception):
                raise outcome

    def fit(
        self,
        epochs: int,
        seed: int = 0,
        *,
        on_epoch: Callable[[Fit], None],
        on_step: Callable[[int, int], None] = lambda _done, _all: None,
    ) -> None:
        """Train the run's classifier from its start on all clips, without validation."""
        file = self.folder / "checkpoint.safetensors"
        file.unlink(missing_ok=True)
        fit(
            self.builder.fresh(),
            self.prefixes,
            self._task(seed, epochs),
            self.builder.spec.settings.training,
            devices.accelerator(self.device),
            checkpoint_file=file,
            on_epoch=on_epoch,
            on_step=on_step,
        )

    def _task(self, seed: int, epochs: int) -> Task:
        return Task(
            train=self.ids,
            validation=None,
            target=self.target,
            seed=seed,
            epochs=epochs,
            identity=f"bench {seed}",
        )

    def phases(self) -> dict[str, float]:
        """Seconds of a step's parts; see `parts.phases`."""
        return parts.phases(self)

    def prepare_phases(self) -> dict[str, float]:
        """Seconds of preparing a clip; see `parts.prepare_phases`."""
        return parts.prepare_phases(self)

    def epoch_parts(self) -> dict[str, float]:
        """Seconds of an epoch's parts; see `parts.epoch_parts`."""
        return parts.epoch_parts(self)

    def counts(self) -> dict[str, Any]:
        """Counts of a step; see `counts.counts`."""
        return counts.counts(self)


class OurPipeline:
    """Prediction on waves in memory, as `affetto.load(run)` does it: merged, unpadded, of like length."""

    def __init__(
        self, key: str, method: str, waves: Sequence[np.ndarray], *, device: torch.device, precision: str
    ) -> None:
        blueprint: dict[str, Any] = {
            "labels": list(EMOTIONS[:CLASSES]),
            "method": {"name": method, "first_block": 0, "settings": {}},
            "pooling": {"kind": "mean", "layer": None, "state_norm": "none"},
            "head": {"name": "paper", "width": 256, "dropout": 0.1, "unmasked_mean": False},
        }
        classifier = assemble(load_backbone(key, random_weights=True), blueprint).eval()
        card = {"audio": {"seconds": None}, "precision": "float32"}
        self.device, self.waves = device, list(waves)
        self.predictor = ClassifierPredictor(classifier, card, device, precision)

    def pass_over(self) -> float:
        """Seconds to classify all clips."""
        started = time.perf_counter()
        results = self.predictor.classify(self.waves)
        assert len(results) == len(self.waves)
        return time.perf_counter() - started


def _table(folder: Path, waves: list[np.ndarray]) -> Path:
    """The clips as files with a table; nothing is chosen or tested here, so that its parts do not matter."""
    files = write(folder / "audio", waves)
    table = folder / "clips.csv"
    with table.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["file", "emotion", "speaker", "split"])
        for number, file in enumerate(files):
            part = {len(files) - 2: "validation", len(files) - 1: "test"}.get(number, "train")
            rows.writerow([f"audio/{file.name}", EMOTIONS[number % CLASSES], f"{part}-speaker", part])
    return table
