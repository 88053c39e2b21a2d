"""Novelty of sounds that a model should not judge, beside clips of speakers whom it does not know.

    python benchmarks/novelty.py RUN CORPUS [--other NAME=FOLDER …] [--clips 200] [--out FILE.md]

RUN was trained on CORPUS, a folder of EMOVO, by `affetto train --split loso --method frozen` with the final model.
OTHER are corpora of other languages by their names in affetto. Each sound is judged by the model of each fold, whose
held-out clips are those of one speaker. AUROC: share of the pairs of a sound and a held-out clip in which the sound is
the stranger. Refused: by the limit that a final model of the other speakers has; what is refused of the held-out clips
is refused wrongly. Intervals are over the held-out speakers.

Sounds of 4 s are synthesised here from a fixed seed: white and pink noise, babble (eight clips of the corpus at once),
music (chords, bass and drums), silence with a faint hiss. The share with less than half a second of speech is that of
silero-vad (`--require-speech 0.5`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from affetto import audio
from affetto.audio.channels import with_noise
from affetto.corpora.registry import open_corpus
from affetto.inference import speech
from affetto.measures.intervals import jackknife
from affetto.models.classifier import Classifier
from affetto.models.novelty import Novelty
from affetto.models.prefix import PrefixStore, Source
from affetto.models.saved import load_classifier
from affetto.training.build import store_of

RATE_HZ, SECONDS, COUNT, NOISY = audio.RATE_HZ, 4.0, 20, 120
"""Sampling rate, length of a synthesised sound, and synthesised sounds of a kind, and noisy clips at most."""
SHARES = (0.95, 0.99)
LEAST_SPEECH_SECONDS = 0.5
TALKERS = 8
Waves = list[np.ndarray]


@dataclass(frozen=True)
class Judge:
    """A model, and its statistics of its training clips, with the distances of those that were held out."""

    classifier: Classifier
    novelty: Novelty
    limits: dict[float, float] = field(default_factory=dict)
    """Distance at which this share of the clips of the fold's training speakers lie nearer."""

    def features(self, states: torch.Tensor) -> np.ndarray:
        """Features (clips, features) of all states (clips, states, 2 width)."""
        return self.classifier.pooling.statistics_of(states).double().numpy()


@dataclass(frozen=True)
class Sounds:
    """Sounds of a kind."""

    name: str
    waves: Waves
    """(samples,) each, 16 kHz, as long as the models take."""
    states: torch.Tensor
    """Mean and deviation over time of all states, (sounds, states, 2 width)."""
    speakers: tuple[str, ...] = ()
    """Speakers of clips of the models' corpus."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path)
    options.add_argument("corpus", type=Path)
    options.add_argument("--other", action="append", default=[], metavar="NAME=FOLDER")
    options.add_argument("--clips", type=int, default=200, help="clips of each other corpus")
    options.add_argument("--out", type=Path, help="Markdown file of the table; default: standard output")
    arguments = options.parse_args()
    maker = Maker(arguments.run / "model")
    manifest = open_corpus("emovo", arguments.corpus)
    clips = maker.stored("emovo", [manifest.path(clip) for clip in manifest.clips])
    speakers, classes = ([getattr(clip, name) for clip in manifest.clips] for name in ("speaker", "emotion"))
    models = {}
    for fold in sorted((arguments.run / "folds").iterdir()):
        judge = load_judge(fold / "model")
        limits = limits_without(fold.name, judge.features(clips.states), np.array(speakers), np.array(classes))
        models[fold.name] = replace(judge, limits=limits)
    final = load_judge(arguments.run / "model")
    rows = [head(), held_out_row(models)]
    for sounds in maker.kinds(arguments.corpus, arguments.other, arguments.clips):
        rows.append(sound_row(sounds, models, final))
        print(rows[-1], flush=True)
    text = "\n".join(rows) + "\n"
    if arguments.out is None:
        print(text, end="")
    else:
        arguments.out.write_text(text, encoding="utf-8")


def load_judge(folder: Path) -> Judge:
    """The judge of a model's folder."""
    novelty = Novelty.load(folder)
    assert novelty is not None, f"{folder} has no statistics of its training clips"
    return Judge(load_classifier(folder)[0], novelty)


# -- sounds ---------------------------------------------------------------------------------------------------------


