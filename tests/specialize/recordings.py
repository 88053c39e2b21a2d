"""Small models and recordings: a letter is a tone, so that a model of a few thousand weights can learn to read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from affetto.backbones.families.family import Size
from affetto.specialize import objectives, parents
from affetto.specialize.objective import Objective
from affetto.specialize.spec import Settings, settings
from affetto.specialize.text import Vocabulary

RATE_HZ = 16_000
LETTER_SECONDS = 0.1
WORDS = ("mare", "luna", "neve", "ramo", "nume", "alea", "verme", "leva")
VOCABULARY = Vocabulary(" aelmnruvo")
TINY = Size(width=32, blocks=2, heads=2, feed_forward=64, channels=16, codes=8)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--from-scratch tiny`, of Whisper with a window of 3 s: seq2seq pads to it, and 30 s are long for a test."""
    monkeypatch.setitem(parents.SIZES, "tiny", TINY)
    own = parents.scratch

    def short(family: str, size: str) -> Any:
        made = own(family, size)
        window = {"max_source_positions": 150} if family == "whisper" and size == "tiny" else {}
        return replace(made, config=made.config | window)

    monkeypatch.setattr(parents, "scratch", short)


def said(text: str, speaker: int = 0) -> np.ndarray:
    """Letters as tones, each with a gap; speakers differ in pitch and loudness: float32 (samples,) at 16 kHz."""
    random = np.random.default_rng((speaker, len(text)))
    pieces = [np.zeros(800)]
    for letter in text:
        times = np.arange(round(LETTER_SECONDS * RATE_HZ)) / RATE_HZ
        hz = (300 + 190 * VOCABULARY.characters.index(letter)) * (1 + 0.02 * speaker)
        tone = np.sin(2 * np.pi * hz * times) * np.hanning(len(times)) * (0.2 + 0.05 * speaker)
        pieces += [tone if letter != " " else 0 * tone, np.zeros(320)]
    wave = np.concatenate([*pieces, np.zeros(1600)])
    return (wave + 0.002 * random.standard_normal(len(wave))).astype(np.float32)


def write_speech(folder: Path, speakers: int = 4, clips: int = 6, words: int = 2) -> Path:
    """A table of recordings: `folder/speech.csv`."""
    (folder / "audio").mkdir(parents=True)
    rows = ["file,sentence,speaker"]
    random = np.random.default_rng(0)
    for speaker in range(speakers):
        for number in range(clips):
            text = " ".join(random.choice(WORDS, words))
            file = f"audio/s{speaker}_{number}.wav"
            soundfile.write(folder / file, said(text, speaker), RATE_HZ)
            rows.append(f"{file},{text.capitalize()}.,s{speaker}")
    (folder / "speech.csv").write_text("\n".join(rows) + "\n")
    return folder / "speech.csv"


def make(family: str, objective: str, method: str = "full", **chosen: Any) -> Objective:
    """An objective over a tiny model from nothing."""
    values = {name: str(value) if not isinstance(value, str) else value for name, value in chosen.items()}
    values = {name: {"True": "true", "False": "false"}.get(value, value) for name, value in values.items()}
    resolved: Settings = settings(objective, method, "tiny", values)
    parent = parents.load_parent(family, "tiny", objective, 0)
    torch.manual_seed(0)
    vocabulary = VOCABULARY if objectives.over_characters(objective, resolved) else None
    return objectives.make(objective, parent, resolved, method, vocabulary, "it")


def generator(number: int = 0) -> np.random.Generator:
    return np.random.default_rng(number)
