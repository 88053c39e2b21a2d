"""The loop of a specialisation: optimiser steps over hours of speech, until their number is reached.

Emotion's loop (`training/loop.py`) counts epochs over states stored before; this one counts steps over audio read as it
goes, with warm-up, accumulation and processes. What a step learns from is fixed by the seed: `batch_size` clips of like
length. They are dealt out to the processes, and each takes its share in as many passes as its memory needs; the loss
is a sum over all, divided by all units of the step. So neither the processes nor `device_seconds` change what is
learned, but for rounding and for what is drawn or measured a pass: dropout, SpecAugment's masks (`ctc`), and of
`masked` the codebook's noise and its diversity, which is one of the frames of a pass.

A fit can be killed at any step: whatever is drawn in a step depends on seed, step, process and clip alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from affetto import audio
from affetto.errors import UserError
from affetto.models.device import capabilities
from affetto.specialize.data import Clip, Sample, steps_of
from affetto.specialize.objective import Item, Objective
from affetto.specialize.scores import all_rates
from affetto.specialize.spec import Settings
from affetto.training import checkpoint
from affetto.training.ahead import one_ahead
from affetto.training.batches import by_length, plan

VALIDATION_EPOCH = 2**31
"""In place of an epoch's number, where a validation clip's mask is drawn: the same one every time."""
_BUCKET = 1 << 24
"""Gradients that go between processes at once: their numbers, 64 MB in float32."""


@dataclass
class Progress:
    """How far a fit is. `history` has a record each validation, `curve` the loss of each step."""

    step: int = 0
    heard_seconds: float = 0.0
    seconds: float = 0.0
    curve: list[float] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)


class Loop:
    """One fit. `on_step(progress, steps in all)` and `on_validation(record)` report, on every process."""

    def __init__(
        self, objective: Objective, sample: Sample, settings: Settings, accelerator: Accelerator, *, seed: int,
        precision: str, identity: str, checkpoint_file: Path,
        on_step: Callable[[Progress, int], None] = lambda _progress, _all: None,
        on_validation: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.objective, self.sample, self.settings = objective, sample, settings
        self.accelerator, self.device, self.seed = accelerator, accelerator.device, seed
        self.narrow = precision == "bfloat16"
        self.identity, self.file = identity, checkpoint_file
        self.on_step, self.on_validation = on_step, on_validation
        self.each, self.total = steps_of(settings, len(sample.train))
        self.frames = {clip.id: clip.samples for clip in sample.clips.values()}
        self.clips, self.repeated = sample.clips, sample.repeated
        self.progress = Progress()
        self.kept = time.monotonic()

    def run(self) -> Progress:
        """Train the objective's model, and leave it in eval mode on the device."""
        self.objective.model.to(self.device)
        self.optimizer = self._optimizer()
        self._resume()
        at = validation_steps(self.total, self.settings.validations)
        if not self.progress.history:
            self._validate()
        self.kept = time.monotonic()
        ahead = capabilities(self.device).batches_ahead
        for step, passes in one_ahead(self._prepared, range(self.progress.step, self.total), threaded=ahead):
            started = time.monotonic()
            self._step(step, passes)
            self.progress.seconds += time.monotonic() - started
            self.on_step(self.progress, self.total)
            if step + 1 in at:
                self._validate()
            if self._due() or step + 1 in at:
                self._keep()
        self.objective.model.eval()
        return self.progress

    # -- steps ------------------------------------------------------------------------------------------------------

    def _prepared(self, step: int) -> tuple[int, list[list[Item]]]:
        """This process's passes of a step, read and decoded."""
        epoch, place = divmod(step, self.each)
        ids = self._plan(epoch)[place]
        share = ids[self.accelerator.process_index :: self.accelerator.num_processes]
        return step, [[self.item(self.clips[i], epoch) for i in part] for part in self._passes(share)]

    def _plan(self, epoch: int) -> list[list[str]]:
        if getattr(self, "_planned", (None, []))[0] != epoch:
            ids = [clip.id for clip in self.sample.train]
            s = self.settings
            self._planned = (epoch, plan(ids, self.frames, s.batch_size, s.length_window, self.seed, epoch))
        return self._planned[1]

    def _passes(self, ids: list[str]) -> Iterator[list[str]]:
        """Cut so that none is longer than `device_seconds` with its padding, unless a single clip is."""
        part: list[str] = []
        for clip_id in ids:
            longest = max(self.objective.padded(self.frames[i]) for i in [*part, clip_id])
            if part and longest * (len(part) + 1) > self.settings.device_seconds * audio.RATE_HZ:
                yield part
                part = []
            part.append(clip_id)
        if part:
            yield part

    def item(self, clip: Clip, epoch: int) -> Item:
        name = int.from_bytes(bytes.fromhex(clip.audio)[:8], "big")
        random = np.random.default_rng((self.seed, epoch, name))
        return self.objective.item(audio.load(clip.path), clip.text, random)

    def _step(self, step: int, passes: list[list[Item]]) -> None:
        objective = self.objective
        objective.model.train()
        objective.at_step(step)
        self._reseed(step)
        rate = learning_rate(step, self.total, self.settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        totals = torch.zeros(3, dtype=torch.float64)
        for items in passes:
            batch = self._moved(objective.batch(items))
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.narrow):
                loss, units = objective.loss(batch)
            self.accelerator.backward(loss)
            heard = sum(item.samples for item in items) / audio.RATE_HZ
            totals += torch.tensor([float(loss.detach()), float(units), heard], dtype=torch.float64)
        if step == 0 and passes:
            self._prove_all_train()
        loss_sum, units_sum, heard_seconds = self._summed(totals).tolist()
        norm = self._gradients(units_sum)
        if not math.isfinite(loss_sum) or not math.isfinite(norm):
            raise UserError(
                f"training diverged in step {step + 1} (loss {loss_sum / units_sum}): give a lower --set lr"
            )
        self.optimizer.step()
        self.progress.step = step + 1
        self.progress.heard_seconds += heard_seconds
        self.progress.curve.append(loss_sum / units_sum)

    def _reseed(self, step: int) -> None:
        """Dropout, codebook noise and transformers' own masks (numpy's global generator) follow seed and step."""
        place = (self.seed, step, self.accelerator.process_index)
        state = np.random.SeedSequence(place).generate_state(2)
        torch.manual_seed(int(state[0]))
        np.random.seed(int(state[1]))

    def _prove_all_train(self) -> None:
        dead = [name for name, p in self.objective.trainable().items() if p.grad is None]
        if dead:
            raise UserError(
                f"{len(dead)} weights that should train get no gradient, {dead[0]} first: a defect of affetto's with "
                "this backbone, please report it"
            )

    def _gradients(self, units: float) -> float:
        """Sum them over the processes, divide by the step's units, clip; returns their norm before that."""
        trained = list(self.objective.trainable().values())
        for parameter in trained:
            if parameter.grad is None:  # a process may have had no clip
                parameter.grad = torch.zeros_like(parameter)
        if self.accelerator.num_processes > 1:
            for bucket in _buckets(trained):
                flat = torch.cat([p.grad.flatten() for p in bucket])  # type: ignore[union-attr]
                flat = self.accelerator.reduce(flat, "sum")
                for parameter, part in zip(bucket, flat.split([p.numel() for p in bucket]), strict=True):
                    parameter.grad = part.view_as(parameter)
        for parameter in trained:
            assert parameter.grad is not None
            parameter.grad.div_(units)
        return float(torch.nn.utils.clip_grad_norm_(trained, self.settings.clip_norm, error_if_nonfinite=False))

    def _optimizer(self) -> torch.optim.Optimizer:
        s, trained = self.settings, list(self.objective.trainable().values())
        groups = [
            {"params": [p for p in trained if p.dim() > 1], "weight_decay": s.weight_decay},
            {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=s.lr, betas=s.betas, eps=s.eps,
            fused=capabilities(self.device).fused_optimizer,
        )  # fmt: skip

    # -- validation -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def _validate(self) -> None:
        objective, progress = self.objective, self.progress
        objective.model.eval()
        ids = [clip.id for clip in self.sample.validation]
        parts = [part for batch in by_length(ids, self.frames, 16) for part in self._passes(batch)]
        totals = torch.zeros(2, dtype=torch.float64)
        pairs: list[tuple[str, str, bool]] = []
        for part in parts[self.accelerator.process_index :: self.accelerator.num_processes]:
            clips = [self.clips[i] for i in part]
            batch = self._moved(objective.batch([self.item(clip, VALIDATION_EPOCH) for clip in clips]))
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.narrow):
                loss, units = objective.loss(batch)
                heard = objective.transcribe(batch)
            totals += torch.tensor([float(loss), float(units)], dtype=torch.float64)
            pairs += [
                (clip.said, text, clip.id in self.repeated) for clip, text in zip(clips, heard or [], strict=False)
            ]
        loss_sum, units_sum = self._summed(totals).tolist()
        recent = progress.curve[progress.history[-1]["step"] if progress.history else 0 :]
        record: dict[str, Any] = {
            "step": progress.step, "heard_hours": round(progress.heard_seconds / 3600, 4),
            "loss": sum(recent) / len(recent) if recent else None, "validation_loss": loss_sum / units_sum,
        }  # fmt: skip
        record |= all_rates(self._gathered(pairs))
        progress.history.append(record)
        self.on_validation(record)

    # -- devices, processes, checkpoints ----------------------------------------------------------------------------

    def _moved(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def _summed(self, totals: Tensor) -> Tensor:
        if self.accelerator.num_processes == 1:
            return totals
        summed: Tensor = self.accelerator.reduce(totals.to(self.device), "sum")
        return summed.cpu()

    def _gathered(self, pairs: list[tuple[str, str, bool]]) -> list[tuple[str, str, bool]]:
        if self.accelerator.num_processes == 1:
            return sorted(pairs)
        from accelerate.utils import gather_object

        return sorted(gather_object(pairs))

    def _due(self) -> bool:
        return time.monotonic() - self.kept > 60 * self.settings.checkpoint_minutes

    def _keep(self) -> None:
        self.kept = time.monotonic()
        if not self.accelerator.is_main_process:
            return
        tensors = {f"now.{name}": p for name, p in self.objective.trainable().items()}
        facts = {name: getattr(self.progress, name) for name in Progress.__dataclass_fields__}
        checkpoint.write(
            self.file, tensors | checkpoint.pack_optimizer(self.optimizer), facts | {"identity": self.identity}
        )

    @torch.no_grad()
    def _resume(self) -> None:
        saved = checkpoint.read(self.file, self.identity)
        if saved is None:
            return
        tensors, facts = saved
        own = self.objective.trainable()
        for name, tensor in checkpoint.without_prefix("now.", tensors).items():
            own[name].copy_(tensor)
        checkpoint.unpack_optimizer(self.optimizer, tensors)
        self.progress = Progress(**{name: value for name, value in facts.items() if name != "identity"})


def learning_rate(step: int, total: int, settings: Settings) -> float:
    """Rises linearly over the first share of the steps, then falls linearly towards 0 (wav2vec 2.0, 4.2)."""
    rising = round(settings.warmup * total)
    if step < rising:
        return settings.lr * (step + 1) / rising
    return settings.lr * (total - step) / max(1, total - rising)


def validation_steps(total: int, count: int) -> set[int]:
    """After which steps to validate: evenly, the last one included."""
    return {max(1, round(total * number / count)) for number in range(1, count + 1)}


def _buckets(parameters: list[torch.nn.Parameter]) -> Iterator[list[torch.nn.Parameter]]:
    bucket: list[torch.nn.Parameter] = []
    size = 0
    for parameter in parameters:
        bucket.append(parameter)
        size += parameter.numel()
        if size >= _BUCKET:
            yield bucket
            bucket, size = [], 0
    if bucket:
        yield bucket
