"""A front end that takes a padded batch and gives each clip what it would be given alone.

The convolutions have no padding, so a frame within a clip sees that clip alone. The group norm of the base models is
the one thing that looks at a whole row: it takes mean and variance over time, of the padding too. Here it takes them
over the clip's own frames.
"""

from __future__ import annotations

import types
from typing import Any

import torch
from torch import Tensor, nn

from affetto.backbones.encoders.wav2vec2 import group_norm


class Lengths:
    """Lengths of the clips of a batch: the caller of the model sets `samples` (batch,) before each pass."""

    def __init__(self) -> None:
        self.samples: Tensor | None = None


def mask_norm(extractor: Any) -> Lengths:
    """Let a front end's group norm, where it has one, look at the clips' own frames; returns the lengths to set."""
    lengths = Lengths()
    first = extractor.conv_layers[0]
    norm = getattr(first, "layer_norm", None)
    if isinstance(norm, nn.GroupNorm):
        kernel, stride = first.conv.kernel_size[0], first.conv.stride[0]

        def forward(self: nn.GroupNorm, hidden: Tensor) -> Tensor:
            if lengths.samples is None:
                return nn.functional.group_norm(hidden, self.num_groups, self.weight, self.bias, self.eps)
            frames = (lengths.samples.to(hidden.device) - kernel) // stride + 1
            mask = torch.arange(hidden.shape[-1], device=hidden.device) < frames[:, None]
            return group_norm(self, hidden, mask)

        norm.forward = types.MethodType(forward, norm)  # type: ignore[method-assign]
    return lengths
