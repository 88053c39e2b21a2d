"""Fits of small models on a device, without dropout, so that their numbers can be compared between devices.

Each test of this folder has one body for all devices. Its case on the CPU is an ordinary quick test, which proves the
body; its case on CUDA is marked `gpu`, and skipped where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from affetto.backbones.checkpoints import load_backbone
from affetto.corpora.labels import EMOTIONS
from affetto.training import device as devices
from affetto.training.build import Builder
from affetto.training.data import read
from affetto.training.display import Display
from affetto.training.loop import Fit, fit
from affetto.training.stacking import FitRequest, drive, fitted
from affetto.training.task import Task
from training.corpora import spec, write_table

CUDA = pytest.param(
    "cuda",
    marks=(pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
)
DEVICES = ("cpu", CUDA)


def cases(quick: tuple[str, ...], gpu: tuple[str, ...]) -> list[object]:
    """Parameters (value, device): the `quick` values on the CPU, the `gpu` values on CUDA."""
    return [
        *(pytest.param(value, "cpu") for value in quick),
        *(pytest.param(value, *CUDA.values, marks=CUDA.marks) for value in gpu),
    ]


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 42 short clips of six speakers, with the parts of its split."""
    return write_table(tmp_path_factory.mktemp("corpus"))


@dataclass
class Trained:
    """Losses and validated scores of a fit, and the weights that it has left, on the CPU."""

    history: list[dict[str, object]]
    weights: dict[str, Tensor]

    @property
    def losses(self) -> list[float]:
        return [float(record["loss"]) for record in self.history]  # type: ignore[arg-type]


class Trainer:
    """Fits of one method on one device. Each begins with the same weights and the same batches."""

    def __init__(
        self, table: Path, method: str, device: str, *, backbone: str = "wav2vec2-mini", **overrides: str
    ) -> None:
        settings = {name.replace("__", "."): value for name, value in overrides.items()}
        run = spec(table, method, backbone=backbone, overrides=settings, split="column", probe=False)
        self.data = read(run, lambda _: None)
        self.device = devices.choose(device)
        self.builder = Builder(run, self.data, load_backbone(backbone, random_weights=True), self.device, Display(True))
        fold = self.data.split.folds[0]
        target = {clip.id: EMOTIONS.index(clip.emotion) for clip in self.data.manifest.clips}
        self.task = Task(
            train=tuple(fold.train),
            validation=tuple(fold.validation),
            target=target,
            seed=0,
            epochs=run.settings.training.epochs,
            identity="a fit of a test",
        )

    def fit(
        self, file: Path, on_step: Callable[[int, int], None] = lambda _done, _all: None, *, seed: int = 0
    ) -> Trained:
        """Train to the end, or on from the checkpoint in `file`."""
        request = self._request(file, seed, slot=0)
        progress = fit(
            request.classifier,
            request.data,
            request.task,
            request.settings,
            request.accelerator,
            checkpoint_file=file,
            on_step=on_step,
        )
        return _trained(progress, request)

    def fit_together(self, folder: Path, seeds: Sequence[int]) -> list[Trained]:
        """Train a fit of each seed, all of them as one training."""
        requests = [self._request(folder / f"{seed}.safetensors", seed, slot) for slot, seed in enumerate(seeds)]
        results = []
        for outcome, request in zip(drive([fitted(r) for r in requests], len(seeds)), requests, strict=True):
            assert isinstance(outcome, Fit), outcome
            results.append(_trained(outcome, request))
        return results

    def _request(self, file: Path, seed: int, slot: int) -> FitRequest:
        classifier = self.builder.fresh(slot=slot)
        for module in classifier.modules():
            if "Dropout" in type(module).__name__:
                module.p = 0.0
        return FitRequest(
            classifier=classifier,
            data=self.builder.prefixes(classifier),
            task=replace(self.task, seed=seed),
            settings=self.builder.spec.settings.training,
            accelerator=devices.accelerator(self.device),
            augment=self.builder.spec.settings.augment,
            checkpoint_file=file,
            on_epoch=lambda _: None,
            on_step=lambda _done, _all: None,
            architecture=self.builder.architecture(classifier),
        )


def _trained(progress: Fit, request: FitRequest) -> Trained:
    weights = {name: tensor.cpu().clone() for name, tensor in request.classifier.snapshot().items()}
    return Trained(progress.history, weights)


@contextmanager
def synchronisation_forbidden(device: torch.device) -> Iterator[None]:
    """An error wherever the host waits for a CUDA device; nothing on the CPU."""
    if device.type != "cuda":
        yield
        return
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")
