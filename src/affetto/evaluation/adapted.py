"""Tests of a model that adapts to each tested speaker: by that speaker's other clips, without their labels.

Another protocol than that of `testing.evaluate`, whose model has heard nothing of the speaker; reports keep the two
apart. A clip has no part in the adaptation by which it is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from affetto.audio import AudioError
from affetto.corpora.manifest import Clip
from affetto.errors import UserError
from affetto.evaluation.parts import Part, Parts, load_as_tested, once
from affetto.evaluation.parts import parts_of as parts_of_test
from affetto.evaluation.testing import (
    CorpusLike,
    TestClips,
    decision_of,
    new_folder,
    read_test_clips,
    row_of,
    specs_of,
    summary,
    write_test,
)
from affetto.inference.adaptation import Adaptable, parts_of
from affetto.inference.predictor import Predictor
from affetto.training.clips import refuse_or_name

ADAPTED = "adapted"
"""Field of `metrics.json` that only such a test has."""
NOT_ADAPTED = (
    "tests adapt to speakers only single models with head=statistics that affetto trained (the recommended recipe's), "
    "no means of several models, exports or models of others: leave --calibrate out"
)


def evaluate_adapted(
    run: str | Path,
    corpora: CorpusLike | Sequence[CorpusLike],
    *,
    labels: dict[str, str] | None = None,
    keep_other: bool = False,
    out: str | Path | None = None,
    include_seen: bool = False,
    skip_bad: bool = False,
    device: str = "auto",
    backbone: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> dict[str, Any]:
    """Test the model of `run` as `evaluate` does, adapted to each tested speaker by the speaker's other clips.

    Arguments and result are those of `testing.evaluate`. `adapted` in the result has the number of speakers, the
    fewest and the most clips by which an answer was adapted, the number of clips whose speaker has no other, and that
    of speakers whose clips have less than half of the labels of all; such clips mislead, and `say` is told. Of a run
    with folds that tested these clips, each is answered by the fold's model that has not heard its speaker. Raises
    UserError as `evaluate` does, and for a model that cannot be adapted.
    """
    models = _Models(run, device, backbone, once(say))
    folder = new_folder(out)
    clips = read_test_clips(specs_of(corpora), labels or {}, keep_other=keep_other, skip_bad=skip_bad, say=say)
    parts = parts_of_test(run, clips, target_of_model=lambda: models.whole.target, include_seen=include_seen, say=say)
    rows: list[dict[str, Any]] = []
    cards: list[dict[str, Any]] = []
    done = 0
    for part in parts.parts:
        predictor = models.of(part, parts)
        statistics: dict[str, np.ndarray] = {}
        for clip, result in _statistics(parts_of(predictor), part, clips):
            done += 1
            progress(done, len(parts.clips))
            if isinstance(result, AudioError):
                parts.left_out["unusable"][clip.id] = str(result)
                refuse_or_name({clip.id: str(result)}, len(clips.manifest.clips), skip_bad, say)
            else:
                statistics[clip.id] = result
        rows += _rows(predictor, part, statistics, several=clips.several)
        cards += [predictor.card] * len(statistics)
    if not rows:
        raise UserError(f"none of the {len(parts.clips)} clips could be used; mend them")
    metrics = summary(run, parts.target, clips, rows=rows, left_out=parts.left_out, cards=cards)
    facts = _facts(rows)
    if facts["one_sided"]:
        say(
            f"note: {facts['one_sided']} of {facts['speakers']} speakers have clips of less than half of the labels: "
            "what they feel is taken for their voice, and the model unlearns it"
        )
    metrics |= {"include_seen": include_seen, "by_folds": parts.by_folds, ADAPTED: facts}
    write_test(folder, rows, metrics)
    return metrics


@dataclass(frozen=True)
class _Models:
    """The tested models: those of a run's folds, or the whole run's."""

    model: str | Path
    device: str
    backbone: str | None
    say: Callable[[str], None]
    """Takes the notes on a model, such as the licence of its training corpora."""

    @cached_property
    def whole(self) -> Predictor:
        """The predictor that answers all clips, where no folds do."""
        return self._load(self.model)

    def of(self, part: Part, parts: Parts) -> Predictor:
        """The predictor of a part."""
        return self._load(part.model) if parts.by_folds else self.whole

    def _load(self, model: str | Path) -> Predictor:
        predictor = load_as_tested(model, self.device, self.backbone)
        for note in predictor.notes:
            self.say(f"note: {note}")
        if not predictor.adapts:
            raise UserError(f"{model}: {NOT_ADAPTED}")
        return predictor


def _statistics(model: Adaptable, part: Part, clips: TestClips) -> Iterator[tuple[Clip, np.ndarray | AudioError]]:
    """Statistics (2 width,) of each clip of a part, or its error."""
    results = model.stream_statistics(clips.sources[clip.id] for clip in part.clips)
    return zip(part.clips, results, strict=True)


def _rows(
    predictor: Predictor, part: Part, statistics: Mapping[str, np.ndarray], *, several: bool
) -> list[dict[str, Any]]:
    """Lines of the predictions file, in the order of the clips that have statistics."""
    used = [clip for clip in part.clips if clip.id in statistics]
    speakers = [clip.speaker for clip in used]
    features = np.stack([statistics[clip.id] for clip in used]) if used else np.zeros((0, 0))
    values = adapted_values(predictor, features, speakers)
    decision = decision_of(predictor.card)
    return [
        row_of(clip, predictor.target, row, decision=decision, several=several)
        for clip, row in zip(used, values, strict=True)
    ]


def adapted_values(predictor: Predictor, statistics: np.ndarray, speakers: Sequence[str]) -> list[np.ndarray]:
    """Values (outputs,) of each clip, by the model adapted to its speaker by the speaker's other clips.

    `statistics` (clips, 2 width) and `speakers` (clips,). A clip whose speaker has no other is answered by the model as
    it is.
    """
    names = np.array(speakers)
    values = []
    for number, speaker in enumerate(speakers):
        others = np.flatnonzero((names == speaker) & (np.arange(len(names)) != number))
        model = predictor
        if len(others):
            model = parts_of(predictor).adapted(statistics[others])
        values.append(parts_of(model).values_of_statistics(statistics[number : number + 1])[0])
    return values


def _facts(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Numbers of speakers, of the clips that answers were adapted by, of clips alone, and of one-sided speakers.

    A target without a single label for each clip has no one-sided speakers.
    """
    labels: dict[Any, list[Any]] = {}
    for row in rows:
        labels.setdefault((row.get("corpus"), row["speaker"]), []).append(row.get("truth"))
    others = [len(own) - 1 for own in labels.values()]
    every = {str(label) for own in labels.values() for label in own}
    one_sided = sum(len(own) > 1 and 2 * len(set(map(str, own))) < len(every) for own in labels.values())
    return {
        "speakers": len(labels),
        "clips": [min(others), max(others)],
        "alone": others.count(0),
        "one_sided": one_sided,
    }
