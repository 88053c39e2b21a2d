"""Size of each hidden state, and its share of the pooled state: the effect of an ablation on the states."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from affetto.models.classifier import Classifier


@torch.no_grad()
def measure(classifier: Classifier, waves: Iterable[np.ndarray]) -> dict[str, Any]:
    """Sizes of each of the L+1 states over all frames of these waves, each (samples,) at 16 kHz, as JSON:

    `rms`    the root of the mean square of its elements, as the blocks make it, before any normalisation
    `share`  its part of the pooled state: with the weights c and h normalised as pooling has it,
             p = Σ c_i h_i, the share of state i is Σ ⟨c_i h_i, p⟩ / Σ ⟨p, p⟩ over frames. Shares sum to one; one
             below zero points away from what the others make.
    """
    states_in_all = classifier.backbone.depth + 1
    squares, along = torch.zeros(states_in_all).double(), torch.zeros(states_in_all).double()
    clips = frames = 0
    for wave in waves:
        states = classifier.states(wave).double().cpu()  # (L+1, frames, width)
        weights = classifier.pooling.coefficients().double().cpu()[:, None, None]
        weighted = weights * classifier.pooling.normalise(states)
        along += (weighted * weighted.sum(0)).sum((1, 2))
        squares += (states**2).mean(2).sum(1)
        frames, clips = frames + states.shape[1], clips + 1
    if not clips:
        raise ValueError("no waves to measure states on")
    return {
        "clips": clips,
        "frames": frames,
        "rms": [float(f"{value:.6g}") for value in torch.sqrt(squares / frames).tolist()],
        "share": [round(value, 6) for value in (along / along.sum()).tolist()],
    }
