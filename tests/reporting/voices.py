"""Systems made of hand-written or drawn predictions, for the tests of statistics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affetto.reporting.stats.systems import Predictions, System

LABELS = ("anger", "joy", "sadness")


def rows(
    truth: Sequence[int], predicted: Sequence[int], speakers: Sequence[str], labels: Sequence[str] = LABELS
) -> list[dict[str, Any]]:
    """Lines of a predictions file; the predicted label has 0.9."""
    rest = 0.1 / (len(labels) - 1)
    return [
        {
            "file": f"{n:04d}.wav",
            "speaker": speaker,
            "truth": labels[true],
            "probabilities": {label: 0.9 if k == called else rest for k, label in enumerate(labels)},
        }
        for n, (true, called, speaker) in enumerate(zip(truth, predicted, speakers, strict=True))
    ]


def system(
    truth: Sequence[int],
    by_seed: Mapping[int, Sequence[int]],
    speakers: Sequence[str],
    name: str = "lora",
    corpus: str = "emovo",
    labels: Sequence[str] = LABELS,
) -> System:
    return System(
        name, corpus, {s: Predictions.from_rows(rows(truth, called, speakers, labels)) for s, called in by_seed.items()}
    )


def told(lines: Sequence[dict[str, Any]], **facts: Sequence[Any]) -> list[dict[str, Any]]:
    """The lines with further facts, one value a line; None is left out."""
    return [
        line | {name: values[n] for name, values in facts.items() if values[n] is not None}
        for n, line in enumerate(lines)
    ]


def drawn(
    speakers: int,
    accuracy: float,
    seed: int,
    *,
    clips: int = 12,
    seeds: int = 1,
    name: str = "lora",
    corpus: str = "emovo",
    spread: float = 0.15,
) -> System:
    """A system that is right as often as said, more or less so by speaker; truths depend on the sizes alone."""
    truth = np.random.default_rng(0).integers(0, 3, speakers * clips)
    generator = np.random.default_rng(seed)
    ease = np.clip(accuracy + spread * generator.standard_normal(speakers), 0, 1).repeat(clips)
    by_seed = {}
    for number in range(seeds):
        wrong = generator.random(len(truth)) > ease
        by_seed[number] = np.where(wrong, (truth + generator.integers(1, 3, len(truth))) % 3, truth).tolist()
    names = [f"s{n:02d}" for n in range(speakers) for _ in range(clips)]
    return system(truth.tolist(), by_seed, names, name, corpus)
