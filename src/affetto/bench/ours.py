"""Our side of the comparison: the parts that `affetto train` and `affetto predict` run, under a clock."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from affetto.backbones.checkpoints import load_backbone
from affetto.bench.clips import CLASSES, write
from affetto.corpora.labels import EMOTIONS
from affetto.inference.backends.trained import ClassifierPredictor
from affetto.models.device import synchronise
from affetto.models.saved import assemble
from affetto.training import device as devices
from affetto.training.build import Builder
from affetto.training.data import read
from affetto.training.display import Display
from affetto.training.learner import Task
from affetto.training.loop import Fit, fit
from affetto.training.spec import CorpusSpec, RunSpec, settings


class Ours:
    """A run on `waves` under the paper's recipe, stopped between its parts to read the clock."""

    def __init__(
        self, key: str, method: str, waves: Sequence[np.ndarray], *, batch_size: int, precision: str, folder: Path
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
        self.device = devices.choose("auto")
        data = read(spec, lambda _: None)
        backbone = load_backbone(key, random_weights=True)
        self.builder = Builder(spec, data, backbone, self.device, Display(quiet=True))
        self.classifier = self.builder.fresh(None)
        self.file = folder / "checkpoint.safetensors"
        self.ids = tuple(clip.id for clip in data.manifest.clips)
        self.target = {clip.id: EMOTIONS.index(clip.emotion) for clip in data.manifest.clips}

    def prepare(self) -> float:
        """Seconds to decode, to compute and to store the frozen prefix of all clips."""
        started = time.perf_counter()
        self.prefixes = self.builder.prefixes(self.classifier)
        return time.perf_counter() - started

    def epochs(self, count: int, seed: int = 0) -> list[float]:
        """Seconds of each of `count` epochs, checkpoints included; the first also holds the proof of gradients."""
        self.file.unlink(missing_ok=True)
        classifier = self.builder.fresh(None)
        ticks = [time.perf_counter()]

        def tick(_: Fit) -> None:
            synchronise(self.device)
            ticks.append(time.perf_counter())

        task = Task(
            train=self.ids, validation=None, target=self.target, seed=seed, epochs=count, identity=f"bench {seed}"
        )
        fit(
            classifier,
            self.prefixes,
            task,
            self.builder.spec.settings.training,
            devices.accelerator(self.device),
            checkpoint_file=self.file,
            on_epoch=tick,
        )
        return [after - before for before, after in pairwise(ticks)]

    def phases(self, steps: int = 3) -> dict[str, float]:
        """Seconds a step spends in its parts, medians over some steps."""
        classifier, batch_size = self.classifier.train(), self.builder.spec.settings.training.batch_size
        optimizer = torch.optim.Adam(classifier.trainable().values(), fused=True)
        seconds: dict[str, list[float]] = {name: [] for name in ("read", "forward", "backward", "optimiser")}
        for number in range(steps):
            start = number * batch_size % max(1, len(self.ids) - batch_size + 1)
            ids = self.ids[start : start + batch_size]
            clock = _Clock(self.device)
            batch = self.prefixes.batch(ids, self.device)
            seconds["read"].append(clock.lap())
            targets = torch.tensor([self.target[i] for i in ids], device=self.device)
            loss = torch.nn.functional.cross_entropy(classifier(*batch), targets)
            seconds["forward"].append(clock.lap())
            loss.backward()
            seconds["backward"].append(clock.lap())
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            seconds["optimiser"].append(clock.lap())
        return {name: float(np.median(values)) for name, values in seconds.items()}

    def prepare_phases(self, clips: int = 8) -> dict[str, float]:
        """Seconds a clip spends being decoded, computed and stored, medians over some; one after another, all cores."""
        seconds: dict[str, list[float]] = {name: [] for name in ("decode", "front end", "frozen blocks", "store")}
        backbone, data = self.classifier.backbone, self.prefixes
        for clip_id in self.ids[:clips]:
            clock = _Clock(self.device)
            wave = data.sources[clip_id].load(data.seconds)
            seconds["decode"].append(clock.lap())
            prepared = backbone.prepare(wave)
            with torch.no_grad(), self.classifier._autocast():
                backbone.embed(backbone.features(prepared)[None], None)
            front = clock.lap()
            prefix = self.classifier.prefix(wave)
            seconds["front end"].append(front)
            seconds["frozen blocks"].append(max(0.0, clock.lap() - front))
            data.store.put("bench", prefix)
            seconds["store"].append(clock.lap())
        return {name: float(np.median(values)) for name, values in seconds.items()}

    def operations(self) -> dict[str, float]:
        """Floating-point operations that one step of the first batch counts, and of one clip's prefix."""
        ids = self.ids[: self.builder.spec.settings.training.batch_size]
        with FlopCounterMode(display=False) as prefix:
            self.classifier.prefix(self.builder.data.sources[ids[0]].load(4.0))
        with FlopCounterMode(display=False) as step:
            logits = self.classifier(*self.prefixes.batch(ids, self.device))
            targets = torch.zeros(len(ids), dtype=torch.long, device=logits.device)
            torch.nn.functional.cross_entropy(logits, targets).backward()
        for parameter in self.classifier.trainable().values():
            parameter.grad = None
        return {"prefix": float(prefix.get_total_flops()), "step": float(step.get_total_flops()), "clips": len(ids)}


class OurPipeline:
    """Prediction on waves in memory, as `affetto.load(run)` does it: merged, unpadded, of like length."""

    def __init__(self, key: str, method: str, waves: Sequence[np.ndarray], precision: str) -> None:
        blueprint: dict[str, Any] = {
            "labels": list(EMOTIONS[:CLASSES]),
            "method": {"name": method, "first_block": 0, "settings": {}},
            "pooling": {"kind": "mean", "layer": None, "state_norm": "none"},
            "head": {"name": "paper", "width": 256, "dropout": 0.1, "unmasked_mean": False},
        }
        device = devices.choose("auto")
        classifier = assemble(load_backbone(key, random_weights=True), blueprint).eval()
        card = {"audio": {"seconds": None}, "precision": "float32"}
        self.predictor, self.waves = ClassifierPredictor(classifier, card, device, precision), list(waves)

    def pass_over(self) -> float:
        """Seconds to classify all clips."""
        started = time.perf_counter()
        done = self.predictor.classify(self.waves)
        assert len(done) == len(self.waves)
        return time.perf_counter() - started


class _Clock:
    """Laps of wall time, after what a device still has in its queue."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.last = device, time.perf_counter()

    def lap(self) -> float:
        synchronise(self.device)
        before, self.last = self.last, time.perf_counter()
        return self.last - before


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
