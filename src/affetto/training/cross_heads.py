"""Heads of a cross-fitted training: one a group, solved for on the other groups' clips, and the model's, on all.

No optimiser steps them. They are solved for by the present states of the training clips, as the probe is by the frozen
ones: the heads of the groups before each epoch, the model's own head behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from affetto.errors import UserError
from affetto.models.classifier import Classifier
from affetto.models.head_layers import StatisticsHead
from affetto.models.parallel import threads
from affetto.models.prefix import PrefixData
from affetto.targets.linear import solving
from affetto.targets.target import LinearMap
from affetto.training.constants import standardise
from affetto.training.corpus_scales import CorpusScales
from affetto.training.predict import clip_statistics
from affetto.training.processes import on_main_rank
from affetto.training.task import Task

UNSOLVED = -1
"""Epoch of heads that were not solved for yet."""


class CrossHeads:
    """Heads of the groups of a fit: `weight` (groups, outputs, features), `bias` (groups, outputs).

    The constants by which statistics are standardised are fitted anew beside them, on all training clips: they know no
    label, and the bias of a head is free, so that of a clip's own group they hold the scale of features alone.
    """

    def __init__(
        self,
        classifier: Classifier,
        data: PrefixData,
        task: Task,
        accelerator: Accelerator,
        scales: CorpusScales | None = None,
    ) -> None:
        assert task.cross_fit is not None and isinstance(classifier.head, StatisticsHead)
        self.classifier, self.data, self.task, self.accelerator = classifier, data, task, accelerator
        self.plan, self.head, self.scales = task.cross_fit, classifier.head, scales
        count, out = self.plan.count, self.head.out
        self.weight = out.weight.detach().new_zeros(count, *out.weight.shape)
        self.bias = out.bias.detach().new_zeros(count, *out.bias.shape)
        self.epoch = UNSOLVED
        self._features: np.ndarray | None = None

    def groups(self, ids: Sequence[str]) -> Tensor:
        """Group of each clip, (clips,), on the CPU."""
        return torch.tensor([self.plan.groups[clip_id] for clip_id in ids])

    def outputs(self, standard: Tensor, groups: Tensor) -> Tensor:
        """Standardised statistics (clips, features) and groups (clips,) → outputs of the groups' heads."""
        return torch.einsum("bf,bof->bo", standard, self.weight[groups]) + self.bias[groups]

    @torch.no_grad()
    def solve(self, epoch: int) -> None:
        """Solve for the heads of the groups by the present states, unless they are those of this epoch."""
        if self.epoch == epoch:
            return
        features, self._features = self._standardised() if self._features is None else self._features, None
        of_clips = self.groups(self.task.train).numpy()
        maps = self._maps(features, [of_clips != group for group in range(self.plan.count)])
        for group, linear in enumerate(maps):
            self.weight[group].copy_(torch.from_numpy(linear.weight))
            self.bias[group].copy_(torch.from_numpy(linear.bias))
        self.epoch = epoch

    @torch.no_grad()
    def solve_own(self, *, keeps: bool) -> None:
        """Solve for the model's own head by the present states of all training clips.

        `keeps`: the next epoch begins with these states, so that they need not be computed again.
        """
        features = self._standardised()
        (linear,) = self._maps(features, [np.ones(len(features), bool)])
        self.head.out.weight.copy_(torch.from_numpy(linear.weight))
        self.head.out.bias.copy_(torch.from_numpy(linear.bias))
        self._features = features if keeps else None

    @torch.no_grad()
    def start_values(self) -> np.ndarray:
        """Values of the training clips (clips, outputs) by their groups' heads, before the first step."""
        self._features = features = self._standardised()
        self.solve(0)
        device = self.weight.device
        outputs = self.outputs(torch.from_numpy(features).to(device), self.groups(self.task.train).to(device))
        return self.classifier.target.activate(outputs.double()).cpu().numpy()

    def state(self) -> dict[str, Tensor]:
        """Tensors for a checkpoint."""
        tensors = {"weight": self.weight, "bias": self.bias, "epoch": torch.tensor(self.epoch)}
        return tensors | ({} if self.scales is None else self.scales.state())

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        self.weight.copy_(state["weight"])
        self.bias.copy_(state["bias"])
        self.epoch, self._features = int(state["epoch"]), None
        if self.scales is not None:
            self.scales.restore(state)

    def _standardised(self) -> np.ndarray:
        """Present statistics of the training clips, standardised by constants that are fitted on them anew.

        (clips, features), float32. Raises UserError where they are not finite.
        """
        clips = self.task.train
        statistics = torch.from_numpy(clip_statistics(self.classifier, self.data, clips, self.accelerator))
        if not bool(statistics.isfinite().all()):
            raise UserError("training diverged (states are not finite): lower training.method_lr")
        statistics = statistics.to(self.weight.device)
        standardise(self.head, self.task, dict(zip(clips, statistics, strict=True)), self.scales)
        if self.scales is not None:
            statistics = self.scales.apply(statistics, self.scales.rows_of(clips))
        return self.head.standard(statistics).cpu().numpy()

    def _maps(self, features: np.ndarray, parts: Sequence[np.ndarray]) -> list[LinearMap]:
        """Heads of parts of the training clips, booleans (clips,) each, side by side, each on one thread."""

        def solve(part: np.ndarray) -> LinearMap:
            clips = [clip_id for clip_id, inside in zip(self.task.train, part, strict=True) if inside]
            return self.plan.solve(clips, features[part])

        def solve_all() -> list[LinearMap]:
            with solving(), ThreadPoolExecutor(threads()) as pool:
                return list(pool.map(solve, parts))

        # The processors of other processes may round otherwise.
        return on_main_rank(self.accelerator, solve_all)


def make_cross_heads(
    classifier: Classifier, data: PrefixData, task: Task, accelerator: Accelerator, scales: CorpusScales | None
) -> CrossHeads | None:
    """The heads of a task's groups, not solved for yet; None for a task without groups."""
    return None if task.cross_fit is None else CrossHeads(classifier, data, task, accelerator, scales)
