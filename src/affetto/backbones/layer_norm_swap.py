"""`model.layer_norm_swap`: the weights of a pre-LayerNorm encoder computed through post-LayerNorm blocks.

An ablation, and the one place where a layer class is swapped. Public code of the paper's group (2024 and later) puts
one post-LayerNorm layer class into every wav2vec 2.0 checkpoint. The names of the weights are the same in both, so a
pre-LayerNorm checkpoint (XLSR-53) loads without a missing key and computes another function. Whether the paper's own
code did so is not known.

    blocks    transformers' post-LayerNorm blocks in the checkpoint's own encoder, as that code has it
    encoder   transformers' post-LayerNorm encoder as a whole (`do_stable_layer_norm=False`): its LayerNorm moves from
              behind the last block to before the first
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from affetto.backbones.backbone import Backbone
from affetto.backbones.families.registry import FAMILIES
from affetto.errors import UserError, unknown

SWAPS = ("none", "blocks", "encoder")


def swap_layer_norm(backbone: Backbone, kind: str) -> Backbone:
    """The same weights, every one of them, in a backbone of the other order; `backbone` itself is used up.

    Raises UserError for a backbone that has no other order (Whisper), or has it already.
    """
    if kind not in SWAPS:
        raise unknown("model.layer_norm_swap", kind, SWAPS)
    if kind == "none":
        return backbone
    model: Any = backbone.model
    if not backbone.record.both_norm_orders:
        raise UserError(
            f"model.layer_norm_swap={kind}: {backbone.family} has no post-LayerNorm blocks to swap in; "
            f"families that have: {', '.join(name for name, family in FAMILIES.items() if family.both_norm_orders)}"
        )
    if not model.config.do_stable_layer_norm:
        raise UserError(
            f"model.layer_norm_swap={kind}: this {backbone.family} checkpoint is post-LayerNorm already; "
            "it is for pre-LayerNorm ones, such as xlsr-53, xlsr-53-it and wav2vec2-large-it"
        )
    swapped = _post_norm(model)
    if kind == "blocks":
        model.encoder.layers = swapped.encoder.layers
        swapped = model
    result = type(backbone)(swapped, backbone.preprocessing)
    result.layer_norm_swap = kind
    return result


def _post_norm(model: Any) -> Any:
    """transformers' post-LayerNorm model of the same family with the very weights of `model`."""
    config = copy.deepcopy(model.config)
    config.do_stable_layer_norm = False
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        swapped = type(model)(config)
    try:
        # Strict: no weight is left over, and none is left as it was made.
        swapped.load_state_dict(model.state_dict(), strict=True, assign=True)
    except RuntimeError as problem:
        raise UserError(
            f"model.layer_norm_swap: the weights do not fit post-LayerNorm blocks ({' '.join(str(problem).split())})"
        ) from None
    return swapped
