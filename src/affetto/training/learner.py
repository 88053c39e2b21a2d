"""Gradient steps of a classifier: the clips of a step, augmented and masked, and their loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from affetto.models.classifier import Classifier, Prefix
from affetto.models.device import send
from affetto.models.head_layers import StatisticsHead
from affetto.models.prefix import PrefixData
from affetto.targets.losses import MeanLoss
from affetto.targets.target import Loss
from affetto.training import augment as augmentation
from affetto.training.adversary import NOBODY, Adversary
from affetto.training.augment_settings import AugmentSettings
from affetto.training.batches import draw_evenly, plan
from affetto.training.checkpoint import with_prefix, without_prefix
from affetto.training.corpus_scales import CorpusScales
from affetto.training.cross_heads import CrossHeads
from affetto.training.mixtures import Mixture, Partner, draw_partners
from affetto.training.processes import part, reseed, sum_in_place
from affetto.training.sections import TrainingSettings
from affetto.training.task import Task
from affetto.training.waves import Waves


def make_loss(classifier: Classifier, task: Task, settings: TrainingSettings) -> Loss:
    """The loss of a fit, by the originals among its training clips: of several draws of dropout, the mean."""
    loss = classifier.target.loss(task.truth(task.originals), settings.loss_settings, task.factors_of_originals())
    draws = classifier.head.dropout_samples if isinstance(classifier.head, StatisticsHead) else 1
    return loss if draws == 1 else MeanLoss(loss, draws)


@dataclass(frozen=True)
class Batch:
    """This process's clips of a step."""

    prefix: Prefix
    lengths: Tensor
    targets: Tensor
    weights: Tensor
    """Factor of each clip's loss in that of the step, (clips,), as `Learner.factors` gives it."""
    masks: Tensor | None
    """Frames and features that are masked, as `augment.stretches` draws them; None: none are."""
    corpora: Tensor | None
    """Row of each clip's corpus in `CorpusScales`, (clips,); None: all are standardised by the head's constants."""
    voices: Tensor | None
    """Index of each clip's voice, (clips,), which the adversary guesses; None without one."""
    groups: Tensor | None
    """Group of each clip, (clips,), whose head classifies it; None: the model's own head classifies all."""
    mixture: Mixture | None
    """Clips that these are mixed with; None: with none."""
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
    clip_weights: Mapping[str, float]
    """Weight of each training clip in the mean of its batch: `Loss.clip_weights`, whatever the clip's factor."""
    adversary: Adversary | None = None
    """Layer that guesses voices, whose reversed gradient reaches what trains below the head; None: there is none."""
    scales: CorpusScales | None = None
    """Maps by which each corpus is standardised by itself; None: the constants of a statistics head are for all."""
    cross: CrossHeads | None = None
    """Heads of groups of clips, which classify these in training; None: the model's own head is stepped."""
    partners: Mapping[str, Partner] = field(default_factory=dict)
    """Partner of each clip of the epoch; {}: clips are not mixed."""
    losses: list[Tensor] = field(default_factory=list)
    """Sums over the clips of each step since `take_losses`, on the device."""

    def begin(self, epoch: int) -> int:
        """Plan the batches of an epoch; returns their number."""
        s, task = self.settings, self.task
        self.epoch = epoch
        clips = draw_evenly(task.train, task.strata, task.seed, epoch) if task.strata else task.train
        self.partners = draw_partners(clips, task.seed, epoch, alpha=self.augment.mixup)
        self.mean_factor = self._mean_factor(clips)
        self.batches = plan(clips, self.data.frames, s.batch_size, s.length_window, seed=task.seed, epoch=epoch)
        self.trained: list[nn.Parameter] = list(self.stepped.values())
        self.trained += [] if self.adversary is None else self.adversary.parameters()
        self.classifier.train()
        return len(self.batches)

    @property
    def stepped(self) -> dict[str, nn.Parameter]:
        """Parameters of the classifier that steps change: a head beside cross heads is solved for."""
        parameters = self.classifier.trainable()
        return {name: p for name, p in parameters.items() if self.cross is None or not name.startswith("head.")}

    def state(self) -> dict[str, Tensor]:
        """Tensors for a checkpoint: of what is beside the classifier in training."""
        tensors = {} if self.adversary is None else with_prefix("adversary.", self.adversary.state_dict())
        return tensors if self.cross is None else tensors | with_prefix("cross.", self.cross.state())

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `state` gave; there may be other tensors beside."""
        if self.adversary is not None:
            self.adversary.load_state_dict(without_prefix("adversary.", tensors))
        if self.cross is not None:
            self.cross.restore(without_prefix("cross.", tensors))

    def prepare(self, step: int) -> Batch:
        """The batch of a step of the fit.

        Where a step has fewer clips than there are processes, some take a clip that then weighs nothing.
        """
        clips = self.batches[step % len(self.batches)]
        ids = part(clips, self.accelerator)
        share, total = self.weight(ids), self.weight(clips)
        ids = ids or clips[:1]
        prefix, lengths = self._inputs(ids)
        device, width = self.accelerator.device, next(iter(prefix.values())).shape[-1]
        frames = lengths.tolist() if self.augment.waveform else [self.data.frames[clip_id] for clip_id in ids]
        masks = self.masks(ids, frames, width)
        weights = self.factors(ids, total), self.partner_factors(ids, total)
        weights = weights if share else ([0.0], [0.0])
        return Batch(
            prefix=prefix,
            lengths=lengths,
            targets=self.task.truth(ids, device),
            weights=send(torch.tensor(weights[0]), device),
            masks=None if masks is None else send(masks, device),
            corpora=None if self.scales is None else send(self.scales.rows_of(ids), device),
            voices=None if self.adversary is None else send(self._voices(ids, share), device),
            groups=None if self.cross is None else send(self.cross.groups(ids), device),
            mixture=self._mixture(ids, weights[1]) if self.partners else None,
            share=share / total,
            clips=len(clips),
        )

    def weight(self, ids: Sequence[str]) -> float:
        """Sum of the weights of clips; a mixture has of both its clips their shares."""
        return math.fsum(self.shares(ids, self.clip_weights) + self.partner_shares(ids, self.clip_weights))

    def factors(self, ids: Sequence[str], total: float) -> list[float]:
        """Factors of clips in the loss of a step whose clips have the weight `total`.

        A clip's own factor is divided by the mean of the epoch, not of the step: else clips of a large factor would
        lose it wherever they fill a batch, as they do when their corpus is longer or shorter than the others.
        """
        return [factor / (total * self.mean_factor) for factor in self.shares(ids, self.task.factors)]

    def partner_factors(self, ids: Sequence[str], total: float) -> list[float]:
        """Factors of the partners of clips in the loss of such a step; of clips without partners 0."""
        partners = self.partner_shares(ids, self.task.factors)
        return [factor / (total * self.mean_factor) for factor in partners] or [0.0] * len(ids)

    def _mean_factor(self, clips: Sequence[str]) -> float:
        """Mean of the factors of an epoch's clips, weighted as in batches; 1 where all count alike."""
        factors = self.task.factors
        if not factors:
            return 1.0
        weighted = {clip_id: weight * factors.get(clip_id, 1.0) for clip_id, weight in self.clip_weights.items()}
        return math.fsum(self.shares(clips, weighted) + self.partner_shares(clips, weighted)) / self.weight(clips)

    def shares(self, ids: Sequence[str], numbers: Mapping[str, float]) -> list[float]:
        """Number of each clip, 1 where it has none, by its share in the mixture with its partner."""
        if not self.partners:
            return [numbers.get(clip_id, 1.0) for clip_id in ids]
        return [self.partners[clip_id].share * numbers.get(clip_id, 1.0) for clip_id in ids]

    def partner_shares(self, ids: Sequence[str], numbers: Mapping[str, float]) -> list[float]:
        """Number of each clip's partner by its share in the mixture; [] where clips have no partners."""
        drawn = [self.partners[clip_id] for clip_id in ids] if self.partners else []
        return [(1 - partner.share) * numbers.get(partner.clip, 1.0) for partner in drawn]

    def _mixture(self, ids: Sequence[str], weights: Sequence[float]) -> Mixture:
        """The partners of clips, with these factors in the loss of the step."""
        drawn, device = [self.partners[clip_id] for clip_id in ids], self.accelerator.device
        clips = [partner.clip for partner in drawn]
        corpora = None if self.scales is None else send(self.scales.rows_of(clips), device)
        return Mixture(
            statistics=self.moved(self.classifier.statistics(*self._inputs(clips)), corpora),
            targets=self.task.truth(clips, device),
            weights=send(torch.tensor(weights), device),
            shares=send(torch.tensor([[partner.share] for partner in drawn]), device),
        )

    def _voices(self, ids: Sequence[str], share: float) -> Tensor:
        """Voices of clips, (clips,); nobody's of a clip that only fills up a step."""
        assert self.adversary is not None
        voices = self.adversary.indices(ids)
        return voices if share else torch.full_like(voices, NOBODY)

    def learn(self, step: int, batch: Batch) -> None:
        """Compute the gradients of a step."""
        reseed(self.accelerator, self.task.seed, self.epoch, step % len(self.batches))
        if self.adversary is None:
            logits, guesses = self._logits_of(batch), None
        else:
            logits, guesses = self._rivals(step, batch)
        loss = self.loss_of(logits, batch.targets, batch.weights, batch.mixture)
        penalty = self.classifier.method.penalty()
        loss = loss if penalty is None else loss + penalty * batch.share
        self.accelerator.backward(loss if guesses is None else loss + guesses)
        total = loss.detach()
        gradients = [parameter.grad for parameter in self.trained if parameter.grad is not None]
        sum_in_place([total, *gradients], self.accelerator)
        self.losses.append(total * batch.clips)

    def _logits_of(self, batch: Batch) -> Tensor:
        """(clips, classes) of a batch."""
        return self.logits(
            batch.prefix,
            batch.lengths,
            batch.masks,
            corpora=batch.corpora,
            mixture=batch.mixture,
            groups=batch.groups,
        )

    def _rivals(self, step: int, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits of a batch, and the loss of the adversary, which is no part of the loss that is reported."""
        head, adversary = self.classifier.head, self.adversary
        assert isinstance(head, StatisticsHead) and adversary is not None and batch.voices is not None
        statistics = self.classifier.statistics(self.masked_prefix(batch.prefix, batch.masks), batch.lengths)
        standard = head.standard(self.changed_statistics(statistics, batch.masks, batch.corpora))
        # By the planned epochs, so that a refit to the best epoch meets the strength with which that epoch was chosen.
        progress = step / (self.settings.epochs * len(self.batches))
        guesses = adversary.loss(standard, batch.voices, progress=progress, clips=batch.clips)
        return head.drawn(standard) if batch.groups is None else self._crossed(standard, batch.groups), guesses

    def _crossed(self, standard: Tensor, groups: Tensor) -> Tensor:
        """Logits of standardised statistics (clips, features), each clip's by the head of its group."""
        head, cross = self.classifier.head, self.cross
        assert isinstance(head, StatisticsHead) and cross is not None
        return head.drawn(standard, partial(cross.outputs, groups=groups))

    def loss_of(self, logits: Tensor, targets: Tensor, weights: Tensor, mixture: Mixture | None) -> Tensor:
        """The loss, a scalar, of the logits (clips, outputs) of clips or of mixtures of clips."""
        loss = self.loss.of_batch(logits, targets, weights)
        return loss if mixture is None else loss + self.loss.of_batch(logits, mixture.targets, mixture.weights)

    def take_losses(self) -> list[float]:
        """Losses of the steps since the last call, each summed over its clips."""
        values: list[float] = torch.stack(self.losses).tolist() if self.losses else []
        self.losses.clear()
        return values

    def _inputs(self, ids: list[str]) -> tuple[Prefix, Tensor]:
        """Stored prefixes, or those of waves augmented anew; and their lengths (clips,)."""
        device = self.accelerator.device
        if not self.augment.waveform:
            return self.data.batch(ids, device)
        waves = Waves(self.augment, self.task.noise, self.task.seed, self.epoch)
        return self.data.fresh_batch(ids, device, waves.change)

    def masks(self, ids: Sequence[str], frames: Sequence[int], width: int) -> Tensor | None:
        """Stretches of clips to be masked in the epoch, (clips, 4) on the CPU; None without masks.

        `frames` are those of each clip, `width` is that of the stored states.
        """
        a, seed, epoch = self.augment, self.task.seed, self.epoch
        if a.time_mask == 0 and a.feature_mask == 0:
            return None
        head = self.classifier.head
        features = len(head.centre) if isinstance(head, StatisticsHead) and self.masks_statistics else width
        draw = partial(augmentation.stretches, ids, frames, features, seed=seed, epoch=epoch)
        if not self.masks_statistics:
            return draw(time_mask=a.time_mask, feature_mask=a.feature_mask)
        # Each is drawn first: a band of statistics does not depend on whether frames are masked.
        time, band = draw(time_mask=a.time_mask, feature_mask=0.0), draw(time_mask=0.0, feature_mask=a.feature_mask)
        return torch.cat([time[:, :2], band[:, 2:]], dim=1)

    @property
    def masks_statistics(self) -> bool:
        """True if features are masked in the statistics of frozen states: a zero in the states would be an outlier."""
        return self.classifier.frozen and isinstance(self.classifier.head, StatisticsHead)

    def logits(
        self,
        prefix: Prefix,
        lengths: Tensor,
        masks: Tensor | None,
        corpora: Tensor | None = None,
        mixture: Mixture | None = None,
        groups: Tensor | None = None,
    ) -> Tensor:
        """(clips, classes) of a batch, masked; statistics are masked by the training clips' mean."""
        head, classifier = self.classifier.head, self.classifier
        masked = self.masked_prefix(prefix, masks)
        plain = masks is None or not self.masks_statistics
        if corpora is None and mixture is None and groups is None and plain:
            return classifier(masked, lengths)
        assert isinstance(head, StatisticsHead)
        statistics = self.changed_statistics(classifier.statistics(masked, lengths), masks, corpora, mixture)
        return head.classify(statistics) if groups is None else self._crossed(head.standard(statistics), groups)

    def masked_prefix(self, prefix: Prefix, masks: Tensor | None) -> Prefix:
        """The batch with its stretches of frames and, unless they are masked in its statistics, features at zero."""
        return prefix if masks is None else augmentation.masked(prefix, masks, bands=not self.masks_statistics)

    def moved(self, statistics: Tensor, corpora: Tensor | None) -> Tensor:
        """Statistics (clips, 2 width), those of each corpus moved by its map; `corpora` as in `Batch`."""
        if corpora is None:
            return statistics
        assert self.scales is not None
        return self.scales.apply(statistics, corpora)

    def changed_statistics(
        self, statistics: Tensor, masks: Tensor | None, corpora: Tensor | None, mixture: Mixture | None = None
    ) -> Tensor:
        """Statistics (clips, 2 width) as the head takes them in training.

        Each corpus is moved by its map, clips are mixed with their partners, and features are at the training clips'
        mean where they are masked there.
        """
        head, statistics = self.classifier.head, self.moved(statistics, corpora)
        statistics = statistics if mixture is None else mixture.of(statistics)
        if masks is None or not self.masks_statistics:
            return statistics
        assert isinstance(head, StatisticsHead)
        return augmentation.masked_features(statistics, masks, fill=head.centre)
