"""Operations of a run, counted in advance from shapes, official numbers of clips, and the recipe.

The number is an upper bound: every clip is as long as the window, and every stage takes all of its epochs. Divided by
the rate of a large matrix product, which no other computation exceeds, it is a fair estimate of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from affetto.backbones.configurations import configuration
from affetto.backbones.flops import Operations
from affetto.corpora.labels import EMOTIONS
from affetto.corpora.registry import CORPORA
from affetto.experiments.planned import PlannedRun
from affetto.models.heads.registry import HEADS
from affetto.models.methods.registry import METHODS
from affetto.splits.protocols import TARGET
from affetto.synthetic.registry import miniatures
from affetto.training.sections import MOST_CLIPS, SHORT_LIST
from affetto.training.spec import probe_counts

HEAD_STEP = 3.0
PROBE_ITERATIONS = 35
"""Iterations of a probe's logistic regression: 33 in the mean of 388 fits on EMOVO, 20 to 41 by strength."""


@dataclass(frozen=True)
class Passes:
    """Clips that go through a training step, and through a forward pass to be judged."""

    trained: float
    judged: float


def operations(run: PlannedRun, *, stored: bool) -> float | None:
    """Floating-point operations of the run, at most; None where its shapes, clips or window are not known.

    `stored`: an earlier run of the grid has left the frozen states that it needs.
    """
    clips, auxiliary, shapes = clips_of(run), auxiliary_clips_of(run), shapes_of(run, run.settings.audio.seconds)
    expected = None if clips is None or auxiliary is None else passes(run, clips, auxiliary)
    copies, copies_auxiliary = copies_of(run)
    if clips is None or auxiliary is None or expected is None or shapes is None:
        return None
    method, first = METHODS.find(run["method"]), run.settings.training.first_block
    changed = (shapes.depth - first) * shapes.block if method.changes_blocks else 0.0
    fresh = run.settings.augment.waveform or (method.trains_embedding and first == 0)
    head = _head(run, shapes)
    per_clip = (shapes.forward - changed if fresh else 0.0) + method.step_cost * changed + HEAD_STEP * head
    waves = clips * (1 + copies) + auxiliary * (1 + copies_auxiliary)
    preparing = 0.0 if stored else waves * shapes.forward
    return preparing + expected.trained * per_clip + expected.judged * (changed + head)


def probe_operations(run: PlannedRun) -> float:
    """Operations of the probes by which states and strengths are chosen on inner folds; 0 where shapes are not known.

    A method that changes blocks, and chooses its own state, chooses among the upper ones, and the probe beside it once
    more among all. Each state is tried under one strength, and the best few of each number of states under all.
    """
    settings = run.settings
    clips, auxiliary, count = clips_of(run), auxiliary_clips_of(run), folds(run)
    shapes = shapes_of(run, settings.audio.seconds or 1.0)  # depth and width alone are taken, which no length changes
    if clips is None or auxiliary is None or count is None or shapes is None:
        return 0.0
    states, strengths = shapes.depth + 1, len(settings.probe.strengths)
    tried = min(states, SHORT_LIST * max(probe_counts(settings, run["method"])))
    choices = 1 + (settings.model.layer == "auto" and METHODS.find(run["method"]).changes_blocks)
    speakers = sum(number for number, _ in _sizes(run, run["corpus"].split("+")))
    untested = 1 - (1 / count if count > 1 else TARGET[2] / sum(TARGET))
    inner = max(2, min(settings.probe.inner_folds, round(speakers * untested)))
    drawn = min(MOST_CLIPS, clips * untested * _speaker_share(run, untested))
    copies, copies_auxiliary = copies_of(run)
    fitted = (1 + copies) * drawn * (1 - 1 / inner) + (1 + copies_auxiliary) * min(MOST_CLIPS, auxiliary)
    fits = count * choices * inner * (states + tried * (strengths - 1))
    return fits * 4.0 * fitted * 2 * shapes.width * len(EMOTIONS) * PROBE_ITERATIONS


