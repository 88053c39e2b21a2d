"""What a classifier makes of clips whose prefixes are stored: probabilities, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from sklearn.metrics import f1_score

from affetto.models.classifier import Classifier
from affetto.models.prefix import PrefixData
from affetto.training.batches import by_length

EVALUATION_BATCH = 64


@torch.no_grad()
def predict(classifier: Classifier, data: PrefixData, ids: Sequence[str], device: torch.device) -> np.ndarray:
    """Probabilities (clips, classes) of the clips in the order given; a clip's do not depend on its batch."""
    classifier.eval()
    rows: dict[str, np.ndarray] = {}
    for batch in by_length(ids, data.frames, EVALUATION_BATCH):
        logits = classifier(*data.batch(batch, device))
        rows.update(zip(batch, torch.softmax(logits.double(), dim=1).cpu().numpy(), strict=True))
    return np.stack([rows[clip_id] for clip_id in ids])


def measure(
    classifier: Classifier, data: PrefixData, ids: Sequence[str], target: Mapping[str, int], device: torch.device
) -> dict[str, float]:
    """Cross-entropy, macro F1 and UAR on clips: for choosing an epoch, and for the learning curve."""
    probabilities = predict(classifier, data, ids, device)
    truth = np.array([target[i] for i in ids])
    predicted = probabilities.argmax(1)
    return {
        "loss": float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-12)).mean()),
        "macro_f1": float(f1_score(truth, predicted, average="macro", zero_division=0)),
        # Mean recall over the classes that occur; scikit-learn's own warns where others are predicted.
        "uar": float(np.mean([(predicted[truth == c] == c).mean() for c in np.unique(truth)])),
    }
