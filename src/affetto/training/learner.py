"""Gradient steps of a classifier: the clips of a step, augmented and masked, and their loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from affetto.models.classifier import Classifier, Prefix
from affetto.models.head_layers import StatisticsHead
from affetto.models.prefix import PrefixData
from affetto.training import augment as augmentation
from affetto.training.batches import plan
from affetto.training.loss import Loss
from affetto.training.processes import part, reseed, sum_in_place
from affetto.training.sections import AugmentSettings, TrainingSettings


@dataclass(frozen=True)
class Task:
    """Clips that a fit learns from, by id, the class of each, and the clips that its best epoch is chosen by.

    `validation` None: nothing to choose by, the last epoch stands (the final model of a run with folds).
    """

    train: tuple[str, ...]
    validation: tuple[str, ...] | None
    target: Mapping[str, int]
    seed: int
    epochs: int
    identity: str
    """The run's, and the fold's name: a checkpoint of another one is not taken."""
    head: tuple[np.ndarray, np.ndarray] | None = None
    """Weight (classes, features) and bias that a statistics head starts from, in standardised features; then the
    untrained model, epoch 0, may be chosen too."""

    def classes(self, ids: Sequence[str], device: torch.device | None = None) -> Tensor:
        """Class indices of clips: (clips,)."""
        return torch.tensor([self.target[clip_id] for clip_id in ids], device=device)


@dataclass(frozen=True)
class Batch:
    """This process's clips of a step."""

    ids: list[str]
    prefix: Prefix
    lengths: Tensor
    targets: Tensor
    weights: Tensor
    """Factor of each clip's loss in that of the step, (clips,): one part of the weight of all its clips."""
    share: float
    """Weight of these clips' loss in that of the step: 1.0 of one process."""
    clips: int
    """Clips of the step, over all processes."""


@dataclass(kw_only=True)
class Learner:
    """Batches and gradients of a fit. `begin` comes before the steps of each epoch."""

    classifier: Classifier
    data: PrefixData
    task: Task
    settings: TrainingSettings
    augment: AugmentSettings
    accelerator: Accelerator
    loss: Loss
    losses: list[Tensor] = field(default_factory=list)
    """Sums over the clips of each step since `take_losses`, on the device."""

    def begin(self, epoch: int) -> int:
        """Plan the batches of an epoch; returns their number."""
        s, task = self.settings, self.task
        self.epoch = epoch
        self.batches = plan(task.train, self.data.frames, s.batch_size, s.length_window, seed=task.seed, epoch=epoch)
        self.trained: list[nn.Parameter] = list(self.classifier.trainable().values())
        self.classifier.train()
        return len(self.batches)

    def prepare(self, step: int) -> Batch:
        """The batch of a step of the fit.

        Where a step has fewer clips than there are processes, some take a clip that then weighs nothing.
        """
        clips = self.batches[step % len(self.batches)]
        ids, weights = part(clips, self.accelerator), self.loss.weights
        share, total = (math.fsum(weights[self.task.target[i]] for i in group) for group in (ids, clips))
        ids = ids or clips[:1]
        prefix, lengths = self._inputs(ids)
        device = self.accelerator.device
        return Batch(
            ids=ids,
            prefix=prefix,
            lengths=lengths,
            targets=self.task.classes(ids, device),
            weights=torch.full((len(ids),), 1 / total if share else 0.0, device=device),
            share=share / total,
            clips=len(clips),
        )

    def learn(self, step: int, batch: Batch) -> None:
        """Compute the gradients of a step."""
        reseed(self.accelerator, self.task.seed, self.epoch, step % len(self.batches))
        loss = (self.loss.per_clip(self._logits(batch), batch.targets) * batch.weights).sum()
        penalty = self.classifier.method.penalty()
        loss = loss if penalty is None else loss + penalty * batch.share
        self.accelerator.backward(loss)
        total = loss.detach()
        gradients = [parameter.grad for parameter in self.trained if parameter.grad is not None]
        sum_in_place([total, *gradients], self.accelerator)
        self.losses.append(total * batch.clips)

    def take_losses(self) -> list[float]:
        """Losses of the steps since the last call, each summed over its clips."""
        values: list[float] = torch.stack(self.losses).tolist() if self.losses else []
        self.losses.clear()
        return values

    def _inputs(self, ids: list[str]) -> tuple[Prefix, Tensor]:
        """Stored prefixes, or those of waves augmented anew, masked as set; and their lengths (clips,)."""
        a, seed, epoch, device = self.augment, self.task.seed, self.epoch, self.accelerator.device
        if a.waveform:
            noise, speed = a.noise_snr_db, a.speed

            def changed(clip_id: str, samples: np.ndarray) -> np.ndarray:
                random = augmentation.chance(seed, epoch, clip_id)
                return augmentation.wave(samples, random, noise_snr_db=noise, speed=speed)

            prefix, lengths = self.data.fresh_batch(ids, device, changed)
        else:
            prefix, lengths = self.data.batch(ids, device)
        share = 0.0 if self.masks_statistics else a.feature_mask
        masked = augmentation.masks(prefix, lengths, ids, seed, epoch, time_mask=a.time_mask, feature_mask=share)
        return masked, lengths

    @property
    def masks_statistics(self) -> bool:
        """True if features are masked in the statistics of frozen states: a zero in the states would be an outlier."""
        frozen = self.classifier.frozen and isinstance(self.classifier.head, StatisticsHead)
        return frozen and self.augment.feature_mask > 0

    def mask_statistics(self, statistics: Tensor, ids: Sequence[str]) -> Tensor:
        """Statistics of clips (clips, 2 width) with features set to the training clips' mean."""
        head, share = self.classifier.head, self.augment.feature_mask
        assert isinstance(head, StatisticsHead)
        return augmentation.masked_features(statistics, ids, self.task.seed, self.epoch, share=share, fill=head.centre)

    def _logits(self, batch: Batch) -> Tensor:
        """(clips, classes); statistics are masked by the training clips' mean."""
        head = self.classifier.head
        if not self.masks_statistics:
            return self.classifier(batch.prefix, batch.lengths)
        assert isinstance(head, StatisticsHead)
        statistics = self.classifier.statistics(batch.prefix, batch.lengths)
        return head.classify(self.mask_statistics(statistics, batch.ids))
