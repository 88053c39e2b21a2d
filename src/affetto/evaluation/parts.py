"""Models that answer the clips of a test: of a run with folds, each clip by the one that has not heard its speaker."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affetto.corpora.amounts import amount
from affetto.corpora.manifest import Clip
from affetto.errors import UserError
from affetto.evaluation.seen import TrainedOn, trained_on
from affetto.evaluation.testing import TestClips, choose
from affetto.inference.loading import load
from affetto.inference.predictor import Predictor
from affetto.models.saved import read_card
from affetto.splits import Split
from affetto.targets.registry import target_of
from affetto.targets.target import Target
from affetto.training.runs import FOLDS, MODEL, SPLIT, RunFolder

WHOLE = "model"
"""Name of the only part of a test in which one model answers all clips."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A model, and the clips that it answers."""

    name: str
    """Name of the fold; WHOLE for a model of no fold."""
    model: str | Path
    clips: tuple[Clip, ...]
    trained: TrainedOn


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a test, which share one target, and what was left out of the corpus."""

    parts: tuple[Part, ...]
    target: Target
    left_out: dict[str, Any]
    by_folds: bool

    @property
    def clips(self) -> tuple[Clip, ...]:
        return tuple(clip for part in self.parts for clip in part.clips)


def load_as_tested(
    model: str | Path, device: str, backbone: str | None, label_map: Mapping[str, str] | None = None
) -> Predictor:
    """Load a model as runs are tested: it hears a long clip's beginning, and its probabilities are not calibrated."""
    return load(model, device=device, backbone=backbone, long_clips="cropped", calibrate=False, label_map=label_map)


def once(say: Callable[[str], None]) -> Callable[[str], None]:
    """`say` without repetition, for lines that folds have in common."""
    spoken: set[str] = set()

    def say_once(line: str) -> None:
        if line not in spoken:
            spoken.add(line)
            say(line)

    return say_once


def parts_of(
    model: str | Path,
    clips: TestClips,
    *,
    target_of_model: Callable[[], Target],
    include_seen: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Parts:
    """Choose the models that answer the clips.

    Of a run with folds that tested these clips, the models of the folds; else the model itself, without the clips that
    it was trained on. `target_of_model` gives the target of the model itself. Raises UserError as `choose` does, and
    for `include_seen` where folds answer, since none of them has heard the clips that it is asked.
    """
    folds = _folds_of(Path(model), clips)
    if not folds:
        target, trained = target_of_model(), trained_on(Path(model))
        tested, left_out = choose(clips, target, trained, include_seen=include_seen, say=say)
        part = Part(name=WHOLE, model=model, clips=tuple(tested), trained=trained)
        return Parts(parts=(part,), target=target, left_out=left_out, by_folds=False)
    if include_seen:
        raise UserError(
            f"{model}: each clip is answered by the fold that has not heard its speaker, so no clip of the training is "
            "left out: leave --include-seen out, or give the run's final model, its folder `model`"
        )
    target = target_of(read_card(next(iter(folds.values()))[0] / MODEL)["blueprint"])
    every_id = {clip.id for clip in clips.manifest.clips}
    parts, counts, say_once = [], [], once(say)
    for name, (folder, ids) in folds.items():
        trained = trained_on(folder)
        tested, left_out = choose(clips, target, trained, leave_out=every_id - ids, say=say_once)
        counts.append(left_out)
        parts.append(Part(name=name, model=folder, clips=tuple(tested), trained=trained))
    untested = len(every_id - {clip for _, ids in folds.values() for clip in ids})
    if untested:
        say(f"left out: {amount(untested, 'clip')} that no fold of {model} has tested")
    return Parts(parts=tuple(parts), target=target, left_out=_combined(counts, untested), by_folds=True)


def limited(parts: Parts, most: int | None) -> Parts:
    """The parts with at most so many clips in all: evenly over the speakers, in an order drawn by the clips' names.

    Raises UserError for a limit below 1.
    """
    if most is None or most >= len(parts.clips):
        return parts
    if most < 1:
        raise UserError(f"--limit {most}: give a number of clips from 1 on")
    ids = {clip.id for clip in _evenly(parts.clips, most)}
    reduced = (
        Part(
            name=part.name,
            model=part.model,
            clips=tuple(clip for clip in part.clips if clip.id in ids),
            trained=part.trained,
        )
        for part in parts.parts
    )
    return Parts(
        parts=tuple(part for part in reduced if part.clips),
        target=parts.target,
        left_out=parts.left_out,
        by_folds=parts.by_folds,
    )


def _evenly(clips: Iterable[Clip], most: int) -> list[Clip]:
    """The first clips of all speakers in turn, each speaker's by label in turn."""
    turns: list[tuple[int, int, str, Clip]] = []
    labels: Counter[tuple[str, str]] = Counter()
    speakers: Counter[str] = Counter()
    by_speaker: list[tuple[int, str, Clip]] = []
    for clip in sorted(clips, key=lambda clip: _draw(clip.id)):
        by_speaker.append((labels[clip.speaker, clip.emotion], _draw(clip.id), clip))
        labels[clip.speaker, clip.emotion] += 1
    for turn, draw, clip in sorted(by_speaker, key=lambda entry: entry[:2]):
        turns.append((speakers[clip.speaker], turn, draw, clip))
        speakers[clip.speaker] += 1
    return [clip for *_, clip in sorted(turns, key=lambda entry: entry[:3])[:most]]


def _draw(clip_id: str) -> str:
    return hashlib.sha256(clip_id.encode()).hexdigest()


def _folds_of(path: Path, clips: TestClips) -> dict[str, tuple[Path, set[str]]]:
    """{fold: (its folder, ids of the clips that it tested)} of a run with several folds; {} for any other model, and
    where the folds tested none of the clips."""
    run = RunFolder(path)
    if not (run.has(SPLIT) and (path / FOLDS).is_dir()):
        return {}
    readable = {clip.id for clip in clips.manifest.clips if clip.id not in clips.bad}
    folds = {}
    for fold in Split.load(run.split).folds:
        ids = readable & set(fold.test)
        if not ids:
            continue
        folder = run.fold(fold.name).path
        if not (folder / MODEL).is_dir():
            raise UserError(f"{folder} has no model (the run is unfinished): run the same `affetto train` again")
        folds[fold.name] = (folder, ids)
    return folds


def _combined(counts: list[dict[str, Any]], untested: int) -> dict[str, Any]:
    """Sum up the clips that the folds' tests left out."""

    def total(field: str) -> dict[str, int]:
        return dict(sum((Counter(count[field]) for count in counts), Counter()))

    return {
        "unknown_emotions": total("unknown_emotions"),
        "dropped_labels": counts[0]["dropped_labels"],
        "trained_on": sum(count["trained_on"] for count in counts),
        "trained_on_by": total("trained_on_by"),
        "tested_by_no_fold": untested,
        "unusable": counts[0]["unusable"],
    }