class Maker:
    """Maker of sounds, and of the statistics of their states by the frozen backbone that all models of a run share."""

    def __init__(self, model: Path) -> None:
        classifier, card = load_classifier(model)
        assert classifier.stores_statistics, "the run's backbone is not frozen, or its head has no statistics"
        self.classifier = classifier.compute_in(card["precision"])
        self.seconds: float | None = card["audio"]["seconds"]
        digest, device = card["backbone"]["digest"], torch.device("cpu")
        self.store: PrefixStore = store_of(self.classifier, digest, self.seconds, "float16", device)

    def kinds(self, corpus: Path, others: Sequence[str], clips: int) -> Iterator[Sounds]:
        """Each kind of sound; of a corpus at most this number of clips."""
        files, speakers = corpus_files("emovo", corpus)
        random = np.random.default_rng(0)
        makers = {"white noise": white, "pink noise": pink, "music": music, "silence with a hiss": hiss}
        for name, make in makers.items():
            yield self.computed(name, [make(random) for _ in range(COUNT)])
        yield self.computed(f"babble of {TALKERS} clips", [babble(random, files) for _ in range(COUNT)])
        drawn = evenly(len(files), min(clips, NOISY))
        waves = [audio.load(files[number]) for number in drawn]
        noisy = [with_noise(wave, random.standard_normal(len(wave)), 0.0) for wave in waves]
        yield self.computed("the corpus with white noise, 0 dB", noisy, [speakers[number] for number in drawn])
        for other in others:
            name, folder = other.split("=", 1)
            files, speakers = corpus_files(name, Path(folder))
            yield self.stored(name, [files[number] for number in evenly(len(files), clips)])

    def computed(self, name: str, waves: Waves, speakers: Sequence[str] = ()) -> Sounds:
        """Sounds by waves (samples,)."""
        waves = [audio.crop(wave, self.seconds) for wave in waves]
        states = torch.stack([self.classifier.prefix(wave)["statistics"] for wave in waves])
        return Sounds(name, waves, states, tuple(speakers))

    def stored(self, name: str, files: Sequence[Path]) -> Sounds:
        """Clips of a corpus, whose statistics may be stored already, as those of a run are."""
        waves, states = [], []
        for file in files:
            source = Source(file)
            waves.append(source.load(self.seconds))
            key = source.digest()
            prefix = self.store.get(key) or self.store.put(key, self.classifier.prefix(waves[-1]))
            states.append(prefix["statistics"].float())
        return Sounds(name, waves, torch.stack(states))


def corpus_files(name: str, folder: Path) -> tuple[list[Path], list[str]]:
    """Files and speakers of a corpus."""
    manifest = open_corpus(name, folder)
    return [manifest.path(clip) for clip in manifest.clips], [clip.speaker for clip in manifest.clips]


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, spread evenly."""
    return list(np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)))


def white(random: np.random.Generator) -> np.ndarray:
    return scaled(random.standard_normal(round(SECONDS * RATE_HZ)), 0.05)


def pink(random: np.random.Generator) -> np.ndarray:
    spectrum = np.fft.rfft(random.standard_normal(round(SECONDS * RATE_HZ)))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    return scaled(np.fft.irfft(spectrum), 0.05)


def hiss(random: np.random.Generator) -> np.ndarray:
    return scaled(random.standard_normal(round(SECONDS * RATE_HZ)), 1e-4)


def babble(random: np.random.Generator, files: Sequence[Path]) -> np.ndarray:
    total = np.zeros(round(SECONDS * RATE_HZ))
    for number in random.choice(len(files), TALKERS, replace=False):
        total += scaled(np.resize(audio.load(files[number]), len(total)), 0.05)
    return scaled(total, 0.05)


def music(random: np.random.Generator) -> np.ndarray:
    """Four chords of decaying harmonic tones over a bass, with a drum on each beat and a hat between."""
    total = np.zeros(round(SECONDS * RATE_HZ))
    beat = 60 / random.uniform(80, 150)
    key, minor = 110 * 2 ** (random.integers(12) / 12), bool(random.integers(2))
    for number, start in enumerate(np.arange(0, SECONDS, beat)):
        degree = (0, 9, 5, 7)[number // 2 % 4]
        steps = (-12, 0, 3 if minor else 4, 7, 12)
        for step in steps:
            add(total, start, tone(key * 2 ** ((degree + step) / 12), 1.5 * beat, random))
        add(total, start, 2 * drum(random, 0.15, falling=True))
        add(total, start + beat / 2, 0.5 * drum(random, 0.05, falling=False))
    return scaled(total, 0.05)


def tone(hz: float, seconds: float, random: np.random.Generator) -> np.ndarray:
    """Decaying tone of eight harmonics, (samples,)."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    harmonics = [
        np.sin(2 * np.pi * hz * n * times + random.uniform(0, 2 * np.pi)) / n for n in range(1, 9) if hz * n < 7500
    ]
    return np.sum(harmonics, axis=0) * np.exp(-2 * times / seconds)


