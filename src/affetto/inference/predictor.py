"""A trained model as a function: recordings in, emotions and probabilities out.

`Predictor` is what every kind of saved model becomes: it decodes, cuts into windows, averages, calibrates and
abstains. A kind of model adds one method, `window_probabilities` (`classifier.py` has affetto's own, in torch).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from affetto import audio
from affetto.errors import UserError, unknown
from affetto.inference.windows import cover
from affetto.models.prefix import Source
from affetto.training.temperature import calibrated

BATCH = 16
LONG_CLIPS = ("windows", "cropped")
"""What becomes of a clip that is longer than the model's window: all of it is heard, in windows whose probabilities
are averaged; or its beginning alone, which is what training and its tests hear (paper, IV-B)."""
HOP = 0.5
"""From one window to the next, as a share of the window."""
LONGEST_WINDOW_SECONDS = 30.0
"""Of a model that was trained on whole clips: attention grows with the square of a window."""
ONLY_STATISTICS = (
    "calibration to a speaker is for models with head=statistics that affetto trained (the recommended recipe's), not "
    "for other heads, ONNX files or transformers' own classes: use the run's folder, or leave it out"
)


@dataclass(frozen=True)
class Prediction:
    """What the model makes of one recording. `probabilities` has every label of the model, in its order."""

    file: str
    emotion: str | None
    """The most probable label; None where the model abstains."""
    probabilities: dict[str, float]
    seconds: float
    """How long the recording is."""
    seconds_heard: float
    """How much of it the model took in."""
    windows: int = 1
    """Over how many windows the probabilities are averaged."""

    @property
    def abstained(self) -> bool:
        return self.emotion is None

    @property
    def cropped(self) -> bool:
        return self.seconds_heard < self.seconds


class Predictor(ABC):
    """`predictor("clip.wav")` → Prediction. Made by `load`.

    `labels` are the model's emotions, `card` is what its affetto.json says, `window_seconds` the longest stretch that
    it takes at once. `abstain_below`: no emotion is named where the highest probability is lower.
    """

    abstain_below = 0.0
    speaker_clips = 0
    """By how many clips of one speaker `for_speaker` adjusted this model; 0: by none."""

    def __init__(
        self,
        labels: Sequence[str],
        card: dict[str, Any],
        *,
        longest_seconds: float | None = None,
        long_clips: str = "windows",
    ) -> None:
        """`longest_seconds`: the longest clip that the backbone can take, whatever the model was trained on."""
        if long_clips not in LONG_CLIPS:
            raise unknown("treatment of long clips", long_clips, LONG_CLIPS)
        self.labels, self.card, self.long_clips = tuple(labels), card, long_clips
        self.temperature = temperature_of(card)
        trained_on: float | None = card["audio"]["seconds"]
        limits = [limit for limit in (trained_on, longest_seconds) if limit is not None]
        self.window_seconds: float | None = min(limits, default=None)
        if long_clips == "windows" and self.window_seconds is None:
            self.window_seconds = LONGEST_WINDOW_SECONDS

    @property
    def protocol(self) -> str | None:
        """Under what other protocol than the model's scores it answers: with what it was shown of the speaker.

        Outputs carry it as it is: `speaker-calibrated (10 clips)`. None: under the model's own.
        """
        clips = self.speaker_clips
        return f"speaker-calibrated ({clips} clip{'' if clips == 1 else 's'})" if clips else None

    @abstractmethod
    def window_probabilities(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        """Waves (samples,) of at most a window, float32 at 16 kHz → probabilities (waves, labels), float64.

        A wave's do not depend on what is beside it. They are as the model gives them, not calibrated.
        """

    def calibrated(self, probabilities: np.ndarray) -> np.ndarray:
        """(…, labels) → the same by the model's temperature, which comes after the mean over windows: so it changes
        no label."""
        return calibrated(probabilities, self.temperature)

    def named(self, row: np.ndarray) -> tuple[str | None, dict[str, float]]:
        """Mean probabilities (labels,) → the emotion, None below `abstain_below`, and every label's, calibrated."""
        row = self.calibrated(row)
        best = int(row.argmax())
        emotion = self.labels[best] if row[best] >= self.abstain_below else None
        return emotion, {label: float(p) for label, p in zip(self.labels, row, strict=True)}

    def for_speaker(self, recordings: Sequence[str | Path | np.ndarray]) -> Predictor:
        """This model adjusted to one speaker by unlabelled clips of theirs (files, or samples at 16 kHz).

        A new predictor on the same weights; this one stays as it is. `speaker.py` says what is adjusted. Its scores are
        of another protocol than the model's, and no temperature was fitted for it. Raises UserError for a model that
        has nothing to adjust, for no clips, and for clips that cannot be used.
        """
        raise UserError(ONLY_STATISTICS)

    # Recordings ----------------------------------------------------------------------------------

    def __call__(self, recording: str | Path | np.ndarray, rate_hz: int = audio.RATE_HZ) -> Prediction:
        """Classify one file, or samples (samples,) or (samples, channels) at `rate_hz`.

        Raises AudioError (a UserError) for a recording that cannot be used.
        """
        (result,) = self._run([self._samples(recording, rate_hz)])
        if isinstance(result, audio.AudioError):
            raise result
        return result

    def classify(self, recordings: Sequence[str | Path | np.ndarray]) -> list[Prediction]:
        """Classify several recordings (files, or samples at 16 kHz), in their order.

        Raises AudioError for the first that cannot be used; `stream` goes on behind it.
        """
        results = []
        for result in self._run(self._samples(recording, audio.RATE_HZ) for recording in recordings):
            if isinstance(result, audio.AudioError):
                raise result
            results.append(result)
        return results

    def stream(self, files: Iterable[str | Path]) -> Iterator[Prediction | audio.AudioError]:
        """Classify many files, in order; what cannot be used comes as the error that tells why."""
        return self.stream_sources(Source(Path(file)) for file in files)

    def stream_sources(self, sources: Iterable[Source]) -> Iterator[Prediction | audio.AudioError]:
        """As `stream`, of files or sections of files."""
        return self._run((str(source.path), audio.stream(source.path, source.start, source.end)) for source in sources)

    def _samples(self, recording: str | Path | np.ndarray, rate_hz: int) -> tuple[str, Iterable[np.ndarray]]:
        if isinstance(recording, np.ndarray):
            return "<samples>", [audio.to_mono_16k(recording, rate_hz, name="<samples>")]
        return str(recording), audio.stream(recording)

    # Windows -------------------------------------------------------------------------------------

    def _run(self, recordings: Iterable[tuple[str, Iterable[np.ndarray]]]) -> Iterator[Prediction | audio.AudioError]:
        return (self._result(clip) for clip in self._heard(recordings, self.window_probabilities))

    def _heard(
        self,
        recordings: Iterable[tuple[str, Iterable[np.ndarray]]],
        rows: Callable[[Sequence[np.ndarray]], np.ndarray],
    ) -> Iterator[_Heard]:
        """Each recording's windows, in batches that may span several, made `rows` of; recordings in order."""
        queue: deque[_Heard] = deque()
        batch: list[tuple[_Heard, np.ndarray]] = []
        for name, blocks in recordings:
            clip = _Heard(name)
            queue.append(clip)
            try:
                for window in self._windows(clip, blocks):
                    batch.append((clip, window))
                    clip.waiting += 1
                    if len(batch) == BATCH:
                        _hear(batch, rows)
                        batch = []
                        yield from _finished(queue)
            except audio.AudioError as problem:
                clip.problem = problem
                batch = [item for item in batch if item[0] is not clip]
                clip.waiting = 0
            clip.closed = True
            yield from _finished(queue)
        _hear(batch, rows)
        yield from _finished(queue)

    def _windows(self, clip: _Heard, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """What the model is to hear of a recording; notes in `clip` how much that is."""

        def counted() -> Iterator[np.ndarray]:
            for block in blocks:
                clip.samples += len(block)
                yield block

        if self.long_clips == "cropped" or self.window_seconds is None:
            wave = audio.crop(audio.joined(counted()), self.window_seconds)
            clip.heard = len(wave)
            yield wave
            return
        window = round(self.window_seconds * audio.RATE_HZ)
        yield from cover(counted(), window, max(1, round(HOP * window)))
        clip.heard = clip.samples

    def _result(self, clip: _Heard) -> Prediction | audio.AudioError:
        if clip.problem is not None:
            return clip.problem
        emotion, probabilities = self.named(clip.mean)
        return Prediction(
            file=clip.name,
            emotion=emotion,
            probabilities=probabilities,
            seconds=clip.samples / audio.RATE_HZ,
            seconds_heard=clip.heard / audio.RATE_HZ,
            windows=clip.windows,
        )


@dataclass(eq=False)
class _Heard:
    """A recording on its way through the model."""

    name: str
    samples: int = 0
    heard: int = 0
    closed: bool = False
    """Whether all of its windows are known."""
    waiting: int = 0
    """Windows that the model has not heard yet."""
    windows: int = 0
    sum: np.ndarray = field(default_factory=lambda: np.zeros(()))
    problem: audio.AudioError | None = None

    @property
    def mean(self) -> np.ndarray:
        """Over its windows."""
        return self.sum / self.windows


def _hear(batch: Sequence[tuple[_Heard, np.ndarray]], rows: Callable[[Sequence[np.ndarray]], np.ndarray]) -> None:
    if batch:
        for (clip, _), row in zip(batch, rows([wave for _, wave in batch]), strict=True):
            clip.waiting -= 1
            clip.windows += 1
            clip.sum = clip.sum + row


def _finished(queue: deque[_Heard]) -> Iterator[_Heard]:
    while queue and queue[0].closed and not queue[0].waiting:
        yield queue.popleft()


def temperature_of(card: dict[str, Any]) -> float:
    """The temperature in a model's card; 1, which changes nothing, where it was saved without."""
    return float(card.get("confidence", {}).get("temperature", 1.0))
