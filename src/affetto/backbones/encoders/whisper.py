"""Whisper's encoder, alone, on as many positions as the clip needs (4 s = 200, not 1,500).

transformers' encoder takes 30 s and nothing else. The position table is a lookup, so a clip uses its
first rows. Shortening changes the outputs (it is a choice of protocol) and costs a tenth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from affetto.audio import RATE_HZ, AudioError
from affetto.backbones.attention import attend
from affetto.backbones.backbone import Backbone, frame_mask, pad_waves
from affetto.backbones.casts import without_autocast
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
    window: Tensor

    def __init__(self, filters: np.ndarray, size: int, hop: int) -> None:
        """`filters` (size // 2 + 1, bands); `size` and `hop` of the transform in samples."""
        super().__init__()
        self.size, self.hop = size, hop
        times, window = np.arange(size), 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
        angles = 2 * np.pi * np.arange(size // 2 + 1)[:, None] * times / size
        basis = np.concatenate([window * np.cos(angles), window * np.sin(angles)])[:, None, :]
        self.register_buffer("basis", torch.tensor(basis, dtype=torch.float32), persistent=False)
        self.register_buffer("filters", torch.tensor(filters.T, dtype=torch.float32), persistent=False)
        self.register_buffer(
            "window", torch.hann_window(size).clone(), persistent=False
        )  # torch's is a part of one longer

    def forward(self, waves: Tensor) -> Tensor:
        even = self._even(waves)
        edged = nn.functional.pad(even[:, None, :], (self.size // 2, self.size // 2), mode="reflect")
        spectrum = nn.functional.conv1d(edged, self.basis, stride=self.hop)[:, :, :-1]
        bins = self.size // 2 + 1
        log = self._log(spectrum[:, :bins] ** 2 + spectrum[:, bins:] ** 2)
        return self._scale(log, log.amax(dim=(1, 2), keepdim=True))

    def padded(self, waves: Tensor, lengths: Tensor) -> Tensor:
        """Waves (batch, samples), zero behind each clip's end → the log-mel of each clip alone, zero behind its end.

        `lengths` (batch,), on the CPU, are in samples. The transform itself is computed, as in transformers' extractor:
        the convolution differs from it by up to 1e-4 in the quietest bands of a clean tone.
        """
        even = self._even(waves)
        edged = _reflect(even, _positions(lengths) * SAMPLES_PER_POSITION, self.size // 2)
        windows = edged.unfold(1, self.size, self.hop)[:, :-1]
        log = self._log(torch.fft.rfft(windows * self.window).abs().square().transpose(1, 2))
        frames = _positions(lengths) * SAMPLES_PER_POSITION // self.hop
        mask = frame_mask(frames, log.shape[2], log.device)
        if mask is None:
            return self._scale(log, log.amax(dim=(1, 2), keepdim=True))
        silent = ~mask[:, None, :]
        loudest = log.masked_fill(silent, -torch.inf).amax(dim=(1, 2), keepdim=True)
        return self._scale(log, loudest).masked_fill(silent, 0.0)

    def _even(self, waves: Tensor) -> Tensor:
        """Waves with silence up to the end of their last position."""
        samples = _positions(waves.shape[1]) * SAMPLES_PER_POSITION
        return nn.functional.pad(waves, (0, SAMPLES_PER_POSITION - 1))[:, :samples]

    def _log(self, power: Tensor) -> Tensor:
        """(batch, frequencies, frames) → (batch, bands, frames)."""
        return torch.log10(torch.clamp(self.filters @ power, min=MEL_FLOOR))

    def _scale(self, log: Tensor, loudest: Tensor) -> Tensor:
        return (torch.maximum(log, loudest - DECADES_BELOW_PEAK) + 4.0) / 4.0


def _positions(samples: Any) -> Any:
    """Positions of clips of so many samples: what has begun counts."""
    return (samples + SAMPLES_PER_POSITION - 1) // SAMPLES_PER_POSITION


def _reflect(waves: Tensor, lengths: Tensor, edge: int) -> Tensor:
    """Waves (batch, samples) with `edge` samples more at either end, reflected at each clip's own ends.

    `lengths` (batch,) on the CPU. What lies behind a clip's reflection has no meaning.
    """
    last = (lengths - 1).to(waves.device, non_blocking=True)[:, None]
    index = torch.arange(-edge, waves.shape[1] + edge, device=waves.device).abs()[None, :]
    return waves.gather(1, torch.where(index > last, 2 * last - index, index).clamp_min(0))


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
        self._check(wave)
        wave = np.pad(wave, (0, -len(wave) % SAMPLES_PER_POSITION))
        mel = self.extractor(wave, sampling_rate=self.extractor.sampling_rate, padding="do_not_pad", truncation=False)
        return torch.from_numpy(np.asarray(mel["input_features"][0], dtype=np.float32))

    def _check(self, wave: np.ndarray) -> None:
        if len(wave) > self.longest_seconds * RATE_HZ:
            raise AudioError(
                f"{len(wave) / RATE_HZ:.2f} s long; Whisper takes at most {self.longest_seconds:g} s: crop the clip "
                "(audio.seconds) or cut it into windows"
            )

    def features(self, prepared: Tensor) -> Tensor:
        with torch.no_grad():
            return self._convolve(prepared[None].to(self.device, self.dtype))[0]

    def prepare_batch(self, waves: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
        """The waves themselves, zero-padded, and their samples: the device makes the log-mel."""
        for wave in waves:
            self._check(wave)
        samples = [torch.from_numpy(np.ascontiguousarray(wave, dtype=np.float32)) for wave in waves]
        return pad_waves(samples, round(self.longest_seconds * RATE_HZ))

    def features_batch(self, prepared: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            # The quietest bands are 1e-8 of the loudest: bfloat16 would not tell them apart.
            with without_autocast(self.device):
                mel = self.log_mel.padded(prepared.to(self.device), lengths)
            # Behind a clip's end the log-mel is zero, as the convolutions' own padding, and its frames are even: no
            # valid position sees more of what lies there.
            features = self._convolve(mel.to(self.dtype))
            frames = _positions(lengths)
            mask = frame_mask(frames, features.shape[1], features.device)
            return (features if mask is None else features.masked_fill(~mask[:, :, None], 0.0)), frames

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
