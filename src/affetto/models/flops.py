"""Floating-point operations of a backbone's forward pass, counted from its shapes: a product and a sum are two.

Only matrix products and convolutions count: they are nearly all of the time. `torch.utils.flop_counter` counts the same
on a real pass, and the tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from affetto.audio import RATE_HZ

MELS, MEL_FRAMES_PER_SECOND, SPECTRUM = 80, 100, 201
"""Whisper's spectrogram: bands, frames and, of a window of 400 samples, frequencies."""
CONVOLUTIONS = (512,) * 7, (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
"""Widths, kernels and strides of wav2vec 2.0's front end, which HuBERT and WavLM share."""


@dataclass(frozen=True)
class Operations:
    """Of one clip: its front end, one block, and how many blocks there are; `frames` of `width` enter a block."""

    front_end: float
    block: float
    depth: int
    frames: int
    width: int

    @property
    def forward(self) -> float:
        return self.front_end + self.depth * self.block


def count(family: str, config: Mapping[str, Any], seconds: float) -> Operations:
    """Of a clip of `seconds`; `config` is transformers' own, where what is left out is as in the base models."""
    if family == "whisper":
        width, depth = config.get("d_model", 384), config.get("encoder_layers", 4)
        inner = config.get("encoder_ffn_dim", 1536)
        mel = round(seconds * MEL_FRAMES_PER_SECOND)
        frames = -(-mel // 2)
        front = 2.0 * mel * MELS * SPECTRUM + 2.0 * 3 * width * (mel * MELS + frames * width)
    else:
        width, depth = config.get("hidden_size", 768), config.get("num_hidden_layers", 12)
        inner = config.get("intermediate_size", 3072)
        frames, front = _convolutions(config, round(seconds * RATE_HZ))
        kernel, groups = config.get("num_conv_pos_embeddings", 128), config.get("num_conv_pos_embedding_groups", 16)
        # The positional convolution of an even kernel makes one frame more, which is cut off.
        front += 2.0 * (frames + (kernel % 2 == 0)) * kernel * width * width / groups
    linear = 2.0 * frames * (4 * width * width + 2 * width * inner)
    attention = 2.0 * 2 * frames * frames * width
    return Operations(front, linear + attention, depth, frames, width)


def _convolutions(config: Mapping[str, Any], samples: int) -> tuple[int, float]:
    """Frames, and the operations of the convolutions on the wave and of the projection behind them."""
    widths, kernels, strides = (
        config.get(name, default)
        for name, default in zip(("conv_dim", "conv_kernel", "conv_stride"), CONVOLUTIONS, strict=True)
    )
    length, before, total = samples, 1, 0.0
    for width, kernel, stride in zip(widths, kernels, strides, strict=True):
        length = (length - kernel) // stride + 1
        total += 2.0 * length * kernel * before * width
        before = width
    return length, total + 2.0 * length * before * config.get("hidden_size", 768)
