"""Detection of speech in a recording: silero-vad (MIT licence) and rules on its probabilities.

The package's TorchScript model runs on torch alone. It gives the probability of speech every 32 ms; the rules that make
stretches of it are those of its own `get_speech_timestamps` (a lower threshold to leave speech than to enter it, a
least length of speech and of pauses, some padding), in a form that needs no more than the recent past.
"""

from __future__ import annotations

import math
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from affetto.audio import RATE_HZ
from affetto.errors import UserError

FRAME = 512
"""Samples at 16 kHz in a frame of silero-vad."""
Detector = Callable[[np.ndarray], float]
"""Function of a frame (512,) to its probability of speech; remembers the frames before it."""
_IDLE: deque[Callable[[], Detector]] = deque(maxlen=16)
"""Makers of detectors, each with a model of its own that no recording has at present."""


def check_installed(purpose: str = "for a timeline") -> None:
    """Raise a UserError where there is no silero-vad."""
    if find_spec("silero_vad") is None:
        raise UserError(f"affetto needs silero-vad {purpose}: pip install 'affetto[timeline]'")


def silero() -> Detector:
    """Make a detector for one recording.

    Its model was that of an earlier recording where one is idle: to load a model and let TorchScript prepare it costs
    as much as ten seconds of sound.
    """
    try:
        make = _IDLE.pop()
    except IndexError:
        make = detectors()
    return _Borrowed(make)


class _Borrowed:
    """Detector whose model is idle again once nobody holds the detector."""

    def __init__(self, make: Callable[[], Detector]) -> None:
        self._detect = make()
        weakref.finalize(self, _IDLE.append, make).atexit = False

    def __call__(self, frame: np.ndarray) -> float:
        return self._detect(frame)


def detectors() -> Callable[[], Detector]:
    """Make a maker of detectors, for recordings one after another. They run on one thread, whatever torch has.

    A frame is a fraction of a millisecond's work: threads that wait for each other cost more than they do, on a machine
    that others use ten times and more.
    """
    import torch

    check_installed()
    threads = torch.get_num_threads()
    from silero_vad import load_silero_vad

    torch.set_num_threads(threads)  # which the package sets to one as it is imported
    model = load_silero_vad()

    def detect(frame: np.ndarray) -> float:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.no_grad():
                return float(model(torch.from_numpy(frame), RATE_HZ))
        finally:
            torch.set_num_threads(threads)

    def make() -> Detector:
        model.reset_states()
        return detect

    return make


LEAVING, LOWEST = 0.15, 0.01
"""Distance from the threshold where speech begins to that where it may end, and the lowest of the latter; both are
silero-vad's."""


@dataclass(frozen=True)
class Rules:
    """Rules for the begin and end of speech. Raises UserError for values that no speech would meet."""

    threshold: float = 0.5
    """Speech begins at this probability, and may end 0.15 below it (at 0.01, where that would be lower)."""
    pause_seconds: float = 0.5
    """Shorter pauses belong to the speech around them."""
    shortest_seconds: float = 0.25
    """Shorter sounds are no speech."""
    padding_seconds: float = 0.3
    """Before and behind a stretch of speech. Clips that models are trained on begin and end so: with 0.1, what is faint
    at its edges is cut off, and labels were worse (docs/results/timeline.md)."""

    def __post_init__(self) -> None:
        if not LOWEST < self.threshold <= 1:
            raise UserError(f"a threshold of speech of {self.threshold:g}: give one above {LOWEST:g}, at most 1")
        for name in ("pause_seconds", "shortest_seconds", "padding_seconds"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"{name} of {getattr(self, name):g} for speech: give 0 or more")

    @property
    def leaving(self) -> float:
        """Speech may end below this probability."""
        return max(self.threshold - LEAVING, LOWEST)


@dataclass(frozen=True)
class Piece:
    """A part of a stretch of speech, in the order of time: `start` is its first sample's place in the recording."""

    start: int
    wave: np.ndarray
    last: bool
    """True if the stretch ends with it."""


def stretches(blocks: Iterable[np.ndarray], detect: Detector, rules: Rules) -> Iterator[Piece]:
    """The speech in a wave that comes in blocks (samples,) at 16 kHz, piece by piece.

    A piece comes as soon as it is sure to be speech. Holds no more than the padding, a pause and the shortest speech.
    """
    pause, shortest, padding = (
        round(s * RATE_HZ) for s in (rules.pause_seconds, rules.shortest_seconds, rules.padding_seconds)
    )
    held, origin = np.zeros(0, np.float32), 0  # samples that are not decided upon, and where they begin
    begun: int | None = None  # where the speech that is going on was entered
    quiet: int | None = None  # where it may have ended
    sure = False  # whether it has been long enough
    for frame in frames(blocks):
        start = origin + len(held)
        likely = detect(frame if len(frame) == FRAME else np.pad(frame, (0, FRAME - len(frame))))
        held, end = np.concatenate([held, frame]), start + len(frame)
        if begun is None:
            if likely < rules.threshold:
                drop = max(0, len(held) - padding)
                held, origin = held[drop:], origin + drop
                continue
            begun, quiet, sure = start, None, False
        if likely >= rules.threshold:
            quiet = None
        elif likely < rules.leaving and quiet is None:
            quiet = start
        sure = sure or (quiet or end) - begun >= shortest
        if quiet is not None and end - quiet >= pause:
            cut = min(end, quiet + padding) - origin
            if sure:
                yield Piece(origin, held[:cut], last=True)
            held, origin, begun = held[cut:], origin + cut, None
            drop = max(0, len(held) - padding)
            held, origin = held[drop:], origin + drop
        elif sure and quiet is None:
            yield Piece(origin, held, last=False)
            held, origin = held[:0], end
    if begun is not None and sure:
        cut = len(held) if quiet is None else min(len(held), quiet + padding - origin)
        yield Piece(origin, held[:cut], last=True)


def frames(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Blocks of any lengths as frames (512,); the last may be shorter."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block]) if len(rest) else block
        for start in range(0, len(rest) - FRAME + 1, FRAME):
            yield rest[start : start + FRAME]
        rest = rest[len(rest) - len(rest) % FRAME :]
    if len(rest):
        yield rest


def measured(blocks: Iterable[np.ndarray], detect: Detector, speech: list[float]) -> Iterator[np.ndarray]:
    """Pass the blocks (samples,) of a recording on, and append the probability of speech of each frame to `speech`."""
    rest = np.zeros(0, np.float32)
    for block in blocks:
        rest = np.concatenate([rest, block]) if len(rest) else block
        end = len(rest) - len(rest) % FRAME
        speech += [detect(rest[start : start + FRAME]) for start in range(0, end, FRAME)]
        rest = rest[end:]
        yield block
    if len(rest):
        speech.append(detect(np.pad(rest, (0, FRAME - len(rest)))))


def seconds_of(speech: Sequence[float], rules: Rules | None = None) -> float:
    """Seconds of speech by the probability of each frame. By default by the rules of a timeline, without padding."""
    probabilities = iter(speech)
    frame = np.zeros(FRAME, np.float32)
    pieces = stretches((frame for _ in speech), lambda _: next(probabilities), rules or Rules(padding_seconds=0.0))
    return sum(len(piece.wave) for piece in pieces) / RATE_HZ
