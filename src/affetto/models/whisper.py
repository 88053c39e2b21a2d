"""Whisper's encoder, alone, on as many positions as the clip needs (4 s = 200, not 1,500).

transformers' encoder takes 30 s and nothing else. The position table is a lookup, so a clip uses its
first rows. Shortening changes the outputs (it is a choice of protocol) and costs a tenth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from affetto.audio import RATE_HZ, AudioError
from affetto.models.backbone import Backbone

SAMPLES_PER_POSITION = 320
"""Two mel frames of 10 ms at 16 kHz: the second convolution has stride 2."""


class WhisperBackbone(Backbone):
    """`model` is transformers' `WhisperEncoder`; `preprocessing` holds the extractor's constants."""

    family = "whisper"
    lora_targets = {
        "ff": ("fc1", "fc2"),
        "attention": ("q_proj", "k_proj", "v_proj", "out_proj"),
        "all": ("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
    }

    def __init__(self, model: Any, preprocessing: dict[str, Any]) -> None:
        from transformers import WhisperFeatureExtractor

        super().__init__(model, preprocessing)
        self.extractor = WhisperFeatureExtractor(**preprocessing)

    @property
    def blocks(self) -> nn.ModuleList:
        return self.model.layers

    @property
    def block_prefix(self) -> str:
        return "layers"

    @property
    def longest_seconds(self) -> float:
        return float(self.model.config.max_source_positions * SAMPLES_PER_POSITION / RATE_HZ)

    def prepare(self, wave: np.ndarray) -> Tensor:
        """Log-mel (mel bands, mel frames), an even number of frames: at most 20 ms of silence are added.

        Raises AudioError for a clip longer than the encoder has positions for.
        """
        if len(wave) > self.longest_seconds * RATE_HZ:
            raise AudioError(
                f"{len(wave) / RATE_HZ:.2f} s long; Whisper takes at most {self.longest_seconds:g} s: crop the clip "
                "(audio.seconds) or cut it into windows"
            )
        wave = np.pad(wave, (0, -len(wave) % SAMPLES_PER_POSITION))
        mel = self.extractor(wave, sampling_rate=self.extractor.sampling_rate, padding="do_not_pad", truncation=False)
        return torch.from_numpy(np.asarray(mel["input_features"][0], dtype=np.float32))

    def features(self, prepared: Tensor) -> Tensor:
        mel = prepared[None].to(self.device, self.dtype)
        with torch.no_grad():
            hidden = nn.functional.gelu(self.model.conv1(mel))
            hidden = nn.functional.gelu(self.model.conv2(hidden)).transpose(1, 2)
            positions = torch.arange(hidden.shape[1], device=hidden.device)
            return (hidden + self.model.embed_positions(positions))[0]

    def embed(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return features

    def finish(self, hidden: Tensor) -> Tensor:
        return self.model.layer_norm(hidden)

    def feed_forward(self, block: Any) -> tuple[nn.Module, nn.Module]:
        return block.fc1, block.fc2

    def residual_stream(self, block: Any) -> nn.Module:
        return block.final_layer_norm

    def activation(self, block: Any) -> tuple[nn.Module, str, nn.Module]:
        return block, "activation_fn", block.fc2

    def final_norm(self) -> nn.Module | None:
        return self.model.layer_norm
