"""Heads of a checkpoint: the parts of a model outside its encoder, taken from the parent where it has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from affetto.backbones.backbone import Backbone, frame_mask
from affetto.quiet import quiet_transformers
from affetto.specialize.objective import NEW, PARENTS, PARTLY


def origin(model: Any, carried: list[str], encoder: str) -> str:
    """Origin of the weights outside the encoder: NEW, PARENTS or PARTLY.

    `carried` are the names of weights that come from the parent; those of the encoder begin with `encoder`.
    """
    names = {name for name in model.state_dict() if not name.startswith(encoder)}
    return NEW if not carried else PARENTS if names <= set(carried) else PARTLY


def carried_over(model: Any, folder: Path | None, encoder: str) -> list[str]:
    """Load the checkpoint's weights outside the encoder into `model`; returns their names.

    Names of the encoder's weights begin with `encoder`.
    """
    if folder is None:
        return []
    with quiet_transformers():
        loaded, report = type(model).from_pretrained(
            folder, config=model.config, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
        )
    absent = {*report["missing_keys"], *(entry[0] for entry in report["mismatched_keys"])}
    carried = {k: v for k, v in loaded.state_dict().items() if not k.startswith(encoder) and k not in absent}
    model.load_state_dict(carried, strict=False)
    return sorted(carried)


class SpeechEncoderCTC(nn.Module):
    """Whisper's encoder under a linear layer over characters: transformers has no such class.

    It goes by affetto's own pieces: as many positions as a clip needs, padding masked.
    """

    def __init__(self, backbone: Backbone, tokens: int) -> None:
        super().__init__()
        self.encoder = backbone.model
        self.lm_head = nn.Linear(backbone.width, tokens)
        self.__dict__["backbone"] = backbone  # its modules are the encoder's

    def forward(self, mels: Tensor, frames: Tensor) -> Tensor:
        """Log-mel (batch, bands, 2 longest), frames (batch,) on the CPU → scores (batch, longest, tokens)."""
        encoder, backbone = self.encoder, self.__dict__["backbone"]
        longest = mels.shape[-1] // 2
        mask = frame_mask(frames, longest, mels.device)
        hidden = nn.functional.gelu(encoder.conv1(mels))
        if mask is not None:  # the second convolution must see what lies beyond a clip's end alone: zeros
            hidden = hidden * mask.repeat_interleave(2, dim=1)[:, None].to(hidden.dtype)
        hidden = nn.functional.gelu(encoder.conv2(hidden)).transpose(1, 2)
        hidden = hidden + encoder.embed_positions.weight[:longest]
        context = backbone.context(mask, longest)
        for index in range(backbone.depth):
            hidden = backbone.block(index, hidden, context)
        out: Tensor = self.lm_head(backbone.finish(hidden))
        return out
