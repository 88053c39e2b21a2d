"""Models, recordings and offline predictions of the load test (`load.py`)."""

from __future__ import annotations

import io
import itertools
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

METHODS: dict[str, dict[str, Any]] = {"lora": {"alpha": 8.0, "targets": "all"}, "frozen": {}, "adapter": {"scale": 1.0}}
"""Methods of the small models, with their settings."""
VERSIONS = 2
"""Models that take turns under a name."""
RATE_HZ = 16_000
SEGMENT_GAP_SECONDS = 1e-3
"""Largest difference of a segment's times."""


@dataclass(frozen=True)
class Clip:
    """Recording as a file."""

    name: str
    content: bytes
    media_type: str


@dataclass(frozen=True)
class Talk:
    """Recording as samples (samples,) of int16 at 16 kHz, for a stream."""

    name: str
    samples: np.ndarray

    @property
    def clip(self) -> Clip:
        """Same sound as a file."""
        return Clip(self.name, encode(self.samples, subtype="PCM_16"), "audio/wav")


def write_small_models(folder: Path) -> dict[str, list[str]]:
    """Write models with random weights on one backbone. Returns the folders' names by the name under which they serve.

    Folders of one name differ in their weights.
    """
    from affetto.backbones.checkpoints import load_backbone

    digest = load_backbone("whisper-mini", random_weights=True).weights_digest()
    versions: dict[str, list[str]] = {}
    for name, settings in METHODS.items():
        versions[name] = [f"{name}-{number}" for number in range(1, VERSIONS + 1)]
        for seed, version in enumerate(versions[name]):
            _write_model(folder / version, {"name": name, "first_block": 0, "settings": settings}, digest, seed)
    return versions


def _write_model(folder: Path, method: dict[str, Any], digest: str, seed: int) -> None:
    import torch

    from affetto.backbones.checkpoints import load_backbone
    from affetto.corpora.labels import EMOTIONS
    from affetto.models.saved import assemble, save_classifier

    torch.manual_seed(seed)
    blueprint = {
        "labels": list(EMOTIONS),
        "method": method,
        "pooling": {"kind": "mean", "layer": None, "state_norm": "none"},
        "head": {"name": "paper", "width": 32, "dropout": 0.0, "unmasked_mean": False},
    }
    classifier = assemble(load_backbone("whisper-mini", random_weights=True), blueprint).eval()
    with torch.no_grad():
        for parameter in classifier.trainable().values():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    card = {
        "blueprint": blueprint,
        "audio": {"seconds": 2.0},
        "precision": "float32",
        "backbone": {"name": "whisper-mini", "digest": digest, "random_weights": True, "weights_seed": 0},
        "synthetic": True,
    }
    save_classifier(classifier, folder, card)


def copy_models(runs: Sequence[Path], folder: Path) -> dict[str, list[str]]:
    """Copy runs to where an admin may take models from. Under the name of each, it and the next run take turns."""
    for run in runs:
        shutil.copytree(run, folder / run.name)
    names = [run.name for run in runs]
    return {name: [name, names[(number + 1) % len(names)]] for number, name in enumerate(names)}


# Recordings ------------------------------------------------------------------------------------------


def make_talks(count: int, draw: np.random.Generator) -> list[Talk]:
    """Make recordings of two or three sentences with pauses between them, by espeak-ng (extra `demo`)."""
    from affetto.synthetic.sentences import EVERYDAY_SENTENCES

    talks = []
    for number in range(count):
        parts = [np.zeros(round(RATE_HZ * draw.uniform(0.1, 0.5)), np.float32)]
        for _ in range(draw.integers(2, 4)):
            sentence = EVERYDAY_SENTENCES[draw.integers(len(EVERYDAY_SENTENCES))]
            parts += [_speak(sentence, draw), np.zeros(round(RATE_HZ * draw.uniform(0.2, 1.2)), np.float32)]
        talks.append(Talk(f"talk {number}", (32_000 * np.concatenate(parts)).astype("<i2")))
    return talks


