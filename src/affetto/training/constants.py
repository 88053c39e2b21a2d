"""Constants of a classifier that are fitted on the training clips before the first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from affetto.models.classifier import Classifier
from affetto.models.head_layers import StatisticsHead
from affetto.models.prefix import PrefixData
from affetto.training.batches import by_length
from affetto.training.corpus_scales import CorpusScales
from affetto.training.predict import EVALUATION_BATCH
from affetto.training.task import Task


@torch.no_grad()
def fit_constants(classifier: Classifier, data: PrefixData, task: Task, device: torch.device) -> CorpusScales | None:
    """Standardise the head's input by the training clips, if the head has such constants.

    Changed copies do not count in them, nor do clips that are standardised apart, whose maps are returned.
    """
    classifier.to(device).eval()
    head, apart = classifier.head, task.standardised_apart
    if not isinstance(head, StatisticsHead):
        return None

    def statistics(ids: Sequence[str]) -> tuple[list[str], Tensor]:
        batches = by_length(ids, data.frames, EVALUATION_BATCH)
        rows = [classifier.statistics(*data.batch(batch, device)) for batch in batches]
        return [clip_id for batch in batches for clip_id in batch], torch.cat(rows)

    originals = task.originals
    head.standardise(statistics([clip_id for clip_id in originals if clip_id not in apart])[1])
    if task.head is not None:
        weight, bias = task.head
        head.out.weight.copy_(torch.as_tensor(weight))
        head.out.bias.copy_(torch.as_tensor(bias))
    if not apart:
        return None
    moved = [clip_id for clip_id in apart if clip_id not in task.copies]
    return CorpusScales.fitted(head, dict(zip(*statistics(moved), strict=True)), apart)


def standardise(
    head: StatisticsHead, task: Task, statistics: Mapping[str, Tensor], scales: CorpusScales | None
) -> None:
    """Fit the constants of a head, and the maps in front of it, anew on statistics (features,) of the training clips.

    The clips that count are those of `fit_constants`.
    """
    apart = task.standardised_apart
    head.standardise(torch.stack([statistics[clip_id] for clip_id in task.originals if clip_id not in apart]))
    if scales is not None:
        moved = {clip_id: statistics[clip_id] for clip_id in apart if clip_id not in task.copies}
        scales.restore(CorpusScales.fitted(head, moved, apart).state())
