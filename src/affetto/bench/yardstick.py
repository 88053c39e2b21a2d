"""The yardstick: an emotion classifier as one would write it with transformers' Trainer and peft.

It is written with care, not as a weak opponent: its front end is frozen properly, and clips, batch, threads, optimiser
and precision are the same. It pads every clip to the window, as feature extractors do, and computes frozen layers in
every epoch, as is usual. Its clips lie decoded in memory. For inference it is transformers' own pipeline.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from affetto.audio import RATE_HZ
from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.checkpoints import configure
from affetto.backbones.families.registry import FAMILIES
from affetto.bench.clips import CLASSES
from affetto.bench.sides import WINDOW_SECONDS
from affetto.errors import UserError
from affetto.models.bottleneck import Bottleneck
from affetto.models.device import capabilities, synchronise


class _After(nn.Module):
    """A layer, and a bottleneck adapter behind it."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer, self.adapter = layer, Bottleneck(width, 128, 0.0, 1.0)

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = self.layer(hidden)
        return hidden + self.adapter(hidden)


class _Model(nn.Module):
    """Mean over all hidden states, a small head per frame, mean over time."""

    def __init__(self, encoder: nn.Module, width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(width, 256), nn.ReLU(), nn.Dropout(0.1), nn.Linear(256, 256), nn.ReLU())
        self.out = nn.Linear(256, CLASSES)

    def forward(self, labels: Tensor | None = None, **inputs: Tensor) -> dict[str, Tensor | None]:
        states = self.encoder(**inputs, output_hidden_states=True).hidden_states
        logits = self.out(self.head(torch.stack(states).mean(0)).mean(1))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return {"loss": loss, "logits": logits}


def encoder(key: str, window_seconds: float | None) -> nn.Module:
    """The bare encoder of a key's shapes with random weights, for clips of `window_seconds` (None: transformers' own
    window) where the family takes one length only."""
    architecture = BACKBONES[key]
    family = FAMILIES.find(architecture.family)
    window = {} if window_seconds is None else family.window_config(window_seconds)
    config = configure(family.config_class(**architecture.config, **window), family)
    bare: nn.Module = family.model_class(config)
    return bare


def model(key: str, method: str, window_seconds: float | None) -> _Model:
    """The classifier with its backbone frozen and, by `method`, LoRA (rank 8) or Adapters (128)."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    bare: Any = encoder(key, window_seconds)
    width = int(bare.config.hidden_size)
    family = FAMILIES.find(BACKBONES[key].family)
    bare.requires_grad_(False)
    if hasattr(bare, "freeze_feature_encoder"):
        bare.freeze_feature_encoder()  # requires_grad_ alone leaves a backward pass through the whole of it
    if method == "lora":
        bare = get_peft_model(bare, LoraConfig(r=8, lora_alpha=8, target_modules=list(family.feed_forward_layers)))
    elif method == "adapter":
        for layer in bare.get_submodule(family.blocks):
            end = getattr(layer, family.feed_forward_end)
            setattr(layer, family.feed_forward_end, _After(end, width))
    return _Model(bare, width)


class Yardstick:
    """Trains one epoch at a time on `waves` (samples,), padded to `window_seconds`."""

    def __init__(
        self,
        key: str,
        method: str,
        waves: Sequence[np.ndarray],
        *,
        device: torch.device,
        batch_size: int,
        window_seconds: float | None,
        precision: str,
    ) -> None:
        from transformers import Trainer, TrainingArguments

        self.device, self.collate = device, _Collate(key, window_seconds)
        items = [{"wave": wave, "label": number % CLASSES} for number, wave in enumerate(waves)]
        arguments = TrainingArguments(
            output_dir=tempfile.mkdtemp(prefix="affetto-bench-"),
            per_device_train_batch_size=batch_size,
            num_train_epochs=1,
            learning_rate=5e-4,
            weight_decay=1e-4,
            adam_beta2=0.98,
            optim="adamw_torch_fused",
            lr_scheduler_type="constant",
            bf16=precision == "bfloat16",
            save_strategy="no",
            report_to="none",
            logging_strategy="no",
            remove_unused_columns=False,
            disable_tqdm=True,
            use_cpu=capabilities(device).host_memory,
        )
        self.trainer = Trainer(
            model=model(key, method, window_seconds),
            train_dataset=_Clips(items),
            data_collator=self.collate,
            args=arguments,
        )
        self.clips = len(items)

    def epoch(self) -> float:
        """Seconds of one epoch."""
        from contextlib import redirect_stdout
        from io import StringIO

        started = time.perf_counter()
        with redirect_stdout(StringIO()):
            self.trainer.train()
        synchronise(self.device)
        return time.perf_counter() - started


class _Clips(torch.utils.data.Dataset[dict[str, Any]]):
    def __init__(self, items: list[dict[str, Any]]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.items[index]


class _Collate:
    """Waves → padded inputs, by the feature extractor of the family."""

    def __init__(self, key: str, window_seconds: float | None) -> None:
        architecture = BACKBONES[key]
        family = FAMILIES.find(architecture.family)
        seconds = window_seconds or family.window_seconds or WINDOW_SECONDS
        self.extractor = family.feature_extractor(
            family.preprocessing(normalize=architecture.normalize),
            attention_mask=family.uses_mask,
            seconds=int(seconds),
        )
        self.options = {"padding": "max_length", "max_length": int(seconds * RATE_HZ), "truncation": True}

    def __call__(self, items: list[dict[str, Any]]) -> dict[str, Tensor]:
        waves = [item["wave"] for item in items]
        inputs = self.extractor(waves, sampling_rate=RATE_HZ, return_tensors="pt", **self.options)
        return {**inputs, "labels": torch.tensor([item["label"] for item in items])}


class Pipeline:
    """transformers' audio-classification pipeline on the stock classification model of the same shapes."""

    def __init__(
        self, key: str, waves: Sequence[np.ndarray], *, device: torch.device, batch_size: int, precision: str
    ) -> None:
        from transformers import pipeline

        architecture = BACKBONES[key]
        family = FAMILIES.find(architecture.family)
        if family.stock_class is None:
            raise UserError(f"backbone {key}: transformers has no audio classifier of its family to compare with")
        torch.manual_seed(0)
        stock = family.stock_class(family.config_class(**architecture.config, num_labels=CLASSES))
        extractor = family.feature_extractor(family.preprocessing(normalize=architecture.normalize))
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.pipeline = pipeline(
            "audio-classification", model=stock.eval().to(dtype), feature_extractor=extractor, device=device
        )
        self.device, self.waves, self.batch_size = device, list(waves), batch_size

    def pass_over(self) -> float:
        """Seconds to classify all clips."""
        started = time.perf_counter()
        with torch.no_grad():
            items: Any = [{"raw": wave, "sampling_rate": RATE_HZ} for wave in self.waves]
            results = self.pipeline(items, batch_size=self.batch_size)
        assert len(results) == len(self.waves)
        return time.perf_counter() - started
