"""Prediction from stored prefixes: probabilities of clips, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from affetto.measures.classification import MACRO_F1, UAR
from affetto.measures.measure import ClassMeasure
from affetto.measures.probability import LOG_LOSS
from affetto.models.classifier import Classifier
from affetto.models.prefix import PrefixData
from affetto.training.batches import by_length
from affetto.training.processes import part

EVALUATION_BATCH = 64
VALIDATED: dict[str, ClassMeasure] = {"loss": LOG_LOSS, "macro_f1": MACRO_F1, "uar": UAR}
"""Measures of the validation clips after an epoch, by their names in the log and in `training.select`."""


@torch.no_grad()
def predict(
    classifier: Classifier,
    data: PrefixData,
    ids: Sequence[str],
    device: torch.device,
    accelerator: Accelerator | None = None,
) -> np.ndarray:
    """Probabilities (clips, classes), in the order of `ids`; a clip's do not depend on its batch.

    With an `accelerator` of several processes each process computes a part of the batches, and all get all rows.
    """
    classifier.eval()
    batches = by_length(ids, data.frames, EVALUATION_BATCH)
    rows: dict[str, np.ndarray] = {}
    for batch in batches if accelerator is None else part(batches, accelerator):
        logits = classifier(*data.batch(batch, device))
        rows.update(zip(batch, torch.softmax(logits.double(), dim=1).cpu().numpy(), strict=True))
    if accelerator is not None and accelerator.num_processes > 1:
        rows = {clip_id: row for part_rows in gather_object([rows]) for clip_id, row in part_rows.items()}
    return np.stack([rows[clip_id] for clip_id in ids])


def validation_scores(
    classifier: Classifier,
    data: PrefixData,
    ids: Sequence[str],
    target: Mapping[str, int],
    device: torch.device,
    accelerator: Accelerator | None = None,
) -> dict[str, float]:
    """Log loss, macro F1 and UAR of clips whose classes are in `target`: to choose an epoch, and for the curve."""
    probabilities = predict(classifier, data, ids, device, accelerator)
    truth = np.array([target[i] for i in ids])
    return {name: measure.of_predictions(probabilities, truth) for name, measure in VALIDATED.items()}
