"""A trained model as a function: recordings in, emotions with probabilities, or dimensions, out.

`Predictor` is what every kind of saved model becomes: it decodes, cuts into windows, averages, calibrates and
abstains. A kind of model adds one method, `window_probabilities` (`backends/trained.py` has the one of affetto's own
models, in torch).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affetto import audio
from affetto.errors import UserError, unknown
from affetto.inference import speech
from affetto.inference.decision import NO_SPEECH, NOVEL, Decision, decide
from affetto.inference.flow import Begin, Flow, Progress, Rows, at_once
from affetto.inference.prediction import Prediction as Prediction
from affetto.inference.read_ahead import Recording, read_ahead
from affetto.inference.speeds import averaged
from affetto.inference.windows import count, cover
from affetto.models.licences import licence_note
from affetto.models.novelty import Novelty
from affetto.models.prefix import Source
from affetto.targets.classes import Classes
from affetto.targets.label_sets import DEFAULT_KIND, LabelSets
from affetto.targets.registry import target_of
from affetto.targets.target import Scale, Target
from affetto.targets.temperature import calibrated

BATCH = 16
LONG_CLIPS = ("windows", "cropped")
"""Treatments of a clip that is longer than the model's window: windows over all of it, probabilities averaged; or its
beginning alone, as in training and its tests (paper, IV-B)."""
HOP = 0.5
"""Step from one window to the next, as a share of the window."""
LONGEST_WINDOW_SECONDS = 30.0
"""Window of a model that was trained on whole clips: attention grows with the square of a window."""
ONLY_STATISTICS = (
    "adaptation to a speaker is for models with head=statistics that affetto trained (the recommended recipe's), not "
    "for other heads, ONNX files or transformers' own classes: take such a run's folder, or leave it out"
)


class Predictor(ABC):
    """`predictor("clip.wav")` → Prediction. Made by `load`.

    `target` is what the model predicts, `labels` are its emotions (none where it predicts dimensions alone), `card` is
    what its affetto.json says, `window_seconds` the longest stretch that it takes at once. `abstain_below`: no emotion
    is named where the highest probability is lower.
    """

    abstain_below = 0.0
    novelty: Novelty | None = None
    """Statistics of the training clips, by which `watch` knows strange ones; None for a model without."""
    watches = False
    """True if rows of windows have the distance from the training clips behind the values."""
    refuse_novel = 1.0
    """Novelty from which on nothing is answered."""
    least_speech_seconds: float | None = None
    """Recordings with less speech get no answer (`require_speech`); None: their speech is not measured."""
    label_sets: LabelSets | None = None
    """Sets of labels that answers have beside the emotion (`cover`); None: none."""
    windows_at_once = BATCH
    """Number of windows that are handed to the model together."""
    batches_ahead = 0
    """Number of such batches that are begun before the results of an earlier one are taken."""
    decoders = 0
    """Threads that decode recordings ahead of the model; 0: each is decoded when its turn comes."""
    speaker_clips = 0
    """Number of clips of one speaker that `for_speaker` adapted this model by; 0: none."""
    speeds: tuple[float, ...] = ()
    """Speeds at which each window is played too, its answers averaged (`speeds.py`); none: the window alone."""
    files: tuple[Path, ...] = ()
    """Files that it was loaded from and that decide its answers (`identity.py`); none of another package's model."""

    def __init__(
        self,
        labels: Sequence[str],
        card: dict[str, Any],
        *,
        longest_seconds: float | None = None,
        long_clips: str = "windows",
        target: Target | None = None,
    ) -> None:
        """`target`: by default that of the card's blueprint; of a card without one, classes.

        `longest_seconds`: the longest clip that the backbone can take, whatever the model was trained on."""
        if long_clips not in LONG_CLIPS:
            raise unknown("treatment of long clips", long_clips, LONG_CLIPS)
        self.labels, self.card, self.long_clips = tuple(labels), card, long_clips
        self.target = target or _target_of(card, self.labels)
        # A temperature divides the logits of classes; other values have none.
        self.temperature = temperature_of(card) if self.target.has_classes else 1.0
        trained_on: float | None = card["audio"]["seconds"]
        limits = [limit for limit in (trained_on, longest_seconds) if limit is not None]
        self.window_seconds: float | None = min(limits, default=None)
        if long_clips == "windows" and self.window_seconds is None:
            self.window_seconds = LONGEST_WINDOW_SECONDS

    @property
    def protocol(self) -> str | None:
        """Protocol of its answers, where it differs from that of the model's scores; else None.

        Outputs carry it: `speaker-calibrated (10 clips)`, `averaged over speeds 1, 0.9`, or both.
        """
        clips, parts = self.speaker_clips, []
        if clips:
            parts.append(f"speaker-calibrated ({clips} clip{'' if clips == 1 else 's'})")
        if self.speeds:
            parts.append(f"averaged over speeds {', '.join(f'{speed:g}' for speed in (1, *self.speeds))}")
        return "; ".join(parts) or None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about the model and its answers that whoever reads them should know."""
        note = licence_note(self.card)
        return (note,) if note else ()

    @property
    def judged(self) -> tuple[str, ...]:
        """Names of the numbers by which recordings may be refused, as far as they are asked for."""
        measures_speech = self.least_speech_seconds is not None
        return ("novelty",) * self.watches + ("speech_seconds",) * measures_speech

    def begin(self, waves: Sequence[np.ndarray]) -> Rows:
        """Begin what `window_probabilities` computes → a function that waits for it.

        A device that takes its work from a queue computes meanwhile, and what is begun next waits in the queue.
        """
        return at_once(self.window_probabilities)(waves)

    @abstractmethod
    def window_probabilities(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        """Waves (samples,) of at most a window, float32 at 16 kHz → values (waves, outputs), float64.

        Values are probabilities of the labels, then dimensions (`Target.activate`). A wave's do not depend on what is
        beside it. They are as the model gives them, not calibrated.
        """

    def warm_up(self, clips: int) -> None:
        """Compute silence once, so that no first answer waits for what is loaded, compiled or captured only then.

        `clips`: the most windows that a batch will have. A device that captures shapes computes each of them.
        """
        self.window_probabilities([np.zeros(round(min(1.0, self.window_seconds or 1.0) * audio.RATE_HZ), np.float32)])

    def calibrated(self, values: np.ndarray) -> np.ndarray:
        """Apply the model's temperature to values (…, outputs). It comes after the mean over windows and changes no
        label. It acts on the probabilities of a single label alone: dimensions stay as they are."""
        count = len(self.labels)
        if not self.target.has_classes:
            return values
        if self.target.outputs == count:
            return calibrated(values, self.temperature)
        return np.concatenate([calibrated(values[..., :count], self.temperature), values[..., count:]], axis=-1)

    def decide(self, row: np.ndarray) -> Decision:
        """Decide by mean values (outputs,), which are calibrated first; no emotion below `abstain_below`."""
        row = row[: self.target.outputs]
        sets, probabilities = self.label_sets, row[: len(self.labels)]
        return decide(
            self.target,
            self.calibrated(row),
            self.card.get("confidence", {}),
            self.abstain_below,
            label_set=None if sets is None else sets.of_clip(probabilities),
        )

    def watch(self, refuse_novel: float = 1.0) -> None:
        """Let answers have `novelty`, and refuse recordings that are at least so novel; 1 refuses none.

        Raises UserError where the model has no statistics of its training clips, or of too few for such a share."""
        if self.novelty is None:
            raise UserError(
                "this model has no statistics of its training clips: it is a model of others or an export, the "
                "mean of several models, of an earlier version, of too few clips, or in int8, which moves its states; "
                "use the run's folder in another precision, train it again, or do not ask for novelty"
            )
        self.novelty.check_share(refuse_novel)
        self.watches, self.refuse_novel = True, refuse_novel

    def require_speech(self, seconds: float) -> None:
        """Let answers have `speech_seconds`, and refuse recordings with less speech than these; 0 refuses none.

        Raises UserError where silero-vad is not installed, and for no length of time."""
        if not 0 <= seconds < math.inf:
            raise UserError(f"{seconds:g} seconds of required speech: give 0 or more")
        speech.check_installed("to require speech")
        self.least_speech_seconds = seconds

    def cover(self, level: float, kind: str = DEFAULT_KIND) -> None:
        """Let answers have sets of labels that hold the true one of this share of clips (`targets/label_sets.py`).

        Raises UserError where the model has no limits of this kind and level."""
        self.label_sets = LabelSets.of(self.card.get("confidence", {}), self.labels, level, kind)

    def on_scales(self, scales: Mapping[str, Scale]) -> Predictor:
        """A predictor whose dimensions have these ranges, as a corpus states them. affetto's own models keep theirs."""
        return self

    @property
    def adapts(self) -> bool:
        """True if a speaker's clips move the head alone, so that there are the parts of `adaptation.Adaptable`."""
        return False

    def for_speaker(self, recordings: Sequence[str | Path | np.ndarray]) -> Predictor:
        """Adapt to one speaker by unlabelled clips of theirs (files, or samples at 16 kHz); see `speaker.py`.

        Returns a new predictor on the same weights. Its answers are of another protocol than the model's scores, and
        no temperature was fitted for it. Raises UserError for a model that cannot be adapted, for no clips, and for
        clips that cannot be used.
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
        in_memory = all(isinstance(recording, np.ndarray) for recording in recordings)
        samples = (self._samples(recording, audio.RATE_HZ) for recording in recordings)
        for result in self._run(read_ahead(samples, 0 if in_memory else self.decoders)):
            if isinstance(result, audio.AudioError):
                raise result
            results.append(result)
        return results

    def stream(self, files: Iterable[str | Path]) -> Iterator[Prediction | audio.AudioError]:
        """Classify many files, in order; a recording that cannot be used comes as its error."""
        return self.stream_sources(Source(Path(file)) for file in files)

    def stream_sources(self, sources: Iterable[Source]) -> Iterator[Prediction | audio.AudioError]:
        """As `stream`, of files or sections of files."""
        return self.stream_recordings(self._decoded(sources))

    def _decoded(self, sources: Iterable[Source]) -> Iterable[Recording]:
        """Blocks of files or sections of files, decoded ahead of their turn."""
        streams = ((str(source.path), audio.stream(source.path, source.start, source.end)) for source in sources)
        return read_ahead(streams, self.decoders)

    def stream_recordings(self, recordings: Iterable[Recording]) -> Iterator[Prediction | audio.AudioError]:
        """As `stream`, of names with blocks (samples,) at 16 kHz, which are taken when their turn comes."""
        return self._run(recordings)

    def _samples(self, recording: str | Path | np.ndarray, rate_hz: int) -> Recording:
        if isinstance(recording, np.ndarray):
            return "<samples>", [audio.to_mono_16k(recording, rate_hz, name="<samples>")]
        return str(recording), audio.stream(recording)

    # Windows -------------------------------------------------------------------------------------

    def _run(self, recordings: Iterable[Recording]) -> Iterator[Prediction | audio.AudioError]:
        begin = averaged(self.begin, self.speeds, self.window_seconds) if self.speeds else self.begin
        return (self._result(clip) for clip in self._run_windows(recordings, begin))

    def _run_windows(self, recordings: Iterable[Recording], begin: Begin) -> Iterator[Progress]:
        """Compute rows of all windows, in batches that may span recordings; yields recordings in order."""
        flow = Flow(begin, self.windows_at_once, self.batches_ahead)
        detectors = None if self.least_speech_seconds is None else speech.detectors()
        for name, blocks in recordings:
            clip = flow.open(name)
            if detectors is not None:
                blocks = speech.measured(blocks, detectors(), clip.speech)
            try:
                for window in self._windows(clip, blocks):
                    if flow.add(clip, window):
                        yield from flow.finished()
            except audio.AudioError as problem:
                flow.refuse(clip, problem)
            clip.closed = True
            yield from flow.finished()
        flow.end()
        yield from flow.finished()

    def _windows(self, clip: Progress, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Cut a recording into windows; counts its samples in `clip`."""

        def count_samples() -> Iterator[np.ndarray]:
            for block in blocks:
                clip.samples += len(block)
                yield block

        if self.long_clips == "cropped" or self.window_seconds is None:
            wave = audio.crop(audio.joined(count_samples()), self.window_seconds)
            clip.samples_used = len(wave)
            yield wave
            return
        window = round(self.window_seconds * audio.RATE_HZ)
        yield from cover(count_samples(), window, max(1, round(HOP * window)))
        clip.samples_used = clip.samples

    def _result(self, clip: Progress) -> Prediction | audio.AudioError:
        if clip.problem is not None:
            return clip.problem
        row, novelty = clip.mean, None
        if self.watches:
            assert self.novelty is not None
            novelty = self.novelty.of(row[self.target.outputs])
        decision, refused, seconds = self.decide(row), None, None
        if novelty is not None and novelty >= self.refuse_novel:
            refused = NOVEL
        if self.least_speech_seconds is not None:
            seconds = min(speech.seconds_of(clip.speech), clip.samples / audio.RATE_HZ)
            refused = NO_SPEECH if seconds < self.least_speech_seconds else refused
        if refused is not None:
            decision = decision.refused()
        return Prediction(
            **vars(decision),
            novelty=novelty,
            refused=refused,
            speech_seconds=seconds,
            file=clip.name,
            seconds=clip.samples / audio.RATE_HZ,
            seconds_heard=clip.samples_used / audio.RATE_HZ,
            windows=clip.windows,
        )


def _target_of(card: dict[str, Any], labels: tuple[str, ...]) -> Target:
    """The target of a model's card; classes where it says nothing of these labels."""
    blueprint = card.get("blueprint", {})
    target = target_of(blueprint) if "labels" in blueprint else Classes(labels)
    return target if target.labels == labels else Classes(labels)


def count_windows(predictor: Predictor, samples: int) -> int:
    """Number of windows that a predictor cuts a recording of so many samples into."""
    if predictor.long_clips == "cropped" or predictor.window_seconds is None:
        return 1
    window = round(predictor.window_seconds * audio.RATE_HZ)
    return count(samples, window, max(1, round(HOP * window)))


def temperature_of(card: dict[str, Any]) -> float:
    """Read the temperature in a model's card; 1, which changes nothing, where there is none."""
    return float(card.get("confidence", {}).get("temperature", 1.0))
