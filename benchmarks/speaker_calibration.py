"""How many unlabelled clips of a speaker calibration takes: a run that leaves one speaker out, each fold's model.

    python benchmarks/speaker_calibration.py RUN CORPUS [--draws 20] [--title TEXT] --out FILE.json --figure FILE.svg

RUN was trained by `--split loso --method frozen` on the corpus whose recordings lie in CORPUS. For each speaker the
model that never heard them is calibrated by random draws of 1, 3, 5, 10, 20 and all of their clips, whatever emotions
those are of, and tested on all their clips and on those not drawn (of "all", each clip by the others); and by
clips of one emotion alone, which is what not to do. The constant that the package holds is beside one that is chosen
inside each fold: probes trained on four of the other speakers, calibrated and tested on the fifth.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affetto import audio
from affetto.corpora.labels import EMOTIONS
from affetto.inference import speaker
from affetto.inference.backends.trained import ClassifierPredictor
from affetto.inference.loading import load
from affetto.measures.probability import expected_calibration_error
from affetto.models.head_layers import StatisticsHead
from affetto.reporting.render.canvas import BLUE, GREY, INK, VERMILLION, framed, legend, save, style
from affetto.targets.classes import Classes
from affetto.targets.temperature import calibrated
from affetto.training.selection import Probe

SIZES = (1, 3, 5, 10, 20)
DOUBTS = (1.0, 3.0, 5.0, 10.0, 20.0)
TITLE = "Calibration to a speaker: EMOVO, one speaker left out, Whisper tiny.en frozen"
WORDS = (
    "UAR of a model that never heard the speaker, its standardisation moved towards the speaker's by unlabelled clips "
    "drawn at random; mean over {speakers} speakers and {draws} draws. Band: draws, of the mean over speakers, 5th to "
    "95th percentile. Thin lines: one speaker each. Tested on the clips that were not drawn (all: each by the others). "
    "Another protocol than the model's own score, which is at 0 clips."
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path)
    options.add_argument("corpus", type=Path)
    options.add_argument("--draws", type=int, default=20)
    options.add_argument("--title", default=TITLE)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--figure", type=Path, required=True)
    chosen = options.parse_args()
    folds = sorted(path for path in (chosen.run / "folds").iterdir() if path.is_dir())
    rows = {fold.name: _lines(fold / "predictions.jsonl") for fold in folds}
    voices: dict[str, Voice] = {}
    heard: dict[str, np.ndarray] = {}
    for fold in folds:
        model = load(fold / "model", long_clips="cropped", precision="float32", device="cpu")
        assert isinstance(model, ClassifierPredictor) and isinstance(model.classifier.head, StatisticsHead)
        assert model.card["blueprint"]["method"]["name"] == "frozen", "folds share the statistics of a frozen backbone"
        layer = str(model.card["blueprint"]["pooling"])
        if layer not in heard:
            heard[layer] = _statistics(model, chosen.corpus, [row for one in rows.values() for row in one])
        voices[fold.name] = Voice(fold.name, rows, heard[layer], model)
    result = measure(voices, folds, chosen.draws)
    chosen.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    draw(result, chosen.figure, chosen.title)


class Voice:
    """A test speaker: all speakers' statistics at their model's state, that model's head and temperature."""

    def __init__(
        self, name: str, rows: dict[str, list[dict[str, Any]]], x: np.ndarray, model: ClassifierPredictor
    ) -> None:
        self.name, self.x, self.head, self.temperature = name, x, model.classifier.head, model.temperature
        everyone = [row for one in rows.values() for row in one]
        self.truth = np.array([model.labels.index(row["truth"]) for row in everyone])
        self.speaker = np.array([row["speaker"] for row in everyone])
        self.own = np.flatnonzero(self.speaker == name)

    def probabilities(self, clips: np.ndarray, tested: np.ndarray) -> np.ndarray:
        """Of the speaker's `tested` clips, by the model calibrated by `clips` (indices; none: as it is)."""
        assert isinstance(self.head, StatisticsHead)
        head = speaker.adapt_head(self.head, self.x[clips]) if len(clips) else self.head
        with torch.no_grad():
            logits = head.classify(torch.as_tensor(self.x[tested], dtype=torch.float32))
        return calibrated(torch.softmax(logits.double(), 1).numpy(), self.temperature)


