"""Scores in each precision: of a run's models in prediction, or of the run trained anew.

    python benchmarks/precision.py RUN … [--precision float32 --precision bfloat16 --precision int8]
    python benchmarks/precision.py RUN … --anew FOLDER

RUN is a finished run, of either recipe. Without --anew each fold's model is loaded in each precision and hears the
speakers that it was tested on: what prediction changes. With it the run is trained again in float32 and bfloat16, all
else as its spec.json says, into FOLDER: what training changes. The corpus is found where spec.json says.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from affetto.inference.loading import load
from affetto.inference.predictor import Prediction
from affetto.measures.scores import scores
from affetto.training.data import Data, read
from affetto.training.runs import FOLDS, MODEL, PREDICTIONS, SPEC, RunFolder
from affetto.training.spec import ComputeSettings, RunSpec
from affetto.training.train import train

Probabilities = Mapping[str, Mapping[str, float]]
"""By clip, each label's probability."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    options.add_argument("--precision", action="append")
    options.add_argument("--anew", type=Path, metavar="FOLDER")
    chosen = options.parse_args()
    for run in chosen.runs:
        spec = RunSpec.model_validate(json.loads((run / SPEC).read_text())["spec"])
        if chosen.anew:
            rows = trained(spec, chosen.anew / run.name, chosen.precision or ["float32", "bfloat16"])
        else:
            rows = predicted(spec, run, chosen.precision or ["float32", "bfloat16", "int8"])
        for row in rows:
            print(json.dumps({"recipe": spec.recipe, "method": spec.method, "seed": spec.seed} | row), flush=True)


def predicted(spec: RunSpec, run: Path, precisions: list[str]) -> Iterator[dict[str, Any]]:
    """A row a precision, of the run's models as they are; changes are against the first precision."""
    data = read(spec, lambda _: None)
    truth = {clip.id: clip.emotion for clip in data.manifest.clips}
    first: Probabilities = {}
    for precision in precisions:
        found, seconds = _predictions(data, run, precision)
        first = first or found
        yield {
            "precision": precision,
            **_scores(found, truth),
            "clips_per_second": round(len(found) / seconds, 1),
            **_changes(first, found),
        }


def trained(spec: RunSpec, folder: Path, precisions: list[str]) -> Iterator[dict[str, Any]]:
    """A row a precision, of the run trained in it; changes are against the first precision."""
    first: Probabilities = {}
    for precision in precisions:
        settings = spec.settings.model_copy(update={"compute": ComputeSettings(precision=precision)})  # type: ignore[arg-type]
        out = folder.with_name(f"{folder.name}-{precision}")
        train(spec.model_copy(update={"settings": settings, "final": False, "probe": False}), out)
        rows = RunFolder(out).read_lines(PREDICTIONS["test"])
        found = {row["file"]: row["probabilities"] for row in rows}
        first = first or found
        yield {
            "trained in": precision,
            **_scores(found, {row["file"]: row["truth"] for row in rows}),
            **_changes(first, found),
        }


def _predictions(data: Data, run: Path, precision: str) -> tuple[Probabilities, float]:
    """What each fold's model says of the clips that it was tested on, and the seconds that it took."""
    found: dict[str, Mapping[str, float]] = {}
    seconds = 0.0
    several = len(data.split.folds) > 1
    for fold in data.split.folds:
        model = run / FOLDS / fold.name / MODEL if several else run / MODEL
        predictor = load(model, device="cpu", precision=precision, long_clips="cropped")
        started = time.perf_counter()
        results = list(predictor.stream_sources(data.sources[i] for i in fold.test))
        seconds += time.perf_counter() - started
        found |= {i: r.probabilities for i, r in zip(fold.test, results, strict=True) if isinstance(r, Prediction)}
    return found, seconds


def _scores(found: Probabilities, truth: Mapping[str, str]) -> dict[str, Any]:
    labels = list(next(iter(found.values())))
    values = np.array([[row[label] for label in labels] for row in found.values()])
    test = scores([truth[i] for i in found], values, labels, list(found), resamples=1)
    return {"clips": len(found), "uar": round(test["uar"], 4), "macro_f1": round(test["macro_f1"], 4)}


def _changes(first: Probabilities, found: Probabilities) -> dict[str, Any]:
    largest = max(abs(found[i][label] - first[i][label]) for i in found for label in found[i])
    changed = sum(max(first[i], key=first[i].__getitem__) != max(found[i], key=found[i].__getitem__) for i in found)
    return {"largest_change_of_a_probability": round(largest, 4), "labels_changed": changed}


if __name__ == "__main__":
    main()
