"""A trained run as a function: recordings in, emotions and probabilities out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affetto import audio
from affetto.errors import UserError, unknown
from affetto.models.classifier import Classifier, Prefix
from affetto.models.parallel import side_by_side
from affetto.models.prefix import Source, collate
from affetto.models.saved import load_classifier
from affetto.training import device as devices
from affetto.training.runs import FOLDS, MODEL

BATCH = 16
PRECISIONS = ("auto", "float32", "bfloat16", "int8")


@dataclass(frozen=True)
class Prediction:
    """What the model makes of one recording. `probabilities` has every label of the model, in its order."""

    file: str
    emotion: str
    probabilities: dict[str, float]
    seconds: float
    """How long the recording is."""
    seconds_heard: float
    """How much of it the model took in: clips are cropped as in training."""

    @property
    def cropped(self) -> bool:
        return self.seconds_heard < self.seconds


class Predictor:
    """`predictor("clip.wav")` → Prediction. Made by `load`."""

    def __init__(
        self, classifier: Classifier, card: dict[str, Any], device: torch.device, precision: str = "auto"
    ) -> None:
        self.classifier = classifier.merge(whole_clips=device.type == "cpu").to(device)
        self.precision = _precision(precision, card["precision"], device)
        if self.precision == "int8":
            self.classifier.quantise(devices.resolve_precision("auto", device))
        else:
            self.classifier.compute_in(self.precision)
        self.card, self.device = card, device
        self.window_seconds: float | None = card["audio"]["seconds"]

    @property
    def labels(self) -> tuple[str, ...]:
        return self.classifier.labels

    def __call__(self, recording: str | Path | np.ndarray, rate_hz: int = audio.RATE_HZ) -> Prediction:
        """Classify one file, or samples (samples,) or (samples, channels) at `rate_hz`.

        Raises AudioError (a UserError) for a recording that cannot be used.
        """
        return self._classify([self._prepare(recording, rate_hz)])[0]

    def classify(self, recordings: Sequence[str | Path | np.ndarray]) -> list[Prediction]:
        """Classify several recordings (files, or samples at 16 kHz), in their order.

        Raises AudioError for the first that cannot be used; `stream` goes on behind it.
        """
        clips = [self._prepare(recording, audio.RATE_HZ) for recording in recordings]
        return [
            result for start in range(0, len(clips), BATCH) for result in self._classify(clips[start : start + BATCH])
        ]

    def stream(self, files: Iterable[str | Path]) -> Iterator[Prediction | audio.AudioError]:
        """Classify many files, in order; what cannot be used comes as the error that tells why."""
        return self.stream_sources(Source(Path(file)) for file in files)

    def stream_sources(self, sources: Iterable[Source]) -> Iterator[Prediction | audio.AudioError]:
        """As `stream`, of files or sections of files."""
        waiting: list[tuple[str, np.ndarray] | audio.AudioError] = []
        for source in sources:
            try:
                waiting.append((str(source.path), source.load(None)))
            except audio.AudioError as problem:
                waiting.append(problem)
            if len(waiting) == BATCH:
                yield from self._flush(waiting)
                waiting = []
        yield from self._flush(waiting)

    def _flush(
        self, waiting: Sequence[tuple[str, np.ndarray] | audio.AudioError]
    ) -> Iterator[Prediction | audio.AudioError]:
        good = [item for item in waiting if isinstance(item, tuple)]
        done = iter(self._classify(good) if good else [])
        for item in waiting:
            yield next(done) if isinstance(item, tuple) else item

    def _prepare(self, recording: str | Path | np.ndarray, rate_hz: int) -> tuple[str, np.ndarray]:
        if isinstance(recording, np.ndarray):
            return "<samples>", audio.to_mono_16k(recording, rate_hz, name="<samples>")
        return str(recording), audio.load(recording)

    def _prefixes(self, heard: Sequence[np.ndarray]) -> list[Prefix]:
        """What lies at the cut, clip by clip; on the CPU, where that is all of the model, side by side."""
        if len(heard) == 1 or self.device.type != "cpu":
            return [self.classifier.prefix(wave) for wave in heard]
        prefixes: list[Prefix] = []
        for outcome in side_by_side(self.classifier.prefix, heard):
            if isinstance(outcome, Exception):
                raise outcome
            prefixes.append(outcome)
        return prefixes

    @torch.no_grad()
    def _classify(self, clips: Sequence[tuple[str, np.ndarray]]) -> list[Prediction]:
        heard = [audio.crop(wave, self.window_seconds) for _, wave in clips]
        batch, lengths = collate(self._prefixes(heard), self.device)
        probabilities = torch.softmax(self.classifier(batch, lengths).double(), dim=1).cpu().numpy()
        return [
            Prediction(
                file=name,
                emotion=self.labels[int(row.argmax())],
                probabilities={label: float(p) for label, p in zip(self.labels, row, strict=True)},
                seconds=len(wave) / audio.RATE_HZ,
                seconds_heard=len(cropped) / audio.RATE_HZ,
            )
            for (name, wave), cropped, row in zip(clips, heard, probabilities, strict=True)
        ]


def _precision(asked: str, trained: str, device: torch.device) -> str:
    if asked not in PRECISIONS:
        raise unknown("precision", asked, PRECISIONS)
    if asked == "int8" and device.type != "cpu":
        raise UserError(f"precision int8 is for the CPU, not for {device.type}; choose auto, or --device cpu")
    if asked != "auto":
        return devices.resolve_precision(asked, device)
    # What is not native here is slow, and not more exact than float32.
    return devices.resolve_precision("auto", device) if trained == "bfloat16" else trained


def load(run: str | Path, *, device: str = "auto", backbone: str | None = None, precision: str = "auto") -> Predictor:
    """The classifier of a run folder (or of a model folder within one), ready to be called.

    `precision`: `auto` (as trained, where this device has it natively), `float32`, `bfloat16`, or `int8`: the blocks'
    linear layers in 8-bit integers, the quickest on a CPU (docs/performance.md says what it costs).
    `backbone` says where the backbone's weights lie now, if they have moved since training.
    Raises UserError for a folder without a trained model.
    """
    folder = Path(run)
    if not folder.is_dir():
        raise UserError(f"no run folder {folder}: give the --out of a finished `affetto train`")
    model = folder / MODEL if (folder / MODEL).is_dir() else folder
    if model == folder and (folder / FOLDS).is_dir():
        folds = ", ".join(sorted(path.name for path in (folder / FOLDS).iterdir()))
        raise UserError(
            f"{folder} has no final model (unfinished, or trained with --no-final); "
            f"a fold's is in {folder / FOLDS}: {folds}"
        )
    classifier, card = load_classifier(model, backbone=backbone)
    return Predictor(classifier, card, devices.choose(device), precision)