def measure(voices: dict[str, Voice], folds: list[Path], draws: int) -> dict[str, Any]:
    names = sorted(voices)
    none = np.array([], dtype=int)
    before = {name: _scores(voices[name], none, voices[name].own) for name in names}
    result: dict[str, Any] = {
        "speakers": names,
        "draws": draws,
        "centre_doubt": speaker.CENTRE_DOUBT,
        "scale_doubt": speaker.SCALE_DOUBT,
        "before": _mean(before),
        "included": {},
        "excluded": {},
    }
    for size in SIZES:
        for kind in ("included", "excluded"):
            tables = []
            for draw_number in range(draws):
                table = {}
                for name in names:
                    own = voices[name].own
                    clips = _drawn(own, size, draw_number)
                    table[name] = _scores(voices[name], clips, own if kind == "included" else np.setdiff1d(own, clips))
                tables.append(table)
            result[kind][str(size)] = _over_draws(tables)
    every = {name: _scores(voice, voice.own, voice.own) for name, voice in voices.items()}
    others = {name: _jackknife(voice) for name, voice in voices.items()}
    result["included"]["all"], result["excluded"]["all"] = _over_draws([every]), _over_draws([others])
    result["one_emotion"] = _one_emotion(voices, draws)
    result["chosen_inside"] = _chosen_inside(voices, folds, draws)
    return result


def _one_emotion(voices: dict[str, Voice], draws: int) -> dict[str, Any]:
    """Five and ten clips of one emotion; tested on the clips that were not drawn; mean over speakers and draws."""
    labels = sorted(set(next(iter(voices.values())).truth.tolist()))
    found: dict[str, Any] = {}
    for size in (5, 10):
        uars = []
        for label in labels:
            values = []
            for voice in voices.values():
                mine = voice.own[voice.truth[voice.own] == label]
                for number in range(draws):
                    clips = _drawn(mine, size, number)
                    values.append(_scores(voice, clips, np.setdiff1d(voice.own, clips))["uar"])
            uars.append(float(np.mean(values)))
        found[str(size)] = {"uar": round(float(np.mean(uars)), 4), "by_emotion": [round(one, 4) for one in uars]}
    return found


def _chosen_inside(voices: dict[str, Voice], folds: list[Path], draws: int) -> dict[str, Any]:
    """The doubt about the mean that the other speakers of each fold choose, and the test speaker's scores under it."""
    package = speaker.CENTRE_DOUBT
    chosen: dict[str, float] = {}
    uars: dict[str, dict[str, float]] = {str(size): {} for size in SIZES}
    for fold in folds:
        voice = voices[fold.name]
        choice = json.loads((fold / "choice.json").read_text(encoding="utf-8"))
        strength, states = choice["strength"], choice.get("states", 1)
        inner = []
        for held_out in np.unique(voice.speaker[voice.speaker != fold.name]):
            fit = (voice.speaker != fold.name) & (voice.speaker != held_out)
            inner.append(
                (
                    np.flatnonzero(voice.speaker == held_out),
                    Probe.fit(voice.x[fit], voice.truth[fit], strength, target=Classes(EMOTIONS), states=states),
                )
            )
        of = {doubt: np.mean([_probed(voice, *one, doubt, draws) for one in inner]) for doubt in DOUBTS}
        chosen[fold.name] = max(DOUBTS, key=lambda doubt: of[doubt])
        speaker.CENTRE_DOUBT = chosen[fold.name]
        for size in SIZES:
            clips = [_drawn(voice.own, size, number) for number in range(draws)]
            scores = [_scores(voice, one, np.setdiff1d(voice.own, one))["uar"] for one in clips]
            uars[str(size)][fold.name] = round(float(np.mean(scores)), 4)
        speaker.CENTRE_DOUBT = package
    means = {size: round(float(np.mean(list(one.values()))), 4) for size, one in uars.items()}
    return {"centre_doubt": chosen, "excluded": means, "by_speaker": uars}


def _probed(voice: Voice, own: np.ndarray, probe: Probe, doubt: float, draws: int) -> float:
    """Mean UAR of a held-out speaker over sizes and draws, by a probe calibrated as the head would be."""
    values = []
    for size in SIZES:
        for number in range(draws):
            clips = _drawn(own, size, number)
            share, scale_share = size / (size + doubt), speaker.weights_of(size)[1]
            x, tested = voice.x[clips].astype(np.float64), np.setdiff1d(own, clips)
            centre = probe.centre + share * (x.mean(0) - probe.centre)
            variance = x.var(0, ddof=1) if size > 1 else probe.scale**2
            scale = np.sqrt((1 - scale_share) * probe.scale**2 + scale_share * variance)
            guess = Probe(centre, scale, probe.weight, probe.bias).outputs(voice.x[tested]).argmax(1)
            values.append(_uar(guess, voice.truth[tested]))
    return float(np.mean(values))


