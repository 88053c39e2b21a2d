"""Adversary of a fit: a linear layer that guesses each clip's speaker or gender, against whom the backbone learns.

The layer takes what the statistics head takes. It learns to guess; the gradient that it sends down is reversed, so that
the backbone unlearns what tells the speakers apart (Ganin et al., 2016, Domain-Adversarial Training of Neural Networks,
JMLR 17). It is part of the training alone: the saved model has none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from affetto.errors import UserError
from affetto.models.head_layers import StatisticsHead

NOBODY = -1
"""Index of a clip that the adversary does not guess: its gender is unknown, or it fills up a step."""
STEEPNESS = 10.0
"""Steepness of the rise of the reversed gradient over the training; the value of Ganin et al., section 5.2.2."""


class Adversary(nn.Module):
    """A linear layer from standardised statistics (clips, features) to the voices of the training clips."""

    def __init__(self, features: int, voices: Mapping[str, int], weight: float) -> None:
        super().__init__()
        self.voices, self.weight = voices, weight
        self.out = nn.Linear(features, 1 + max(voices.values()))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def indices(self, ids: Sequence[str]) -> Tensor:
        """Voice of each clip, (clips,), NOBODY where there is none."""
        return torch.tensor([self.voices.get(clip_id, NOBODY) for clip_id in ids])

    def loss(self, standard: Tensor, voices: Tensor, *, progress: float, clips: int) -> Tensor:
        """Cross-entropy of the guesses, summed over these clips and divided by the `clips` of the step.

        `standard` (batch, features), `voices` as `indices` gives them, `progress` of the training between 0 and 1.
        """
        factor = self.weight * rise(progress)
        reversed_ = (1.0 + factor) * standard.detach() - factor * standard
        guesses = self.out(reversed_)
        return nn.functional.cross_entropy(guesses, voices, ignore_index=NOBODY, reduction="sum") / clips


def voices_of(people: Mapping[str, str], clips: Sequence[str], kind: str) -> dict[str, int]:
    """Index of the speaker or gender (`kind`) of each of these clips that has one; `people` by clip id.

    Raises UserError where fewer than two are known.
    """
    drawn = [clip for clip in clips if clip in people]
    indices = {name: index for index, name in enumerate(sorted({people[clip] for clip in drawn}))}
    if len(indices) < 2:
        held = f"all are {next(iter(indices))}" if indices else f"no clip has a {kind}"
        raise UserError(
            f"setting training.adversary={kind}: the training clips are of fewer than two {kind}s ({held}), so "
            "that there is nothing to unlearn: leave it out"
        )
    return {clip: indices[people[clip]] for clip in drawn}


def make_adversary(head: nn.Module, voices: Mapping[str, int], weight: float, device: torch.device) -> Adversary | None:
    """An untrained adversary of the clips' `voices`, beside a statistics head; None where there are none."""
    if not voices:
        return None
    assert isinstance(head, StatisticsHead)
    return Adversary(len(head.centre), voices, weight).to(device)


def rise(progress: float) -> float:
    """Strength of the reversed gradient, from 0 at the start of the training to nearly 1 at its end."""
    return 2.0 / (1.0 + math.exp(-STEEPNESS * progress)) - 1.0
