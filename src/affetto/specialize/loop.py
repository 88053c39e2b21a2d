"""Training loop of a specialisation: optimiser steps over hours of speech, until their number is reached.

The loop of emotion classifiers (`affetto.training.loop`) counts epochs over stored states; this one counts steps over
audio that is read as it goes, with warm-up, accumulation and processes. Both take their steps by
`affetto.training.engine`. The seed fixes the clips of a step: `batch_size` clips of like length. They are dealt out to
the processes, and each process takes its clips in as many passes as its memory needs; the loss is a sum over all,
divided by all units of the step. So neither the processes nor `device_seconds` change what is learned, but for rounding
and for what is drawn or measured in each pass: dropout, SpecAugment's masks (`ctc`), and of `masked` the codebook's
noise and its diversity, which is one of the frames of a pass.

A fit can be killed at any step: whatever is drawn in a step depends on seed, step, process and clip alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from affetto import audio
from affetto.errors import UserError
from affetto.models.device import autocast
from affetto.specialize.data import Clip, Sample, steps_of
from affetto.specialize.objective import Item, Objective
from affetto.specialize.scores import all_rates
from affetto.specialize.spec import Settings
from affetto.training.batches import by_length, plan
from affetto.training.checkpoint import Checkpoint, with_prefix, without_prefix
from affetto.training.engine import Engine, adam
from affetto.training.gradients import check_reached
from affetto.training.processes import gather_items, part, sum_in_place, sum_values

VALIDATION_EPOCH = 2**31
"""Epoch of the masks of validation clips: they are the same every time."""

Passes = list[list[Item]]
"""Clips of a step, cut into passes."""


@dataclass
class Progress:
    """Progress of a fit. `history` has a record of each validation, `curve` the loss of each step."""

    step: int = 0
    heard_seconds: float = 0.0
    seconds: float = 0.0
    curve: list[float] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)


class Loop:
    """One fit. `on_step(progress, steps in all)` and `on_validation(record)` report, on every process."""

    def __init__(
        self,
        objective: Objective,
        sample: Sample,
        settings: Settings,
        accelerator: Accelerator,
        *,
        seed: int,
        precision: str,
        identity: str,
        checkpoint_file: Path,
        on_step: Callable[[Progress, int], None] = lambda _progress, _all: None,
        on_validation: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        self.objective, self.sample, self.settings = objective, sample, settings
        self.accelerator, self.device, self.seed = accelerator, accelerator.device, seed
        self.uses_bfloat16 = precision == "bfloat16"
        self.on_step, self.on_validation = on_step, on_validation
        self.steps_per_epoch, self.total = steps_of(settings, len(sample.train))
        self.frames = {clip.id: clip.samples for clip in sample.clips.values()}
        self.clips, self.repeated = sample.clips, sample.repeated
        self.checkpoint = Checkpoint(
            checkpoint_file, identity, 60 * settings.checkpoint_minutes, writes=accelerator.is_main_process
        )
        self.progress = Progress()
        self._planned: tuple[int, list[list[str]]] = (-1, [])

    def run(self) -> Progress:
        """Train the objective's model, and leave it in eval mode on the device."""
        self.objective.model.to(self.device)
        self.optimizer = self._optimizer()
        self._resume()
        if not self.progress.history:
            self._validate()
        engine: Engine[Passes] = Engine(
            optimizer=self.optimizer,
            device=self.device,
            prepare=self._prepare,
            learn=self._learn,
            schedule=lambda _initial, step: learning_rate(step, self.total, self.settings),
            seconds=self.progress.seconds,
        )
        with self.checkpoint:
            self._take_steps(engine)
        self.objective.model.eval()
        return self.progress

    def _take_steps(self, engine: Engine[Passes]) -> None:
        validated = validation_steps(self.total, self.settings.validations)
        for step in engine.run(range(self.progress.step, self.total)):
            self.progress.step, self.progress.seconds = step + 1, engine.seconds
            self.on_step(self.progress, self.total)
            if step + 1 in validated:
                self._validate()
            if self.checkpoint.is_due or step + 1 in validated:
                self._keep()

    # -- steps ------------------------------------------------------------------------------------------------------

    def _prepare(self, step: int) -> Passes:
        """This process's passes of a step, read and decoded."""
        epoch, position = divmod(step, self.steps_per_epoch)
        ids = part(self._plan(epoch)[position], self.accelerator)
        return [[self.item(self.clips[i], epoch) for i in clips] for clips in self._passes(ids)]

    def _plan(self, epoch: int) -> list[list[str]]:
        if self._planned[0] != epoch:
            ids = [clip.id for clip in self.sample.train]
            s = self.settings
            batches = plan(ids, self.frames, s.batch_size, s.length_window, seed=self.seed, epoch=epoch)
            self._planned = (epoch, batches)
        return self._planned[1]

    def _passes(self, ids: list[str]) -> Iterator[list[str]]:
        """Cut so that none is longer than `device_seconds` with its padding, unless a single clip is."""
        clips: list[str] = []
        for clip_id in ids:
            longest = max(self.objective.padded(self.frames[i]) for i in [*clips, clip_id])
            if clips and longest * (len(clips) + 1) > self.settings.device_seconds * audio.RATE_HZ:
                yield clips
                clips = []
            clips.append(clip_id)
        if clips:
            yield clips

    def item(self, clip: Clip, epoch: int) -> Item:
        """A clip, read, with what is drawn for it in this epoch."""
        name = int.from_bytes(bytes.fromhex(clip.audio)[:8], "big")
        random = np.random.default_rng((self.seed, epoch, name))
        return self.objective.item(audio.load(clip.path), clip.text, random)

    def _learn(self, step: int, passes: Passes) -> None:
        """Compute the gradients of a step: their mean over its units, clipped."""
        objective = self.objective
        objective.model.train()
        objective.at_step(step)
        self._reseed(step)
        totals = torch.zeros(3, dtype=torch.float64)
        for items in passes:
            batch = self._batch(items)
            with self._autocast():
                loss, units = objective.loss(batch)
            self.accelerator.backward(loss)
            seconds = sum(item.samples for item in items) / audio.RATE_HZ
            totals += torch.tensor([float(loss.detach()), float(units), seconds], dtype=torch.float64)
        if step == 0 and passes:
            check_reached(objective.trainable())
        loss_sum, units_sum, heard_seconds = sum_values(totals, self.accelerator).tolist()
        norm = self._gradients(units_sum)
        if not math.isfinite(loss_sum) or not math.isfinite(norm):
            raise UserError(
                f"training diverged in step {step + 1} (loss {loss_sum / units_sum}): give a lower --set lr"
            )
        self.progress.heard_seconds += heard_seconds
        self.progress.curve.append(loss_sum / units_sum)

    def _batch(self, items: list[Item]) -> dict[str, Tensor]:
        return {name: tensor.to(self.device) for name, tensor in self.objective.batch(items).items()}

    def _autocast(self) -> AbstractContextManager[object]:
        return autocast(self.device, enabled=self.uses_bfloat16)

    def _reseed(self, step: int) -> None:
        """Dropout, codebook noise and transformers' own masks (numpy's global generator) follow seed and step."""
        position = (self.seed, step, self.accelerator.process_index)
        state = np.random.SeedSequence(position).generate_state(2)
        torch.manual_seed(int(state[0]))
        np.random.seed(int(state[1]))

    def _gradients(self, units: float) -> float:
        """Sum them over the processes, divide by the step's units, clip; returns their norm before that."""
        trained = list(self.objective.trainable().values())
        for parameter in trained:
            if parameter.grad is None:  # a process may have had no clip
                parameter.grad = torch.zeros_like(parameter)
        sum_in_place((parameter.grad for parameter in trained if parameter.grad is not None), self.accelerator)
        for parameter in trained:
            assert parameter.grad is not None
            parameter.grad.div_(units)
        return float(torch.nn.utils.clip_grad_norm_(trained, self.settings.clip_norm, error_if_nonfinite=False))

    def _optimizer(self) -> torch.optim.Optimizer:
        """AdamW, without weight decay of norms and biases."""
        s, trained = self.settings, list(self.objective.trainable().values())
        groups = [
            {"params": [p for p in trained if p.dim() > 1], "weight_decay": s.weight_decay, "lr": s.lr},
            {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0, "lr": s.lr},
        ]
        return adam(groups, self.device, betas=s.betas, eps=s.eps)

    # -- validation -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _validate(self) -> None:
        objective, progress = self.objective, self.progress
        objective.model.eval()
        ids = [clip.id for clip in self.sample.validation]
        passes = [clips for batch in by_length(ids, self.frames, 16) for clips in self._passes(batch)]
        totals = torch.zeros(2, dtype=torch.float64)
        pairs: list[tuple[str, str, bool]] = []
        for clips in part(passes, self.accelerator):
            values, texts = self._score([self.clips[i] for i in clips])
            totals += values
            pairs += texts
        loss_sum, units_sum = sum_values(totals, self.accelerator).tolist()
        recent = progress.curve[progress.history[-1]["step"] if progress.history else 0 :]
        record: dict[str, Any] = {
            "step": progress.step,
            "heard_hours": round(progress.heard_seconds / 3600, 4),
            "loss": sum(recent) / len(recent) if recent else None,
            "validation_loss": loss_sum / units_sum,
        }
        record |= all_rates(sorted(gather_items(pairs, self.accelerator)))
        progress.history.append(record)
        self.on_validation(record)

    def _score(self, clips: list[Clip]) -> tuple[Tensor, list[tuple[str, str, bool]]]:
        """Loss and units (2,) of a pass; of each clip its sentence, the model's, and True if it was trained on."""
        batch = self._batch([self.item(clip, VALIDATION_EPOCH) for clip in clips])
        with self._autocast():
            loss, units = self.objective.loss(batch)
            texts = self.objective.transcribe(batch) or []
        pairs = [(clip.sentence, text, clip.id in self.repeated) for clip, text in zip(clips, texts, strict=False)]
        return torch.tensor([float(loss), float(units)], dtype=torch.float64), pairs

    # -- checkpoints ------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        tensors: dict[str, Tensor] = dict(self.objective.trainable())
        self.checkpoint.write(self.progress, with_prefix("now.", tensors), self.optimizer)

    @torch.no_grad()
    def _resume(self) -> None:
        saved = self.checkpoint.read(self.optimizer)
        if saved is None:
            return
        tensors, facts = saved
        parameters = self.objective.trainable()
        for name, tensor in without_prefix("now.", tensors).items():
            parameters[name].copy_(tensor)
        self.progress = Progress(**facts)


def learning_rate(step: int, total: int, settings: Settings) -> float:
    """Rate of a step: rises linearly over the first share of the steps, then falls linearly (wav2vec 2.0, 4.2)."""
    rising = round(settings.warmup * total)
    if step < rising:
        return settings.lr * (step + 1) / rising
    return settings.lr * (total - step) / max(1, total - rising)


def validation_steps(total: int, count: int) -> set[int]:
    """Numbers of steps after which the model is validated: spread evenly, the last one included."""
    return {max(1, round(total * number / count)) for number in range(1, count + 1)}
