"""Every figure of a report, drawn of made-up numbers: `DRAWINGS[name](path, stamp)`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from affetto.measures.scores import scores
from affetto.reporting.chapters.cost import Line, Point, draw_cost
from affetto.reporting.chapters.coverage import Coverage, draw_coverage
from affetto.reporting.chapters.emotions import draw_confusion
from affetto.reporting.chapters.error_pictures import draw_agreement, draw_beside_raters
from affetto.reporting.chapters.fewer_speakers_picture import Line as NumberLine
from affetto.reporting.chapters.fewer_speakers_picture import Point as NumberPoint
from affetto.reporting.chapters.fewer_speakers_picture import draw_numbers
from affetto.reporting.chapters.layers import draw_states
from affetto.reporting.chapters.learning_curves import MEAN_CCC, draw_curves
from affetto.reporting.chapters.measures import Line as ScoreLine
from affetto.reporting.chapters.measures import draw_lines
from affetto.reporting.chapters.methods import Score, draw_methods
from affetto.reporting.chapters.plane import Centre, Plane, draw_plane
from affetto.reporting.chapters.ranks import draw_ranks
from affetto.reporting.chapters.reliability import draw_reliability, measure_reliability
from affetto.reporting.chapters.scatter import Points, draw_scatter
from affetto.reporting.chapters.several_labels import draw_labels
from affetto.reporting.chapters.speakers import draw_speakers
from affetto.reporting.chapters.specialised import draw_similarity
from affetto.reporting.papers.dasaro2024.figure_4 import Bar, draw_bars
from affetto.reporting.stats.ranks import Ranking
from affetto.reporting.stats.systems import Predictions, System
from reporting.folders import manifest, rows

LABELS = ["anger", "disgust", "fear", "joy", "neutrality", "sadness", "surprise"]
NAMES = ("probe", "frozen", "Adapter, recommended", "LoRA, recommended")
LONG_NAMES = tuple(f"LoRA, recommended, training.class_weights false, lora.alpha {n}" for n in range(5))
BACKBONES = ("XLSR-53 (A)", "WavLM Base+ (A)", "Whisper Small (B)")
PANELS = {
    corpus: [
        Bar(
            name="Wav2Vec 2.0 Large",
            scenario="A",
            mean=60.0,
            low=50.0,
            high=70.0,
            probe=40.0,
            published=48.84,
        ),
        Bar(name="XLSR-53", scenario="B"),
        Bar(name="Whisper Small", scenario="B", mean=30.0, low=20.0, high=41.0),
    ]
    for corpus in ("EMOVO", "Emozionalmente", "DEMoS")
}


def scored(labels=LABELS, n=300, seed=0):
    """Scores of random predictions by six speakers."""
    generator = np.random.default_rng(seed)
    true = generator.integers(0, len(labels), n)
    probabilities = generator.random((n, len(labels))) + 0.4 * np.eye(len(labels))[true]
    speakers = [f"s{index}" for index in generator.integers(0, 6, n)]
    return scores([labels[index] for index in true], probabilities, labels, speakers)


def method_scores(synthetic=False):
    names = ["frozen", "LoRA $r_8$", "full fine-tuning of every block, in two stages, slowly"]
    results = [scored(seed=seed) for seed in range(len(names))]
    return [
        Score(
            name=name,
            value=result["macro_f1"],
            interval=tuple(result["interval"]["macro_f1"]),
            chance=result["chance"]["macro_f1"],
            speakers={speaker: within["macro_f1"] for speaker, within in result["per_speaker"].items()},
            synthetic=synthetic,
        )
        for name, result in zip(names, results, strict=True)
    ]


def log(epochs, rise=0.01):
    return [
        {"epoch": epoch, "loss": 2 / epoch, "validation": {"macro_f1": 0.2 + rise * epoch, "uar": 0.2}}
        for epoch in range(1, epochs + 1)
    ]


def warm_log(epochs):
    """A log as runs write it: a warm start, the stage that validation judges, then a refit."""
    start = {"epoch": 0, "loss": 0.3, "lr": 0.0, "seconds": 0.0, "validation": {"macro_f1": 0.5, "uar": 0.5}}
    rest = [{"stage": "refit", "epoch": epoch, "loss": 0.1, "lr": 1e-4} for epoch in range(3)]
    return [{"stage": "select", **record} for record in (start, *log(epochs))] + rest


def ccc_logs():
    logs = [{**record, "validation": {"mean_ccc": 0.1 * record["epoch"] - 0.3}} for record in log(6)]
    return {name: {"fold": logs} for name in ("frozen", "lora")}


def method_logs():
    logs = {f"fold {index}": warm_log(6 + index) for index in range(4)}
    return dict.fromkeys(("frozen", "adapter", "lora", "full"), logs)


def speaker_scores(speakers, names=NAMES):
    generator = np.random.default_rng(0)
    return {name: {f"s{n:02}": float(generator.random()) for n in range(speakers)} for name in names}


def reliabilities():
    data = manifest()
    predictions = Predictions.from_rows(rows(data, {clip.id for clip in data.clips}, 0.5, 0))
    reliability = measure_reliability(System("any", "emovo", {0: predictions}))
    return dict.fromkeys((*NAMES, "full"), reliability)


def points(methods=("LoRA", "dora"), backbones=BACKBONES):
    return [
        Point(
            method=method,
            backbone=backbone,
            score=50.0 + n,
            low=40.0,
            high=60.0 + n,
            trained=5_000 * 7**n + m,
            seconds=20.0 * 4**n + m,
        )
        for n, method in enumerate(methods)
        for m, backbone in enumerate(backbones)
    ]


def lines(backbones=BACKBONES):
    return [Line(method="probe", backbone=backbone, score=44.0 + n) for n, backbone in enumerate(backbones)]


def state_sizes():
    group = {"unchanged": {"rms": [1, 3, 200.0]}, "model.state_norm layer": {"rms": [1, 1, 1.0]}}
    return {f"XLSR-53 (A), {method}": group for method in ("frozen", "Adapter", "LoRA", "full")}


def lines_of(stamp):
    line = {"value": 0.5, "low": 0.3, "high": 0.7, "text": "0.500 (0.300–0.700)", "synthetic": bool(stamp)}
    return [ScoreLine(name=name, chance=0.0, **line) for name in LONG_NAMES]


def dimension_points():
    truth = np.linspace(1, 5, 300)
    points = Points(truth=truth, prediction=6 - truth, low=1, high=5, score="-1.000")
    return {name: {"arousal": points, "valence": points} for name in NAMES}


def coverage_lines():
    speakers = {f"s{n:02}": 0.7 + 0.02 * n for n in range(12)}
    coverage = Coverage(level=0.9, half_width=1.5, coverage=0.85, per_speaker=speakers)
    return {f"{name}, arousal": coverage for name in NAMES}


def plane():
    generator = np.random.default_rng(0)
    centres = {
        label: Centre(
            truth=np.array([1.2 + 0.6 * n, 1.2 + 0.6 * n]),
            prediction=np.array([2.0 + 0.3 * n, 3.0]),
            raters=np.array([0.3, 0.2]),
        )
        for n, label in enumerate(LABELS)
    }
    return Plane(prediction=generator.uniform(1, 5, (200, 2)), ranges=((1, 5), (1, 5)), centres=centres)


def number_lines(names, panels=BACKBONES):
    """Scores that rise with the number of speakers, of the last number closely beside the one before."""
    numbers = {4: "4", 8: "8", 16: "16", 20: "20", 21.5: "all (21–22)"}
    return [
        NumberLine(
            panel=panel,
            name=name,
            points=tuple(
                NumberPoint(
                    number=number,
                    label=label,
                    is_all=label.startswith("all"),
                    value=(40 + 5 * place + (3 + place) * np.log2(number)),
                    low=36 + 8 * place,
                    high=52 + 10 * place,
                )
                for number, label in numbers.items()
            ),
        )
        for panel in panels
        for place, name in enumerate(names)
    ]


DRAWINGS = {
    "fewer speakers": lambda path, stamp: draw_numbers(
        number_lines(NAMES), path, "Macro F1 by number of speakers", stamp, interval="95 % interval over 24 speakers"
    ),
    "fewer speakers of many": lambda path, stamp: draw_numbers(
        number_lines(LONG_NAMES, BACKBONES[:1]), path, "Macro F1 by number of speakers", stamp, interval="an interval"
    ),
    "scores": lambda path, stamp: draw_lines(lines_of(stamp), path, "Mean CCC", "mean CCC", "Of 12 speakers."),
    "scatter": lambda path, stamp: draw_scatter(dimension_points(), path, "Truth and prediction", stamp),
    "coverage": lambda path, stamp: draw_coverage(coverage_lines(), path, "Coverage of the intervals", stamp),
    "plane": lambda path, stamp: draw_plane(plane(), path, "Valence and arousal", stamp),
    "labels": lambda path, stamp: draw_labels(
        {name: {label: 50.0 + n for n, label in enumerate(LABELS)} for name in NAMES}, path, "F1 of each label", stamp
    ),
    "curves of CCC": lambda path, stamp: draw_curves(ccc_logs(), path, "Learning curves", stamp, curve=MEAN_CCC),
    "methods": lambda path, stamp: draw_methods(
        method_scores(synthetic=bool(stamp)), path, "A title so long that it has to be broken " * 3, "300 clips."
    ),
    "confusion": lambda path, stamp: draw_confusion(
        scored(), path, "EMOVO, leave one speaker out", basis="Macro F1 of it all. " * 6, stamp=stamp
    ),
    "curves": lambda path, stamp: draw_curves(method_logs(), path, "Learning curves", stamp, chance=1 / 7),
    "figure 4": lambda path, stamp: draw_bars(
        PANELS, path, "Frozen backbones by corpus", "A caption that is as long as they come. " * 9, stamp
    ),
    "few speakers": lambda path, stamp: draw_speakers(speaker_scores(6), path, "UAR by speaker", 1 / 7, stamp),
    "many speakers": lambda path, stamp: draw_speakers(speaker_scores(43), path, "UAR by speaker", 1 / 7, stamp),
    "long names": lambda path, stamp: draw_speakers(
        speaker_scores(6, LONG_NAMES), path, "UAR by speaker", 1 / 7, stamp
    ),
    "reliability": lambda path, stamp: draw_reliability(reliabilities(), path, "Reliability", stamp),
    "cost": lambda path, stamp: draw_cost(
        points(), path, "Cost against macro F1", stamp, lines=lines(), interval="95 % interval over 14 clips"
    ),
    "cost within a decade": lambda path, stamp: draw_cost(
        [replace(point, trained=297_735, seconds=60 + n) for n, point in enumerate(points(("LoRA",)))]
        + [replace(points()[0], method="Adapter", trained=692_743)],
        path,
        "Cost",
        stamp,
    ),
    "states": lambda path, stamp: draw_states(state_sizes(), path, "Sizes of the hidden states", stamp),
    "agreement": lambda path, stamp: draw_agreement([31, 120, 88, 240, 1109], path, "How many get a clip right", stamp),
    "agreement of many": lambda path, stamp: draw_agreement(range(40), path, "How many get a clip right", stamp),
    "beside raters": lambda path, stamp: draw_beside_raters(
        np.arange(60) % 6 / 5, np.linspace(0, 1, 60), path, "Raters beside the system", stamp
    ),
    "ranks": lambda path, stamp: draw_ranks(
        Ranking(
            methods=NAMES,
            blocks=6,
            mean_ranks=(1.2, 2.0, 2.8, 4.0),
            wins=((0.0,) * 4,) * 4,
            p=0.01,
            critical=1.9,
        ),
        path,
        "Mean ranks",
        stamp,
    ),
    "similarity": lambda path, stamp: draw_similarity(
        {f"backbone {n}": [1.0, 0.9, 0.5 + n / 10] for n in range(4)}, path, "How far states moved", stamp
    ),
}