def drum(random: np.random.Generator, seconds: float, *, falling: bool) -> np.ndarray:
    """Kick drum, a falling tone, or hat, a burst of noise: (samples,)."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    decay = np.exp(-5 * times / seconds)
    if falling:
        return np.sin(2 * np.pi * (50 * times - 4 * np.exp(-30 * times))) * decay
    return np.diff(random.standard_normal(len(times) + 1)) * decay


def add(total: np.ndarray, start: float, part: np.ndarray) -> None:
    first = round(start * RATE_HZ)
    length = max(0, min(len(part), len(total) - first))
    total[first : first + length] += part[:length]


def scaled(wave: np.ndarray, level: float) -> np.ndarray:
    """Wave with this root mean square, float32."""
    return (level * wave / (np.sqrt((wave**2).mean()) + 1e-12)).astype(np.float32)


# -- measures -------------------------------------------------------------------------------------------------------


def distances_of(judge: Judge, sounds: Sounds) -> np.ndarray:
    """Distances (sounds,) from the judge's training clips."""
    return judge.novelty.distances(judge.features(sounds.states))


def speechless(waves: Waves) -> float:
    """Share of waves with less speech than LEAST_SPEECH_SECONDS."""
    make, few = speech.detectors(), []
    for wave in waves:
        probabilities: list[float] = []
        for _ in speech.measured([wave], make(), probabilities):
            pass
        few.append(speech.seconds_of(probabilities) < LEAST_SPEECH_SECONDS)
    return float(np.mean(few))


def limits_without(
    speaker: str, features: np.ndarray, speakers: np.ndarray, emotions: np.ndarray
) -> dict[float, float]:
    """Distance from which on a model refuses that does not know a speaker, for each of SHARES.

    As the limits of a final model are made: each of the other speakers' clips (clips, features) is measured by
    statistics of all clips but that speaker's own, at the model's state.
    """
    classes = np.unique(emotions, return_inverse=True)[1]
    distances = []
    for neighbour in np.unique(speakers[speakers != speaker]):
        rest = speakers != neighbour
        novelty = Novelty.fit(features[rest], classes[rest])
        assert novelty is not None
        distances.append(novelty.distances(features[~rest]))
    return {share: float(np.quantile(np.concatenate(distances), share)) for share in SHARES}


def auroc(strange: np.ndarray, familiar: np.ndarray) -> float:
    """Share of pairs in which the strange distance is the larger; equal ones count as half."""
    ordered = np.sort(familiar)
    below = np.searchsorted(ordered, strange, "left") + np.searchsorted(ordered, strange, "right")
    return float(below.mean() / (2 * len(ordered)))


def over_folds(values: Sequence[float]) -> str:
    """Mean over folds with its interval, in %."""
    parts = np.array(values)
    without = (parts.sum() - parts) / (len(parts) - 1)
    low, high = jackknife(float(parts.mean()), without, np.ones(len(parts), np.int64)).interval(least=0.0, most=1.0)
    return f"{100 * parts.mean():.1f} ({100 * low:.0f}–{100 * high:.0f})"


def head() -> str:
    refused = " | ".join(f"refused at {share:g} | final model at {share:g}" for share in SHARES)
    heads = f"| sound | clips | AUROC (95 %) | {refused} | no speech |"
    return f"{heads}\n| --- | ---: | ---: |{' ---: |' * (2 * len(SHARES) + 1)}"


def held_out_row(models: dict[str, Judge]) -> str:
    """Row of the clips of held-out speakers."""
    clips = sum(len(model.novelty.held_out) for model in models.values())
    cells = []
    for share in SHARES:
        refused = [float((model.novelty.held_out > model.limits[share]).mean()) for model in models.values()]
        cells += [over_folds(refused) + f", most {100 * max(refused):.0f}", "–"]
    return f"| held-out speakers of the corpus | {clips} | – | {' | '.join(cells)} | – |"


def sound_row(sounds: Sounds, models: dict[str, Judge], final: Judge) -> str:
    """Row of a kind of sound. Clips of the models' corpus are judged by the fold that held their speaker out."""
    distances = {fold: distances_of(judge, sounds) for fold, judge in models.items()}
    if sounds.speakers:
        owner = np.array(sounds.speakers)
        distances = {fold: values[owner == fold] for fold, values in distances.items()}
    by_final = [final.novelty.of(distance) for distance in distances_of(final, sounds)]
    cells = [over_folds([auroc(values, models[fold].novelty.held_out) for fold, values in distances.items()])]
    for share in SHARES:
        refused = [float((values > models[fold].limits[share]).mean()) for fold, values in distances.items()]
        shown = "–" if sounds.speakers else f"{100 * np.mean(np.array(by_final) >= share):.0f}"
        cells += [over_folds(refused), shown]
    gate = f"{100 * speechless(sounds.waves):.0f}"
    return f"| {sounds.name} | {len(sounds.waves)} | {' | '.join(cells)} | {gate} |"


if __name__ == "__main__":
    main()