def make_clips(count: int, draw: np.random.Generator) -> list[Clip]:
    """Make recordings of a sentence in several formats, rates and numbers of channels."""
    import soxr

    from affetto.synthetic.sentences import EVERYDAY_SENTENCES

    formats = (
        ("WAV", "PCM_16", "audio/wav"),
        ("WAV", "FLOAT", "audio/x-wav"),
        ("FLAC", None, "audio/flac"),
        ("OGG", None, "application/ogg"),
        ("MP3", None, "audio/mpeg"),
    )
    clips = []
    for number in range(count):
        rate_hz = (16_000, 44_100, 48_000, 8_000)[number % 4]
        kind, subtype, media_type = formats[number % 5]
        wave = soxr.resample(_speak(EVERYDAY_SENTENCES[number % len(EVERYDAY_SENTENCES)], draw), RATE_HZ, rate_hz)
        channels = np.tile(wave[:, None], 1 + number % 2)
        content = encode(channels, rate_hz, format=kind, subtype=subtype)
        clips.append(Clip(f"clip {number}.{kind.lower()}", content, media_type))
    return clips


def _speak(sentence: str, draw: np.random.Generator) -> np.ndarray:
    """Speak a sentence: float32 (samples,) at 16 kHz."""
    import soxr

    from affetto.synthetic import voice

    variants = voice.FEMALE_VARIANTS + voice.MALE_VARIANTS
    wave = voice.synthesise(
        variants[draw.integers(len(variants))],
        [voice.Word(word, pitch=draw.uniform(30, 70)) for word in sentence.split()],
        rate_wpm=draw.uniform(150, 260),
        pitch_range=50,
        seed=int(draw.integers(1000)),
    )
    return soxr.resample(wave, voice.RATE_HZ, RATE_HZ)


def encode(wave: np.ndarray, rate_hz: int = RATE_HZ, **options: Any) -> bytes:
    """Encode samples as a file, by default a WAV of float32."""
    file = io.BytesIO()
    soundfile.write(file, wave, rate_hz, **{"format": "WAV", "subtype": "FLOAT"} | options)
    return file.getvalue()


# Offline predictions ---------------------------------------------------------------------------------


@dataclass
class Offline:
    """Predictions without a server, of each model of `folder` for each recording."""

    folder: Path
    probabilities: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    """Probabilities by a model's and a recording's name."""
    segments: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    """Segments of the timeline, likewise."""

    def compute(self, versions: Mapping[str, Sequence[str]], recordings: Sequence[Clip | Talk]) -> None:
        """Fill both."""
        from affetto import audio, load
        from affetto.inference.timeline import Timeline

        waves = {}
        for recording in recordings:
            clip = recording.clip if isinstance(recording, Talk) else recording
            waves[recording.name] = audio.decode(clip.content, name=clip.name, longest_seconds=60)
        for version in sorted({version for group in versions.values() for version in group}):
            predictor = load(self.folder / version, device="cpu")
            for name, wave in waves.items():
                self.probabilities[version, name] = predictor(wave).probabilities
                self.segments[version, name] = [segment.to_json() for segment in Timeline(predictor)(wave)]

    def compute_beginning(self, version: str, samples: np.ndarray) -> list[dict[str, Any]]:
        """Segments of samples (samples,) of int16."""
        from affetto import load
        from affetto.inference.timeline import Timeline

        predictor = load(self.folder / version, device="cpu")
        return [segment.to_json() for segment in Timeline(predictor)(samples.astype(np.float32) / 32768)]

    def smallest_gap(self, versions: Mapping[str, Sequence[str]]) -> float:
        """Smallest difference between two models of one name, over all recordings: what tells them apart."""
        recordings = {recording for _, recording in self.probabilities}
        return min(
            probability_gap(self.probabilities[first, name], self.probabilities[second, name])
            for group in versions.values()
            for first, second in itertools.combinations(group, 2)
            for name in recordings
        )


def probability_gap(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Largest difference between the probabilities of two answers; infinite for other labels."""
    if first.keys() != second.keys() or not first:
        return float("inf")
    return max(abs(first[label] - second[label]) for label in first)


def segment_gap(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> float:
    """Largest difference between the probabilities of two timelines; infinite for other segments."""
    if len(first) != len(second):
        return float("inf")
    gaps = [0.0]
    for segment, counterpart in zip(first, second, strict=True):
        is_close = all(abs(segment[time] - counterpart[time]) <= SEGMENT_GAP_SECONDS for time in ("start", "end"))
        is_close = is_close and segment["emotion"] == counterpart["emotion"]
        gaps.append(
            probability_gap(segment["probabilities"], counterpart["probabilities"]) if is_close else float("inf")
        )
    return max(gaps)
