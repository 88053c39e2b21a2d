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
from affetto.backbones.attention import attend
from affetto.backbones.backbone import Backbone
from affetto.backbones.families.whisper import SAMPLES_PER_POSITION

MEL_FLOOR, DECADES_BELOW_PEAK = 1e-10, 8.0
"""Whisper's own: what is quieter counts as this loud."""


class LogMel(nn.Module):
    """Waves (batch, samples) of one length → log-mel (batch, bands, frames), an even number of frames.

    Whisper's own features as one convolution with the windowed Fourier basis: every runtime has convolutions,
    few have the transform. Parity with transformers' extractor is tested.
    """

    basis: Tensor
    filters: Tensor

    def __init__(self, filters: np.ndarray, size: int, hop: int) -> None:
        """`filters` (size // 2 + 1, bands); `size` and `hop` of the transform in samples."""
        super().__init__()
        self.size, self.hop = size, hop
        times, window = np.arange(size), 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
        angles = 2 * np.pi * np.arange(size // 2 + 1)[:, None] * times / size
        basis = np.concatenate([window * np.cos(angles), window * np.sin(angles)])[:, None, :]
        self.register_buffer("basis", torch.tensor(basis, dtype=torch.float32), persistent=False)
        self.register_buffer("filters", torch.tensor(filters.T, dtype=torch.float32), persistent=False)

    def forward(self, waves: Tensor) -> Tensor:
        samples = waves.shape[1]
        positions = (samples + SAMPLES_PER_POSITION - 1) // SAMPLES_PER_POSITION
        even = nn.functional.pad(waves, (0, SAMPLES_PER_POSITION - 1))[:, : positions * SAMPLES_PER_POSITION]
        edged = nn.functional.pad(even[:, None, :], (self.size // 2, self.size // 2), mode="reflect")
        spectrum = nn.functional.conv1d(edged, self.basis, stride=self.hop)[:, :, :-1]
        bins = self.size // 2 + 1
        power = spectrum[:, :bins] ** 2 + spectrum[:, bins:] ** 2
        log = torch.log10(torch.clamp(self.filters @ power, min=MEL_FLOOR))
        loudest = log.amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(log, loudest - DECADES_BELOW_PEAK) + 4.0) / 4.0


class WhisperBackbone(Backbone):
    """`model` is transformers' `WhisperEncoder`; `preprocessing` holds the extractor's constants."""

    family = "whisper"

    def __init__(self, model: Any, preprocessing: dict[str, Any]) -> None:
        from transformers import WhisperFeatureExtractor

        super().__init__(model, preprocessing)
        self.attend_by(attend)
        self.extractor = WhisperFeatureExtractor(**preprocessing)
        self.log_mel = LogMel(np.asarray(self.extractor.mel_filters), self.extractor.n_fft, self.extractor.hop_length)

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
        with torch.no_grad():
            return self._convolve(prepared[None].to(self.device, self.dtype))[0]

    def from_waves(self, waves: Tensor) -> Tensor:
        return self._convolve(self.log_mel(waves))

    def _convolve(self, mel: Tensor) -> Tensor:
        """(batch, mel bands, mel frames) → (batch, positions, width), positions added."""
        hidden = nn.functional.gelu(self.model.conv1(mel))
        hidden = nn.functional.gelu(self.model.conv2(hidden)).transpose(1, 2)
        positions = torch.arange(hidden.shape[1], device=hidden.device)
        return hidden + self.model.embed_positions(positions)

    def embed(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return features.float()

    def finish(self, hidden: Tensor) -> Tensor:
        return self.model.layer_norm(hidden)

    def feed_forward(self, block: Any) -> tuple[nn.Module, nn.Module]:
        return block.fc1, block.fc2

    def feed_forward_norm(self, block: Any) -> nn.Module:
        return block.final_layer_norm

    def closing_norm(self, block: Any) -> nn.Module | None:
        return None

    def attention(self, block: Any) -> nn.Module:
        return block.self_attn

    def attention_output(self, block: Any) -> nn.Module:
        return block.self_attn.out_proj

    def activation(self, block: Any) -> tuple[nn.Module, str, nn.Module]:
        return block, "activation_fn", block.fc2

    def final_norm(self) -> nn.Module | None:
        return self.model.layer_norm
