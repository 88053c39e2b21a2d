"""The yardstick: an emotion classifier as one would write it with transformers' Trainer and peft.

It is written with care, not to be beaten: the front end is frozen properly, the same clips, batch, threads,
optimiser and precision. It pads every clip to the window, as feature extractors do, and computes frozen layers in
every epoch, as everyone does. Its clips lie decoded in memory. For inference it is transformers' own pipeline.
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
from affetto.bench.clips import CLASSES
from affetto.models.bottleneck import Bottleneck
from affetto.models.keys import BACKBONES

NAMES = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM", "whisper": "Whisper"}
"""What transformers' classes of a family are called by."""
FEED_FORWARD = {"whisper": ("fc1", "fc2")}
FEED_FORWARD_ELSE = ("intermediate_dense", "output_dense")


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
    """The bare encoder of a key's shapes with random weights; Whisper's takes `window_seconds` (None: its 30 s)."""
    import transformers
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    architecture = BACKBONES[key]
    name = NAMES[architecture.family]
    config_class: Any = getattr(transformers, f"{name}Config")
    model_class: Any = WhisperEncoder if name == "Whisper" else getattr(transformers, f"{name}Model")
    if architecture.family == "whisper":
        positions = 1500 if window_seconds is None else round(window_seconds * 50)
        return model_class(config_class(**architecture.config, max_source_positions=positions))
    return model_class(config_class(**architecture.config, layerdrop=0.0, apply_spec_augment=False))


def model(key: str, method: str, window_seconds: float | None) -> _Model:
    """The classifier with its backbone frozen and, as `method` says, LoRA (rank 8) or Adapters (128)."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    bare: Any = encoder(key, window_seconds)
    width = int(bare.config.hidden_size)
    family = BACKBONES[key].family
    bare.requires_grad_(False)
    if family != "whisper":
        bare.freeze_feature_encoder()  # requires_grad_ alone leaves a backward pass through the whole of it
    names = FEED_FORWARD.get(family, FEED_FORWARD_ELSE)
    if method == "lora":
        bare = get_peft_model(bare, LoraConfig(r=8, lora_alpha=8, target_modules=list(names)))
    elif method == "adapter":
        for layer in bare.layers if family == "whisper" else bare.encoder.layers:
            name = "fc2" if family == "whisper" else "feed_forward"
            setattr(layer, name, _After(getattr(layer, name), width))
    return _Model(bare, width)


class Yardstick:
    """Trains one epoch at a time on `waves` (samples,), padded to `window_seconds`."""

    def __init__(
        self, key: str, method: str, waves: Sequence[np.ndarray], batch_size: int, window_seconds: float | None,
        precision: str,
    ) -> None:  # fmt: skip
        from transformers import Trainer, TrainingArguments

        family = BACKBONES[key].family
        self.collate = _Collate(family, BACKBONES[key].normalize, window_seconds)
        items = [{"wave": wave, "label": number % CLASSES} for number, wave in enumerate(waves)]
        self.trainer = Trainer(
            model=model(key, method, window_seconds), train_dataset=_Clips(items), data_collator=self.collate,
            args=TrainingArguments(
                output_dir=tempfile.mkdtemp(prefix="affetto-bench-"), per_device_train_batch_size=batch_size,
                num_train_epochs=1, learning_rate=5e-4, weight_decay=1e-4, adam_beta2=0.98, optim="adamw_torch_fused",
                lr_scheduler_type="constant", bf16=precision == "bfloat16", save_strategy="no", report_to="none",
                logging_strategy="no", remove_unused_columns=False, disable_tqdm=True,
                use_cpu=not torch.cuda.is_available(),
            ),
        )  # fmt: skip
        self.clips = len(items)

    def epoch(self) -> float:
        """Seconds of one epoch."""
        from contextlib import redirect_stdout
        from io import StringIO

        started = time.perf_counter()
        with redirect_stdout(StringIO()):
            self.trainer.train()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
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

    def __init__(self, family: str, normalize: bool, window_seconds: float | None) -> None:
        from transformers import Wav2Vec2FeatureExtractor, WhisperFeatureExtractor

        self.options: dict[str, Any] = {}
        if family == "whisper":
            self.extractor: Any = WhisperFeatureExtractor(chunk_length=int(window_seconds or 30))
        else:
            self.extractor = Wav2Vec2FeatureExtractor(do_normalize=normalize, return_attention_mask=family == "wavlm")
            samples = int((window_seconds or 4.0) * RATE_HZ)
            self.options = {"padding": "max_length", "max_length": samples, "truncation": True}

    def __call__(self, items: list[dict[str, Any]]) -> dict[str, Tensor]:
        waves = [item["wave"] for item in items]
        inputs = self.extractor(waves, sampling_rate=RATE_HZ, return_tensors="pt", **self.options)
        return {**inputs, "labels": torch.tensor([item["label"] for item in items])}


class Pipeline:
    """transformers' audio-classification pipeline on the stock classification model of the same shapes."""

    def __init__(self, key: str, waves: Sequence[np.ndarray], batch_size: int) -> None:
        import transformers
        from transformers import Wav2Vec2FeatureExtractor, WhisperFeatureExtractor

        family = BACKBONES[key].family
        torch.manual_seed(0)
        config: Any = getattr(transformers, f"{NAMES[family]}Config")(**BACKBONES[key].config, num_labels=CLASSES)
        kind = "AudioClassification" if family == "whisper" else "SequenceClassification"
        stock: Any = getattr(transformers, f"{NAMES[family]}For{kind}")(config)
        extractor: Any = WhisperFeatureExtractor()
        if family != "whisper":
            extractor = Wav2Vec2FeatureExtractor(do_normalize=BACKBONES[key].normalize, return_attention_mask=False)
        device = 0 if torch.cuda.is_available() else -1
        self.pipeline = transformers.pipeline(
            "audio-classification", model=stock.eval(), feature_extractor=extractor, device=device
        )
        self.waves, self.batch_size = list(waves), batch_size

    def pass_over(self) -> float:
        """Seconds to classify all clips."""
        started = time.perf_counter()
        with torch.no_grad():
            items: Any = [{"raw": wave, "sampling_rate": RATE_HZ} for wave in self.waves]
            done = self.pipeline(items, batch_size=self.batch_size)
        assert len(done) == len(self.waves)
        return time.perf_counter() - started
