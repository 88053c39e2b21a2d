"""Runs of targets beside classes, made of the runs of `folders` without any training."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from affetto.corpora.labels import EMOTIONS
from affetto.reporting.results.lines import read_lines
from affetto.targets.classes import Classes
from affetto.targets.dimensions import Dimensions, Interval
from affetto.targets.distribution import Distribution
from affetto.targets.joint import Joint
from affetto.targets.multilabel import Multilabel
from affetto.targets.registry import target_fields
from affetto.targets.target import Target
from affetto.training.runs import LOG, METRICS, PREDICTIONS, PROBE_PREDICTIONS, RunFolder
from reporting.folders import write_run

NUMBERS = Dimensions(("arousal", "valence"), (Interval(1, 5), Interval(1, 5)))
TARGETS: dict[str, Target] = {
    "classes": Classes(EMOTIONS),
    "distribution": Distribution(EMOTIONS),
    "multilabel": Multilabel(EMOTIONS),
    "dimensions": NUMBERS,
    "joint": Joint(Classes(EMOTIONS), NUMBERS),
}
CENTRES = dict(
    zip(EMOTIONS, ((4.5, 1.5), (3, 1.8), (4.2, 1.7), (4, 4.6), (2.2, 3), (1.6, 1.6), (4.4, 3.6)), strict=True)
)


def _line(row: dict[str, Any], target: Target, skill: float, seed: int) -> dict[str, Any]:
    """A line of classes as one of the target; numbers are better the greater the skill."""
    truth, name = row["truth"], row["file"]
    second = EMOTIONS[(EMOTIONS.index(truth) + 1) % len(EMOTIONS)]
    drawn = np.random.default_rng(zlib.crc32(f"{name} {seed}".encode()))
    taste = np.random.default_rng(zlib.crc32(name.encode())).normal(0, 0.3, 2)
    rest = {key: value for key, value in row.items() if key not in ("truth", "probabilities")}
    fields: dict[str, Any] = {}
    if target.has_classes:
        fields = {"truth": truth, "probabilities": row["probabilities"]}
    if target.has_shares:
        fields["shares"] = dict.fromkeys(EMOTIONS, 0.0) | {truth: 0.75, second: 0.25}
    if target.has_marks:
        probabilities = {label: round(min(1.0, 2 * p), 6) for label, p in row["probabilities"].items()}
        called = [label for label, p in probabilities.items() if p >= 0.5]
        fields = {"truth": [truth, second], "probabilities": probabilities, "prediction": called}
    if target.has_dimensions:
        true = np.clip(np.array(CENTRES[truth]) + taste, 1, 5)
        values = np.clip(3 + skill * (true - 3) + drawn.normal(0, 0.8, 2), 1, 5)
        numbers = dict(zip(target.dimensions, (round(float(v), 6) for v in values), strict=True))
        key = "dimension_truth" if target.has_classes else "truth"
        fields |= {key: dict(zip(target.dimensions, (round(float(v), 6) for v in true), strict=True))}
        fields["prediction"] = numbers
    return {**rest, **fields}


def write_target_run(
    folder: Path, name: str = "dimensions", *, skill: float = 0.5, seed: int = 0, **fields: Any
) -> Path:
    """A finished run of a target; its probe is of skill 0.3."""
    target = TARGETS[name]
    write_run(folder, skill=skill, seed=seed, target=name, **fields)
    run = RunFolder(folder)
    metrics = run.read(METRICS)
    assert metrics is not None
    files = {"test": PREDICTIONS["test"], "validation": PREDICTIONS["validation"], "probe": PROBE_PREDICTIONS}
    rows = {part: read_lines(folder / file) for part, file in files.items()}
    for part, file in files.items():
        if rows[part]:
            rows[part] = [_line(row, target, 0.3 if part == "probe" else skill, seed) for row in rows[part]]
            run.write_lines(file, rows[part])
    metrics |= {"test": target.scores(rows["test"]), "validation": target.scores(rows["validation"])}
    if rows["probe"]:
        metrics["probe"] = {"test": target.scores(rows["probe"])}
    metrics["confidence"] = target.confidence([rows])
    run.write(METRICS, {**metrics, **target_fields(target)})
    for log in folder.rglob(LOG):
        scores = {target.main_measure: 0.3, "loss": 1.0}
        lines = [{**line, "validation": scores} for line in read_lines(log)]
        RunFolder(log.parent).write_lines(LOG, lines)
    return folder
