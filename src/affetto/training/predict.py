"""Prediction from stored prefixes: values of clips (`Target.activate`), and their scores."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from affetto.models.bank import Bank, bucket_widths, width_of
from affetto.models.classifier import Classifier
from affetto.models.graphs import Captured, recorder_of
from affetto.models.prefix import PrefixData
from affetto.training.batches import by_length
from affetto.training.processes import part

EVALUATION_BATCH = 64


class Forward:
    """Values of batches of stored clips; captured where the device can and the clips are packed on it.

    Then batches are filled up to one number of clips and padded to few widths. It lives as long as the fit whose
    epochs it judges.
    """

    def __init__(self, classifier: Classifier, data: PrefixData, device: torch.device) -> None:
        self.classifier, self.data, self.device = classifier, data, device
        recorder, self.captured = recorder_of(device), None
        bank = None if recorder is None else data.bank(device)
        if recorder is not None and bank is not None:
            self.bank, self.widths = bank, bucket_widths(data.frames.values())
            function = partial(_values_of_rows, classifier, bank)
            self.captured = Captured(function, recorder, classifier.trainable().values)

    def __call__(self, ids: Sequence[str]) -> Tensor:
        """(clips, outputs), float64, on the device; at most EVALUATION_BATCH clips."""
        if self.captured is None:
            return self.classifier.target.activate(self.classifier(*self.data.batch(ids, self.device)).double())
        filled = [*ids, *[ids[0]] * (EVALUATION_BATCH - len(ids))]
        width = width_of(max(self.data.frames[clip_id] for clip_id in ids), self.widths)
        return self.captured(width, self.bank.index(filled))[: len(ids)].clone()


def _values_of_rows(classifier: Classifier, bank: Bank, width: int, rows: Tensor) -> Tensor:
    return classifier.target.activate(classifier(*bank.gather(rows, width)).double())


@torch.no_grad()
def clip_statistics(
    classifier: Classifier, data: PrefixData, ids: Sequence[str], accelerator: Accelerator
) -> np.ndarray:
    """Statistics over time of the states that the head sees, (clips, 2 width), float32, in the order of `ids`."""
    classifier.eval()
    batches = by_length(ids, data.frames, EVALUATION_BATCH)
    rows: dict[str, np.ndarray] = {}
    for batch in part(batches, accelerator):
        outputs = classifier.statistics(*data.batch(batch, accelerator.device))
        rows.update(zip(batch, outputs.float().cpu().numpy(), strict=True))
    if accelerator.num_processes > 1:
        rows = {clip_id: row for part_rows in gather_object([rows]) for clip_id, row in part_rows.items()}
    return np.stack([rows[clip_id] for clip_id in ids])


@torch.no_grad()
def predict(
    classifier: Classifier,
    data: PrefixData,
    ids: Sequence[str],
    device: torch.device,
    accelerator: Accelerator | None = None,
    forward: Forward | None = None,
) -> np.ndarray:
    """Values (clips, outputs), in the order of `ids`; a clip's do not depend on its batch.

    With an `accelerator` of several processes each process computes a part of the batches, and all get all rows.
    `forward` is the classifier's, where several calls share it.
    """
    classifier.eval()
    forward = forward or Forward(classifier, data, device)
    if forward.captured is not None:
        forward.captured.refresh()
    batches = by_length(ids, data.frames, EVALUATION_BATCH)
    if accelerator is not None:
        batches = part(batches, accelerator)
    outputs = [forward(batch) for batch in batches]
    rows: dict[str, np.ndarray] = {}
    if outputs:  # one copy: each would wait for the device
        rows.update(zip(itertools.chain(*batches), torch.cat(outputs).cpu().numpy(), strict=True))
    if accelerator is not None and accelerator.num_processes > 1:
        rows = {clip_id: row for part_rows in gather_object([rows]) for clip_id, row in part_rows.items()}
    return np.stack([rows[clip_id] for clip_id in ids])


def validation_scores(
    classifier: Classifier,
    data: PrefixData,
    ids: Sequence[str],
    target: Mapping[str, int | np.ndarray],
    device: torch.device,
    accelerator: Accelerator | None = None,
    forward: Forward | None = None,
) -> dict[str, float]:
    """Scores of clips whose truth is in `target`: to choose an epoch, and for the curve."""
    values = predict(classifier, data, ids, device, accelerator, forward=forward)
    return classifier.target.validation_scores(values, np.array([target[i] for i in ids]))
