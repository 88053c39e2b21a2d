"""What a classifier makes of clips whose prefixes are stored: probabilities, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from sklearn.metrics import f1_score

from affetto.models.classifier import Classifier
from affetto.models.prefix import PrefixData
from affetto.training.batches import by_length
from affetto.training.processes import part

EVALUATION_BATCH = 64


@torch.no_grad()
def predict(
    classifier: Classifier, data: PrefixData, ids: Sequence[str], device: torch.device,
    accelerator: Accelerator | None = None,
) -> np.ndarray:  # fmt: skip
    """Probabilities (clips, classes) of the clips in the order given; a clip's do not depend on its batch.

    With an `accelerator` of several processes each computes some of the batches, and all get the whole.
    """
    classifier.eval()
    batches = by_length(ids, data.frames, EVALUATION_BATCH)
    rows: dict[str, np.ndarray] = {}
    for batch in batches if accelerator is None else part(batches, accelerator):
        logits = classifier(*data.batch(batch, device))
        rows.update(zip(batch, torch.softmax(logits.double(), dim=1).cpu().numpy(), strict=True))
    if accelerator is not None and accelerator.num_processes > 1:
        rows = {clip_id: row for some in gather_object([rows]) for clip_id, row in some.items()}
    return np.stack([rows[clip_id] for clip_id in ids])


def measure(
    classifier: Classifier, data: PrefixData, ids: Sequence[str], target: Mapping[str, int], device: torch.device,
    accelerator: Accelerator | None = None,
) -> dict[str, float]:  # fmt: skip
    """Cross-entropy, macro F1 and UAR on clips: for choosing an epoch, and for the learning curve."""
    probabilities = predict(classifier, data, ids, device, accelerator)
    truth = np.array([target[i] for i in ids])
    predicted = probabilities.argmax(1)
    return {
        "loss": float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).mean()),
        "macro_f1": float(f1_score(truth, predicted, average="macro", zero_division=0)),
        # Mean recall over the classes that occur; scikit-learn's own warns where others are predicted.
        "uar": float(np.mean([(predicted[truth == c] == c).mean() for c in np.unique(truth)])),
    }