def shapes_of(run: PlannedRun, seconds: float | None) -> Operations | None:
    """Operations of the run's encoder on a clip of so many seconds; None where length or configuration is not known."""
    name, drawn = (run.stand_in, True) if run.stand_in else (run["backbone"], run["random_weights"])
    known = configuration(name, random_weights=drawn)
    if known is None or seconds is None:
        return None
    family, config = known
    try:
        return family.operations(config, seconds)
    except (ArithmeticError, TypeError, ValueError):
        return None  # fields of another kind: the run will refuse them


def clips_of(run: PlannedRun) -> int | None:
    """Number of clips in the run's corpora, officially or in a miniature; None for an unknown corpus."""
    clips = [clips for _, clips in _sizes(run, run["corpus"].split("+"))]
    return sum(clips) if all(clips) else None


def auxiliary_clips_of(run: PlannedRun) -> int | None:
    """Number of clips in the corpora that join the training, as `clips_of`."""
    clips = [clips for _, clips in _sizes(run, run.auxiliary)]
    return sum(clips) if all(clips) else None


def copies_of(run: PlannedRun) -> tuple[int, int]:
    """Number of stored copies of each clip, and of each auxiliary clip."""
    augment = run.settings.augment
    copies = len(augment.copies)
    return copies, copies if augment.copies_auxiliary else 0


def _sizes(run: PlannedRun, names: Sequence[str]) -> list[tuple[int, int]]:
    """Speakers and clips of corpora of a run, officially or in a miniature; zeros where they are unknown."""
    if run.stand_in:
        return [miniatures().get(name, (0, 0)) for name in names]
    return [(CORPORA[name].speakers, CORPORA[name].clips) if name in CORPORA else (0, 0) for name in names]


def passes(run: PlannedRun, clips: int, auxiliary: int = 0) -> Passes | None:
    """Passes over all folds and stages; with several folds one validates and one is tested. None for unknown folds.

    `auxiliary` clips join the training of each fold and stage.
    """
    count = folds(run)
    if count is None:
        return None
    training = run.settings.training
    parts = TARGET if count == 1 else (count - 2, 1, 1)
    test = parts[2] / sum(parts)
    train, validation = (_speaker_share(run, 1 - test) * part / sum(parts) for part in parts[:2])
    refitted = train + validation if training.refit else 0.0
    copies, copies_auxiliary = copies_of(run)
    trained = (1 + copies) * (train + refitted) * clips
    trained += (1 + copies_auxiliary) * (1 + training.refit) * auxiliary
    trained *= count * training.epochs
    judged = count * (training.epochs * validation + validation + test) * clips
    # Heads that have not heard the speaker are solved for on the states of all training clips, anew in each epoch.
    return Passes(trained=trained, judged=judged + (trained if training.cross_fit else 0.0))


def _speaker_share(run: PlannedRun, share: float) -> float:
    """Share of the speakers of training and validation that a fold learns from; they are `share` of all speakers."""
    speakers = sum(speakers for speakers, _ in _sizes(run, run["corpus"].split("+")))
    few = run.settings.training.speakers
    return min(1.0, few / (speakers * share)) if few and speakers else 1.0


def folds(run: PlannedRun) -> int | None:
    """Number of folds of a run's split; None for an unknown one."""
    corpus = CORPORA.get(run["corpus"])
    protocol, _, argument = (run["split"] or (corpus and corpus.protocol) or "paper").partition(":")
    if protocol == "kfold":
        return int(argument) if argument.isdigit() else None
    if protocol == "loso":
        return sum(speakers for speakers, _ in _sizes(run, run["corpus"].split("+"))) or None
    if protocol == "published":
        return len(corpus.folds) if corpus else None
    return 1


def _head(run: PlannedRun, shapes: Operations) -> float:
    """Operations of the head on the frames of a clip, in a forward pass."""
    model = run.settings.model
    return 2.0 * shapes.frames * HEADS.find(model.head).frame_products(shapes.width, model.head_width)
