"""Task of a fit: the clips that it learns from, their truth, and the clips that its best epoch is chosen by."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from affetto.training.cross_fit import CrossFit
from affetto.training.noise import Noise


@dataclass(frozen=True)
class Task:
    """Clips that a fit learns from, by id, the truth of each, and the clips that its best epoch is chosen by.

    `validation` None: nothing to choose by, the last epoch stands (the final model of a run with folds).
    """

    train: tuple[str, ...]
    validation: tuple[str, ...] | None
    target: Mapping[str, int | np.ndarray]
    """Truth of each clip, as `Target.encode` gives it: a class index or a row of numbers."""
    seed: int
    epochs: int
    identity: str
    """The run's, and the fold's name: a checkpoint of another one is not taken."""
    head: tuple[np.ndarray, np.ndarray] | None = None
    """Weight (outputs, features) and bias that a statistics head starts from, in standardised features; then the
    untrained model, epoch 0, may be chosen too."""
    factors: Mapping[str, float] = field(default_factory=dict)
    """Factor on the loss of clips; 1 for a clip without one."""
    standardised_apart: Mapping[str, str] = field(default_factory=dict)
    """Corpus of each training clip that a statistics head takes standardised by that corpus (`CorpusScales`)."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """Clip of each changed copy. Neither class weights nor the head's constants depend on copies."""
    noise: Noise | None = None
    """Recordings that are added to the waves of clips, where noise is; None: white noise."""
    voices: Mapping[str, int] = field(default_factory=dict)
    """Index of each training clip's speaker or gender, which an adversary guesses; {}: there is no adversary."""
    strata: Mapping[str, Hashable] = field(default_factory=dict)
    """Stratum of each training clip, all of which have as many clips in an epoch; {}: an epoch has each clip once."""
    cross_fit: CrossFit | None = None
    """Groups of the training clips, each of which is classified by a head of the others' clips; None: the model's own
    head classifies all, and is stepped."""

    @property
    def originals(self) -> tuple[str, ...]:
        """The training clips that are no copies."""
        return tuple(clip_id for clip_id in self.train if clip_id not in self.copies)

    def truth(self, ids: Sequence[str], device: torch.device | None = None) -> Tensor:
        """Truth of clips: class indices (clips,), or numbers (clips, columns), float32."""
        return torch.as_tensor(np.array([self.target[clip_id] for clip_id in ids]), device=device)

    def factors_of(self, ids: Sequence[str]) -> Tensor | None:
        """Factor on the loss of each clip, (clips,); None where all are 1."""
        return torch.tensor([self.factors.get(clip_id, 1.0) for clip_id in ids]) if self.factors else None

    def factors_of_originals(self) -> Tensor | None:
        """Sum of the factors of each original and its copies, (originals,); None where all are 1."""
        if not self.copies:
            return self.factors_of(self.train)
        sums = dict.fromkeys(self.originals, 0.0)
        for clip_id in self.train:
            sums[self.copies.get(clip_id, clip_id)] += self.factors.get(clip_id, 1.0)
        return torch.tensor(list(sums.values()))
