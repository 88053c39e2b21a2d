"""Testing of a trained run on another corpus: labels mapped, training clips left out, all exclusions reported."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.audio import AudioError
from affetto.corpora.content import Content
from affetto.corpora.labels import DROP
from affetto.corpora.manifest import Clip, Manifest
from affetto.errors import UserError
from affetto.evaluation.confidence import confidence_of
from affetto.evaluation.contamination import origin_notes, outside_fields
from affetto.evaluation.seen import Overlap, TrainedOn, trained_on
from affetto.inference.loading import load
from affetto.inference.predictor import Prediction, Predictor
from affetto.inference.speeds import check_speeds
from affetto.models.prefix import Source
from affetto.targets.registry import target_fields
from affetto.targets.target import Target
from affetto.training.clips import read_clips, refuse_or_name
from affetto.training.contents import contents_of
from affetto.training.folds import known_of
from affetto.training.runs import METRICS, PREDICTIONS, TRAINED_ON, RunFolder
from affetto.training.spec import CorpusSpec

CorpusLike = CorpusSpec | str | Path


def evaluate(
    run: str | Path,
    corpora: CorpusLike | Sequence[CorpusLike],
    *,
    labels: dict[str, str] | None = None,
    label_map: Mapping[str, str] | None = None,
    keep_other: bool = False,
    out: str | Path | None = None,
    include_seen: bool = False,
    skip_bad: bool = False,
    speeds: Sequence[float] = (),
    device: str = "auto",
    backbone: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> dict[str, Any]:
    """Test the model of `run` on one or several corpora, each a `CorpusSpec` or a path.

    Returns the content of the `metrics.json` that is written into `out`, if given: `test` has the scores, `left_out`
    the clips that were not tested, `confidence` the calibration. `labels` maps emotions of the corpus to those of the
    model, `label_map` outputs of an outside model to emotions; `keep_other` keeps labels of the corpus beside the seven
    emotions, which the model may know. `speeds` are those at which each clip is played too, its answers averaged
    (test-time augmentation).

    Clips of emotions that the model does not know are left out, and so are unusable clips with `skip_bad`. Unless
    `include_seen`, clips that the model was trained on are left out, however they are stored, and other clips of the
    same speakers. The scores are over the emotions of the corpus that the model knows; a prediction of another
    emotion is an error. Of a model of dimensions the clips that lack a value are left out. Raises UserError for a
    corpus or a model that cannot be read, for a corpus that lacks the model's target or has it on another scale, and
    where no clip is left.
    """
    corpora = specs_of(corpora)
    # As the run was tested: a long clip's beginning, and probabilities as the model gives them.
    predictor = load(run, device=device, backbone=backbone, long_clips="cropped", calibrate=False, label_map=label_map)
    folder = new_folder(out)
    clips = read_test_clips(corpora, labels or {}, keep_other=keep_other, skip_bad=skip_bad, say=say)
    predictor = predictor.on_scales(clips.manifest.dimensions)
    predictor.speeds = check_speeds(speeds)
    corpora_names = sorted({clip.corpus for clip in clips.manifest.clips})
    for note in (*predictor.notes, *origin_notes(predictor.card, corpora_names)):
        say(f"note: {note}")
    target = predictor.target
    tested, left_out = choose(clips, target, trained_on(Path(run)), include_seen=include_seen, say=say)
    rows = []
    for clip, result in _results(predictor, tested, clips.sources, progress):
        if isinstance(result, AudioError):
            left_out["unusable"][clip.id] = str(result)
            refuse_or_name({clip.id: str(result)}, len(clips.manifest.clips), skip_bad, say)
        else:
            rows.append(_row_of_answer(clip, predictor, result, several=clips.several))
    if not rows:
        raise UserError(f"none of the {len(tested)} clips could be used; mend them")
    cards = [predictor.card] * len(rows)
    metrics = summary(run, target, clips, rows=rows, left_out=left_out, cards=cards) | {"include_seen": include_seen}
    metrics |= outside_fields(predictor, corpora_names)
    if speeds:
        metrics["speeds"] = list(predictor.speeds)
    write_test(folder, rows, metrics)
    return metrics


def _row_of_answer(clip: Clip, predictor: Predictor, answer: Prediction, *, several: bool) -> dict[str, Any]:
    """Make a line of the predictions file from a predictor's answer."""
    values = np.array([*answer.probabilities.values(), *answer.dimensions.values()])
    return row_of(clip, predictor.target, values, decision=decision_of(predictor.card), several=several)


