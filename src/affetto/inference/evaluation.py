"""A trained run tested on another corpus: labels mapped, what cannot count named, what was trained on left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from affetto.audio import AudioError
from affetto.corpora.manifest import Clip
from affetto.errors import UserError
from affetto.inference.predictor import Prediction, Predictor, load
from affetto.training.data import read_clips, refuse_or_name
from affetto.training.evaluate import scores
from affetto.training.folds import DECIMALS
from affetto.training.runs import METRICS, PREDICTIONS, TRAINED_ON, RunFolder
from affetto.training.spec import CorpusSpec


def evaluate(
    run: str | Path,
    corpora: tuple[CorpusSpec, ...],
    *,
    labels: dict[str, str] | None = None,
    out: str | Path | None = None,
    include_seen: bool = False,
    skip_bad: bool = False,
    device: str = "auto",
    backbone: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> dict[str, Any]:
    """Test the model of `run` on `corpora`; returns what `metrics.json` in `out`, if given, holds.

    Left out, and counted: clips of emotions that the model does not know, clips whose very audio it was trained
    on (unless `include_seen`), unusable clips (with `skip_bad`). The scores are over the emotions of the corpus
    that the model knows; a prediction of another one is an error like any. Raises UserError.
    """
    predictor = load(run, device=device, backbone=backbone)
    folder = None if out is None else _new(Path(out))
    manifest, sources, digests, bad = read_clips(corpora, labels or {}, say)
    if bad:
        refuse_or_name(bad, len(manifest.clips), skip_bad, say)
    usable = [clip for clip in manifest.clips if clip.id not in bad]
    unknown_emotions = Counter(clip.emotion for clip in usable if clip.emotion not in predictor.labels)
    known = [clip for clip in usable if clip.emotion in predictor.labels]
    seen = set() if include_seen else _seen(Path(run))
    chosen = [clip for clip in known if digests[clip.id] not in seen]
    trained_on = len(known) - len(chosen)
    for told in _left_out(unknown_emotions, trained_on, predictor.labels):
        say(told)
    if not chosen:
        raise UserError(
            f"nothing is left to test on of {len(manifest.clips)} clips: {trained_on} were trained on, "
            f"{unknown_emotions.total()} have an emotion that the model does not know. "
            "Map labels with --label NAME=EMOTION; --include-seen tests on training clips too"
        )
    rows = []
    for clip, result in _results(predictor, chosen, sources, progress):
        if isinstance(result, AudioError):
            bad[clip.id] = str(result)
            refuse_or_name({clip.id: str(result)}, len(manifest.clips), skip_bad, say)
        else:
            rows.append(_row(clip, result, len(corpora) > 1))
    if not rows:
        raise UserError(f"none of the {len(chosen)} clips could be used; mend them")
    metrics = _metrics(run, predictor.card, rows, predictor.labels) | {
        "corpus": manifest.corpus,
        "synthetic": manifest.synthetic,
        "left_out": {
            "unknown_emotions": dict(sorted(unknown_emotions.items())),
            "trained_on": trained_on,
            "unusable": bad,
        },
        "include_seen": include_seen,
    }
    if folder is not None:
        folder.write_lines(PREDICTIONS["test"], rows)
        folder.write(METRICS, metrics)
    return metrics


def _results(
    predictor: Predictor, clips: list[Clip], sources: Mapping[str, Any], progress: Callable[[int, int], None]
) -> Iterator[tuple[Clip, Prediction | AudioError]]:
    """Each clip with what the model says of it, told to `progress` as it comes."""
    results = predictor.stream_sources(sources[clip.id] for clip in clips)
    for n, (clip, result) in enumerate(zip(clips, results, strict=True), 1):
        progress(n, len(clips))
        yield clip, result


def _left_out(emotions: Counter[str], trained_on: int, labels: tuple[str, ...]) -> list[str]:
    told = []
    if emotions:
        named = ", ".join(f"{name} ({clips})" for name, clips in sorted(emotions.items()))
        told.append(f"left out: {named}: the model knows {', '.join(labels)}; map others with --label NAME=EMOTION")
    if trained_on:
        told.append(f"left out: {trained_on} clips that the model was trained on (--include-seen tests on them too)")
    return told


def _metrics(
    run: str | Path, card: dict[str, Any], rows: list[dict[str, Any]], labels: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "test": scores(
            [row["truth"] for row in rows],
            np.array([list(row["probabilities"].values()) for row in rows]),
            labels,
            [row["speaker"] for row in rows],
        ),
        "run": str(run),
        "identity": card["run"],
        "trained_on": card["corpus"],
        "trained_on_synthetic": card["synthetic"],
        "affetto": card["affetto"],
    }


def _row(clip: Clip, result: Prediction, several: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"file": clip.name, "speaker": clip.speaker, "truth": clip.emotion}
    row["probabilities"] = {label: round(p, DECIMALS) for label, p in result.probabilities.items()}
    if several:
        row["corpus"] = clip.corpus
    return row


def _seen(run: Path) -> set[str]:
    """Digests of the audio that the model was trained on or chosen by, where its folder still says so."""
    try:
        lines = (run / TRAINED_ON).read_text(encoding="utf-8").splitlines()
        return {json.loads(line)["audio"] for line in lines}
    except FileNotFoundError:
        return set()
    except (OSError, ValueError, KeyError) as problem:
        raise UserError(f"{run / TRAINED_ON}: cannot be read ({problem}); copy the run's folder again") from None


def _new(out: Path) -> RunFolder:
    """The folder for the result: new or empty."""
    folder = RunFolder(out)
    folder.examine("")
    return folder
