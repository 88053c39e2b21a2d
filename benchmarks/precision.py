"""What the precision of inference does to a run's score: every fold's model on the speakers that it was tested on.

    python benchmarks/precision.py RUN [--precision float32 --precision bfloat16 --precision int8]

RUN is a finished run with folds. Each model is loaded anew in each precision; the corpus is found where the run's
spec.json says.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

from affetto.inference.predictor import Prediction, load
from affetto.training.data import read
from affetto.training.runs import FOLDS, MODEL, SPEC
from affetto.training.spec import RunSpec


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path)
    options.add_argument("--precision", action="append")
    chosen = options.parse_args()
    spec = RunSpec.model_validate(json.loads((chosen.run / SPEC).read_text())["spec"])
    data = read(spec, lambda _: None)
    clips = {clip.id: clip for clip in data.manifest.clips}
    exact: dict[str, dict[str, float]] = {}
    for precision in chosen.precision or ["float32", "bfloat16", "int8"]:
        told: dict[str, Prediction] = {}
        seconds = 0.0
        for fold in data.split.folds:
            predictor = load(
                chosen.run / FOLDS / fold.name / MODEL, device="cpu", precision=precision, long_clips="cropped"
            )
            started = time.perf_counter()
            results = list(predictor.stream_sources(data.sources[i] for i in fold.test))
            seconds += time.perf_counter() - started
            told |= {i: r for i, r in zip(fold.test, results, strict=True) if isinstance(r, Prediction)}
        hits: dict[str, list[bool]] = defaultdict(list)
        for i, result in told.items():
            hits[clips[i].emotion].append(result.emotion == clips[i].emotion)
        exact = exact or {i: result.probabilities for i, result in told.items()}
        largest = max(abs(r.probabilities[k] - exact[i][k]) for i, r in told.items() for k in exact[i])
        changed = sum(max(exact[i], key=exact[i].__getitem__) != r.emotion for i, r in told.items())
        uar = sum(sum(h) / len(h) for h in hits.values()) / len(hits)
        print(json.dumps({
            "precision": precision, "clips": len(told), "uar": round(uar, 4),
            "clips_per_second": round(len(told) / seconds, 1),
            "largest_change_of_a_probability": round(largest, 4), "labels_changed": changed,
        }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
