"""Run folders as `train` writes them, without the training: predictions drawn at random, all else by the real parts."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from affetto.corpora.labels import EMOTIONS
from affetto.corpora.manifest import Clip, Manifest
from affetto.measures.scores import scores
from affetto.reporting.results.records import key_of
from affetto.splits import make_split
from affetto.training.runs import LOG, METRICS, PREDICTIONS, PROBE_PREDICTIONS, SPEC, RunFolder
from affetto.training.spec import CorpusSpec, RunSpec, settings

TRAINABLE = {"probe": 5_383, "frozen": 297_735, "adapter": 692_999, "lora": 420_615}


def manifest(
    corpus: str = "emovo", speakers: int = 6, takes: int = 2, synthetic: bool = False, labels: Sequence[str] = EMOTIONS
) -> Manifest:
    """Half of the speakers are women; every prompt is spoken by all."""
    clips = [
        Clip(f"s{s:02}/{emotion}-{take}.wav", emotion, f"s{s:02}", corpus, ("female", "male")[s % 2], f"prompt {take}")
        for s in range(speakers)
        for emotion in labels
        for take in range(takes)
    ]
    return Manifest(corpus, Path("/nowhere"), tuple(clips), synthetic)


def rows(corpus: Manifest, chosen: Sequence[str], skill: float, seed: int, fold: str | None = None) -> list[dict]:
    """Predictions that are right more often the greater the skill, and more for later speakers."""
    labels = [label for label in EMOTIONS if label in {clip.emotion for clip in corpus.clips}]
    generator = np.random.default_rng(seed)
    found = []
    for clip in corpus.clips:
        drawn = generator.random(len(labels))
        drawn[labels.index(clip.emotion)] += skill * (1 + 0.1 * int(clip.speaker[1:]))
        if clip.id in chosen:
            values = dict(zip(labels, (round(float(p), 6) for p in drawn / drawn.sum()), strict=True))
            row: dict[str, Any] = {"file": clip.name, "speaker": clip.speaker, "truth": clip.emotion}
            row |= {"probabilities": values} | ({"fold": fold} if fold else {})
            found.append(row | ({"gender": clip.gender} if clip.gender else {}) | {"prompt": clip.prompt})
    return found


def scored(found: list[dict]) -> dict[str, Any]:
    return scores(
        [row["truth"] for row in found],
        np.array([list(row["probabilities"].values()) for row in found]),
        list(found[0]["probabilities"]),
        [row["speaker"] for row in found],
    )


def write_run(
    folder: Path,
    *,
    method: str = "frozen",
    backbone: str = "wav2vec2-base",
    corpus: str = "emovo",
    seed: int = 0,
    recipe: str = "paper",
    split: str = "loso",
    skill: float = 0.5,
    speakers: int = 6,
    synthetic: bool = False,
    probe_skill: float | None = 0.4,
    overrides: dict[str, str] | None = None,
    part: int = 2,
    labels: Sequence[str] = EMOTIONS,
    weights: str = "",
    joined: dict[str, tuple[str, int]] | None = None,
    **fields: Any,
) -> Path:
    """A run that is done; `part` of 3 leaves out metrics (1), or all but the spec (0).

    `joined`: digest of the labels, and number, of the clips of each auxiliary corpus.
    """
    data = manifest(corpus, speakers, synthetic=synthetic, labels=labels)
    spec = RunSpec(
        corpora=(CorpusSpec(name=corpus, path=f"/data/{corpus}"),),
        backbone=backbone,
        method=method,
        recipe=recipe,
        split=split,
        seed=seed,
        settings=settings(recipe, overrides or {}, method=method),
        final=False,
        **fields,
    )
    made = make_split(data, split, speakers=spec.settings.training.speakers, speakers_seed=seed)
    weights = weights or f"{zlib.crc32((key_of(backbone) or backbone).encode()):08x}" * 8
    facts = {"manifest": data.checksum(), "split": made.checksum, "weights": weights}
    if joined:
        facts |= {"auxiliary": {name: {"manifest": digest, "audio": "a"} for name, (digest, _) in joined.items()}}
    run = RunFolder(folder)
    run.write(SPEC, {"identity": spec.identity(facts), "affetto": "0", "spec": spec.model_dump(), "facts": facts})
    if part == 0:
        return folder
    made.save(run.split)
    draw = zlib.crc32(f"{corpus} {backbone} {method} {seed}".encode())
    several = len(made.folds) > 1
    found: dict[str, list[dict]] = {"test": [], "validation": [], "probe": []}
    summaries = []
    for fold in made.folds:
        name = fold.name if several else None
        test = rows(data, fold.test, skill, draw, name)
        beside = rows(data, fold.test, probe_skill or 0.0, zlib.crc32(corpus.encode()), name)
        found["test"] += test
        found["probe"] += beside
        found["validation"] += rows(data, fold.validation, skill, draw, name)
        summaries.append({"name": fold.name, "best_epoch": 2, "test": scored(test)})
        log = [
            {
                "stage": "select",
                "epoch": n,
                "loss": 2 / n,
                "lr": 1e-3,
                "seconds": 1.0,
                "validation": {"macro_f1": 0.2 + 0.02 * n, "uar": 0.2, "loss": 1.9},
            }
            for n in range(1, 6)
        ]
        (run.fold(fold.name) if several else run).write_lines(LOG, log)
    run.write_lines(PREDICTIONS["test"], found["test"])
    run.write_lines(PREDICTIONS["validation"], found["validation"])
    if probe_skill is not None and method != "probe":
        run.write_lines(PROBE_PREDICTIONS, found["probe"])
    if part == 1:
        return folder
    metrics: dict[str, Any] = {"test": scored(found["test"]), "validation": scored(found["validation"])}
    if probe_skill is not None and method != "probe":
        metrics["probe"] = {"test": scored(found["probe"])}
    metrics |= {"folds": summaries} if several else {"best_epoch": 2}
    run.write(
        METRICS,
        metrics
        | {
            "corpus": corpus,
            "synthetic": synthetic,
            "clips": len(data.clips),
            "left_out": {},
            **({"auxiliary": {name: {"used": clips} for name, (_, clips) in joined.items()}} if joined else {}),
            "backbone": backbone,
            "method": method,
            "recipe": recipe,
            "precision": "float32",
            "seed": seed,
            "split": made.protocol,
            "split_checksum": made.checksum,
            "trainable_parameters": TRAINABLE[method],
            "backbone_parameters": 94_371_712,
            "wall_seconds": 60.0 + seed,
            "peak_memory_bytes": 10**9,
            "identity": spec.identity(facts),
            "provenance": {
                "versions": {"affetto": "0.1.0", "torch": "2.13.0"},
                "commit": "0123456789ab",
                "device": "cpu (test)",
                "threads": 1,
                "cores": 2,
            },
        },
    )
    return folder


def write_grid(folder: Path, runs: list[tuple[dict[str, Any], dict[str, Any]]], name: str = "small") -> Path:
    """A grid's folder of (axes, more for `write_run` or {"state": "waiting" | "failed"}) pairs."""
    entries = []
    for axes, more in runs:
        named = {
            "backbone": "wav2vec2-base",
            "corpus": "emovo",
            "method": "frozen",
            "recipe": "paper",
            "seed": 0,
            "split": "loso",
            "split_seed": 0,
            "random_weights": False,
            "weights_seed": 0,
            "settings": {},
            "stand_in": None,
        } | axes
        called = "_".join(str(named[axis]) for axis in ("corpus", "backbone", "method", "recipe", "seed"))
        called += "".join(f"_{value}" for value in named["settings"].values())
        entries.append(named | {"run": called})
        state = more.pop("state", "done")
        if state == "failed":
            RunFolder(folder / "runs" / called).write(".error.json", {"error": more["error"]})
        elif state == "done":
            asked = {k: v for k, v in named.items() if k not in ("settings", "stand_in")}
            overrides = {k: v if isinstance(v, str) else json.dumps(v) for k, v in named["settings"].items()}
            write_run(folder / "runs" / called, **asked, overrides=overrides, **more)
    (folder / "grid.json").write_text(json.dumps({"name": name, "runs": entries}))
    return folder
