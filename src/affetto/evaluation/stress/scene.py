"""Sound of the tested corpus: waves that are decoded once, and each clip's draws and surroundings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from affetto import audio
from affetto.corpora.manifest import Clip
from affetto.evaluation.seen import person
from affetto.evaluation.stress.perturbation import Perturbation
from affetto.evaluation.testing import TestClips
from affetto.training.noise import Noise

IN_MEMORY_BYTES = 2**29
"""Decoded waves up to this size in all are kept; more are decoded again for each level."""
TALKERS = 5
"""Clips of other speakers that make babble, each as loud as the others."""
HEARD = 1.5
"""Length of a wave that is kept, in windows of the model: what is behind them is heard under no perturbation."""


@dataclass(eq=False)
class CorpusScene:
    """The corpus around the tested clips; any thread may ask it."""

    clips: TestClips
    noise: Noise | None = None
    window_seconds: float | None = None
    """Longest stretch that the model hears of a clip; None: all of it."""
    _waves: dict[str, np.ndarray] = field(default_factory=dict)
    _bytes: int = 0

    def __post_init__(self) -> None:
        usable = [clip for clip in self.clips.manifest.clips if clip.id not in self.clips.bad]
        self._of_person: dict[tuple[str, str], list[str]] = {}
        for clip in usable:
            self._of_person.setdefault(person(clip.corpus, clip.speaker), []).append(clip.id)

    @property
    def speakers(self) -> int:
        return len(self._of_person)

    def wave(self, clip_id: str) -> np.ndarray:
        """The beginning of a clip that models hear, (samples,) at 16 kHz. Raises AudioError for an unusable clip."""
        wave = self._waves.get(clip_id)
        if wave is None:
            seconds = None if self.window_seconds is None else HEARD * self.window_seconds
            wave = self.clips.sources[clip_id].load(seconds)
            if self._bytes + wave.nbytes <= IN_MEMORY_BYTES:
                self._waves[clip_id] = wave
                self._bytes += wave.nbytes
        return wave

    def perturbed(self, clip: Clip, perturbation: Perturbation, level: float) -> np.ndarray:
        """The clip's wave under a perturbation; the draws are the same at all levels. Raises AudioError."""
        around = ClipSurroundings(scene=self, clip=clip, random=self._random(clip, perturbation.name))
        return perturbation.apply(self.wave(clip.id), level, around)

    def talkers(self, clip: Clip) -> list[str]:
        """Ids of the clips of all other speakers, sorted."""
        speaker = person(clip.corpus, clip.speaker)
        return sorted(clip_id for talker, ids in self._of_person.items() if talker != speaker for clip_id in ids)

    def _random(self, clip: Clip, name: str) -> np.random.Generator:
        """The generator of a clip's draws: it follows from the clip's content and the perturbation's name alone."""
        seed = hashlib.sha256(f"{self.clips.digests[clip.id]} {name}".encode()).digest()[:8]
        return np.random.default_rng(int.from_bytes(seed, "big"))


@dataclass(frozen=True, kw_only=True)
class ClipSurroundings:
    """Sources of one clip's perturbation."""

    scene: CorpusScene
    clip: Clip
    random: np.random.Generator

    @property
    def noise(self) -> Noise | None:
        return self.scene.noise

    def babble(self, length: int) -> np.ndarray:
        """Talk of other speakers at once, (length,) float32: TALKERS drawn clips, repeated from a drawn sample on."""
        clips = self.scene.talkers(self.clip)
        mixture = np.zeros(length, np.float32)
        count = 0
        for number in self.random.permutation(len(clips)):
            try:
                wave = self.scene.wave(clips[number])
            except audio.AudioError:  # it is named where its own turn comes
                continue
            power = float(np.mean(wave.astype(np.float64) ** 2))
            if power > 0:
                start = int(self.random.integers(len(wave)))
                mixture += np.resize(np.roll(wave, -start), length) / np.float32(np.sqrt(power))
                count += 1
            if count == TALKERS:
                break
        return mixture
