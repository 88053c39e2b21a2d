"""Floating-point operations of an encoder's forward pass, counted from its shapes: a product and a sum are two.

Only matrix products and convolutions count: they are nearly all of the time. `torch.utils.flop_counter` counts the same
on a real pass, and the tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affetto.audio import RATE_HZ

MELS, MEL_FRAMES_PER_SECOND, SPECTRUM = 80, 100, 201
"""Whisper's spectrogram: bands, frames a second, and frequencies of a window of 400 samples."""
CONVOLUTIONS = (512,) * 7, (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
"""Widths, kernels and strides of wav2vec 2.0's front end, which HuBERT and WavLM share."""


@dataclass(frozen=True, kw_only=True)
class Operations:
    """Operations of one clip in its front end and in one block; `frames` of `width` enter each of `depth` blocks."""

    front_end: float
    block: float
    depth: int
    frames: int
    width: int

    @property
    def forward(self) -> float:
        return self.front_end + self.depth * self.block


def wave_encoder(config: Mapping[str, Any], seconds: float) -> Operations:
    """An encoder of wav2vec 2.0's shape. `config` is transformers' own; what it lacks is as in the base model."""
    width, inner = config.get("hidden_size", 768), config.get("intermediate_size", 3072)
    frames, front = _wave_convolutions(config, round(seconds * RATE_HZ))
    kernel, groups = config.get("num_conv_pos_embeddings", 128), config.get("num_conv_pos_embedding_groups", 16)
    # The positional convolution of an even kernel makes one frame more, which is cut off.
    front += 2.0 * (frames + (kernel % 2 == 0)) * kernel * width * width / groups
    return Operations(
        front_end=front,
        block=_block(frames, width, inner),
        depth=config.get("num_hidden_layers", 12),
        frames=frames,
        width=width,
    )


def mel_encoder(config: Mapping[str, Any], seconds: float) -> Operations:
    """An encoder of Whisper's shape. `config` is transformers' own; what it lacks is as in the tiny model."""
    width, inner = config.get("d_model", 384), config.get("encoder_ffn_dim", 1536)
    mel = round(seconds * MEL_FRAMES_PER_SECOND)
    frames = -(-mel // 2)
    return Operations(
        front_end=2.0 * mel * MELS * SPECTRUM + 2.0 * 3 * width * (mel * MELS + frames * width),
        block=_block(frames, width, inner),
        depth=config.get("encoder_layers", 4),
        frames=frames,
        width=width,
    )


def _block(frames: int, width: int, inner: int) -> float:
    """Operations of a transformer block: linear layers, and the attention's own products."""
    linear = 2.0 * frames * (4 * width * width + 2 * width * inner)
    attention = 2.0 * 2 * frames * frames * width
    return linear + attention


def _wave_convolutions(config: Mapping[str, Any], samples: int) -> tuple[int, float]:
    """Frames, and the operations of the convolutions on the wave and of the projection behind them."""
    widths, kernels, strides = (
        config.get(name, default)
        for name, default in zip(("conv_dim", "conv_kernel", "conv_stride"), CONVOLUTIONS, strict=True)
    )
    length, channels, total = samples, 1, 0.0
    for width, kernel, stride in zip(widths, kernels, strides, strict=True):
        length = (length - kernel) // stride + 1
        total += 2.0 * length * kernel * channels * width
        channels = width
    return length, total + 2.0 * length * channels * config.get("hidden_size", 768)