def _drawn(own: np.ndarray, size: int, number: int) -> np.ndarray:
    """A random draw of clips; smaller ones are the beginnings of larger ones."""
    return np.random.default_rng(number).permutation(own)[:size]


def _scores(voice: Voice, clips: np.ndarray, tested: np.ndarray) -> dict[str, float]:
    return _judged(voice.probabilities(clips, tested), voice.truth[tested])


def _jackknife(voice: Voice) -> dict[str, float]:
    each = [voice.probabilities(voice.own[voice.own != one], np.array([one]))[0] for one in voice.own]
    return _judged(np.stack(each), voice.truth[voice.own])


def _judged(probabilities: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    ece = expected_calibration_error(probabilities, truth)
    return {"uar": _uar(probabilities.argmax(1), truth), "ece": float(ece)}


def _uar(guess: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([(guess[truth == label] == label).mean() for label in np.unique(truth)]))


def _mean(table: dict[str, dict[str, float]]) -> dict[str, Any]:
    by_speaker = {name: round(one["uar"], 4) for name, one in table.items()}
    means = {key: round(float(np.mean([one[key] for one in table.values()])), 4) for key in ("uar", "ece")}
    return means | {"by_speaker": by_speaker}


def _over_draws(tables: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Mean over draws; `low` and `high`: 5th and 95th percentile of a draw's mean over speakers; `sd` by speaker."""
    uars = np.array([[one["uar"] for one in table.values()] for table in tables])
    eces = np.array([[one["ece"] for one in table.values()] for table in tables])
    names, each = list(tables[0]), uars.mean(1)
    return {
        "uar": round(float(uars.mean()), 4),
        "ece": round(float(eces.mean()), 4),
        "low": round(float(np.percentile(each, 5)), 4),
        "high": round(float(np.percentile(each, 95)), 4),
        "by_speaker": dict(zip(names, uars.mean(0).round(4).tolist(), strict=True)),
        "sd_by_speaker": dict(zip(names, uars.std(0).round(4).tolist(), strict=True)),
    }


def draw(result: dict[str, Any], path: Path, title: str) -> None:
    excluded, included = ([result["before"], *result[kind].values()] for kind in ("excluded", "included"))
    at = np.arange(len(excluded))
    with style():
        words = WORDS.format(speakers=len(result["speakers"]), draws=result["draws"])
        figure = framed(6.4, 3.6, title, words, "")
        axes = figure.subplots()
        below = -np.inf
        for name in sorted(result["speakers"], key=lambda name: excluded[-1]["by_speaker"][name]):
            line = [100 * one["by_speaker"][name] for one in excluded]
            axes.plot(at, line, color=GREY, linewidth=0.7, alpha=0.7)
            below = max(line[-1], below + 3.5)  # names of speakers that end close together
            axes.text(at[-1] + 0.12, below, name, va="center", fontsize=7, color=GREY)
        low = [100 * one.get("low", one["uar"]) for one in excluded]
        high = [100 * one.get("high", one["uar"]) for one in excluded]
        axes.fill_between(at, low, high, color=BLUE, alpha=0.2, linewidth=0)
        axes.plot(at, [100 * one["uar"] for one in excluded], "o-", color=BLUE, label="tested on other clips")
        axes.plot(
            at, [100 * one["uar"] for one in included], "s:", color=VERMILLION, markersize=4, label="on all clips"
        )
        axes.axhline(100 / 7, color=INK, linewidth=0.8, linestyle="--", label="chance")
        axes.set_xticks(at, ["0", *result["excluded"]])
        axes.set(xlabel="unlabelled clips of the speaker", ylabel="UAR (%)", ylim=(0, 100))
        legend(axes)
        save(figure, path)


def _statistics(model: ClassifierPredictor, corpus: Path, rows: list[dict[str, Any]]) -> np.ndarray:
    waves = (audio.crop(audio.joined(audio.stream(corpus / row["file"])), model.window_seconds) for row in rows)
    return np.concatenate([model.window_statistics([wave]) for wave in waves])


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