@dataclass(frozen=True)
class TestClips:
    """Clips of one or several corpora that a model is tested on, with their files and digests."""

    __test__ = False  # for pytest: no class of tests

    manifest: Manifest
    sources: dict[str, Source]
    digests: dict[str, str]
    bad: dict[str, str]
    """Problem of each clip that cannot be read, by id."""
    several: bool = False

    def digest(self, *, with_annotations: bool = False) -> str:
        """SHA-256 over names, labels and audio; `with_annotations` over ratings and dimensions too."""
        audio = "".join(self.digests.get(clip.id, "") for clip in self.manifest.clips)
        checksum = self.manifest.checksum(with_annotations=with_annotations)
        return hashlib.sha256(f"{checksum} {audio}".encode()).hexdigest()

    @cached_property
    def contents(self) -> dict[str, Content]:
        """Content of each clip, by id; clips that cannot be decoded are left out."""
        return contents_of(self.sources, self.digests)


def read_test_clips(
    corpora: tuple[CorpusSpec, ...],
    labels: dict[str, str],
    *,
    keep_other: bool = False,
    skip_bad: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> TestClips:
    """Read the clips of corpora to test on. Raises UserError for unreadable clips unless they are skipped."""
    manifest, sources, digests, bad = read_clips(corpora, labels, say, keep_other=keep_other)
    if bad:
        refuse_or_name(bad, len(manifest.clips), skip_bad, say)
    return TestClips(manifest=manifest, sources=sources, digests=digests, bad=bad, several=len(corpora) > 1)


def choose(
    clips: TestClips,
    target: Target,
    trained: TrainedOn,
    *,
    include_seen: bool = False,
    leave_out: Set[str] = frozenset(),
    say: Callable[[str], None] = lambda _: None,
) -> tuple[list[Clip], dict[str, Any]]:
    """Choose the clips to test on; also returns what was left out: those that the target cannot be tested on (of
    unknown emotions, without a value), and clips in `trained`.

    Ids in `leave_out` are left out silently. Raises UserError for a corpus that lacks the target, and where no clip
    remains.
    """
    target.check_test(clips.manifest)
    if not trained.is_known:
        say(f"note: no {TRAINED_ON} lists the clips that the model was trained on: they are tested as well")
    usable = [clip for clip in clips.manifest.clips if clip.id not in clips.bad and clip.id not in leave_out]
    obstacles = {clip.id: target.obstacle(clip) for clip in usable}
    unknown_emotions = Counter(reason for reason in obstacles.values() if reason)
    candidates = [clip for clip in usable if not obstacles[clip.id]]
    reasons = trained.reasons(candidates, clips.digests, clips.contents if trained.contents else {})
    overlap = Overlap.of(candidates, reasons)
    tested = candidates if include_seen else [clip for clip in candidates if clip.id not in reasons]
    for line in _left_out(unknown_emotions, overlap, target, include_seen):
        say(line)
    if not tested:
        raise UserError(
            f"nothing is left to test on of {len(clips.manifest.clips)} clips: {overlap}, "
            f"{unknown_emotions.total()} {_reason(target)}. Map labels with --label "
            "NAME=EMOTION; --include-seen tests on training clips too; a corpus of other people that has the training "
            "corpus's name by chance needs one of its own: --corpus NAME=PATH"
        )
    return tested, {
        "unknown_emotions": dict(sorted(unknown_emotions.items())),
        "dropped_labels": _dropped_labels(clips.manifest),
        "trained_on": len(candidates) - len(tested),
        "trained_on_by": overlap.to_json(),
        "unusable": dict(clips.bad),
    }


def _dropped_labels(manifest: Manifest) -> dict[str, int]:
    """Clips per label that were left out when the corpus was read: by its rule, or by the user's label map."""
    dropped: Counter[str] = Counter()
    for change in manifest.relabelled or ():
        if change.target == DROP:
            dropped[change.label] += change.clips
    return dict(sorted(dropped.items()))


def summary(
    run: str | Path,
    target: Target,
    clips: TestClips,
    *,
    rows: list[dict[str, Any]],
    left_out: dict[str, Any],
    cards: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """Compute the content of `metrics.json` from the rows of predictions, uncalibrated.

    `cards` (rows,) are those of the models that predicted each row; all have the one target.
    """
    card = cards[-1]
    return {
        "test": target.scores(rows),
        "run": str(run),
        "identity": card["run"],
        "trained_on": card["corpus"],
        "trained_on_synthetic": card["synthetic"],
        "affetto": card["affetto"],
        "corpus": clips.manifest.corpus,
        "synthetic": clips.manifest.synthetic,
        "left_out": left_out,
        "confidence": confidence_of(target, rows, [card.get("confidence") or {} for card in cards]),
        **target_fields(target),
    }


def specs_of(corpora: CorpusLike | Sequence[CorpusLike]) -> tuple[CorpusSpec, ...]:
    """Corpora to test on: one or several, each a `CorpusSpec` or a path."""
    items = [corpora] if isinstance(corpora, CorpusSpec | str | Path) else corpora
    return tuple(CorpusSpec.model_validate(item) for item in items)


def _results(
    predictor: Predictor, clips: list[Clip], sources: Mapping[str, Any], progress: Callable[[int, int], None]
) -> Iterator[tuple[Clip, Prediction | AudioError]]:
    """Predict each clip, and report to `progress`."""
    results = predictor.stream_sources(sources[clip.id] for clip in clips)
    for n, (clip, result) in enumerate(zip(clips, results, strict=True), 1):
        progress(n, len(clips))
        yield clip, result


def _left_out(emotions: Counter[str], overlap: Overlap, target: Target, include_seen: bool) -> list[str]:
    lines = []
    if emotions:
        counts = ", ".join(f"{name} ({clips})" for name, clips in sorted(emotions.items()))
        advice = f"the model knows {', '.join(target.labels)}; map others with --label NAME=EMOTION"
        lines.append(f"left out: {counts}" + (f": {advice}" if target.labels else ""))
    if overlap.clips and include_seen:
        lines.append(f"note: the scores are flattered by {overlap}")
    elif overlap.clips:
        lines.append(f"left out: {overlap}; --include-seen tests on them too")
    return lines


def _reason(target: Target) -> str:
    """Reason for which clips are left out, after their number."""
    return "have an emotion that the model does not know" if target.labels else "lack a value"


def decision_of(card: Mapping[str, Any]) -> Any:
    """Constants by which the model with this card decides (`Target.decision`); None where it has none."""
    return (card.get("confidence") or {}).get("thresholds")


def row_of(
    clip: Clip, target: Target, values: NDArray[Any], *, decision: Any = None, several: bool = False
) -> dict[str, Any]:
    """Make a line of the predictions file from the values (outputs,) of a clip."""
    row: dict[str, Any] = {"file": clip.name, "speaker": clip.speaker, **target.truth_fields(clip)}
    row |= target.fields(values, decision)
    if several:
        row["corpus"] = clip.corpus
    return row | known_of(clip)


def new_folder(out: str | Path | None) -> RunFolder | None:
    """The folder for a result, which must be new or empty; None where none is wanted."""
    if out is None:
        return None
    folder = RunFolder(Path(out))
    folder.examine("")
    return folder


def write_test(folder: RunFolder | None, rows: list[dict[str, Any]], metrics: dict[str, Any]) -> None:
    """Write the predictions of a test and its metrics into its folder, if there is one."""
    if folder is not None:
        folder.write_lines(PREDICTIONS["test"], rows)
        folder.write(METRICS, metrics)
