"""Attention of a block: its forward pass, its mask, and trainable keys and values in front of a clip's own.

transformers' attention modules cast their input once for each projection, and copy queries, keys and values. `attend`
stands for their forward pass in the families of affetto's own: the same numbers with fewer kernels. A plug-in's module
hands its projections to an attention function by name; one of that kind is registered by `use_interface`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from affetto.backbones.casts import cast_once, casts_input

INTERFACE = "affetto_prefix"
"""Name of the attention function among transformers' own (`sdpa`, `eager`)."""
INITIAL_DEVIATION = 0.02


class AttentionPrefix(nn.Module):
    """Scaled dot-product attention over a clip's keys and values and `length` trainable ones in front of them.

    `keys` and `values` are (heads, length, head width), normal with a deviation of 0.02 at the start.
    """

    def __init__(self, heads: int, length: int, head_width: int) -> None:
        super().__init__()
        self.length = length
        self.keys = nn.Parameter(torch.empty(heads, length, head_width).normal_(std=INITIAL_DEVIATION))
        self.values = nn.Parameter(torch.empty(heads, length, head_width).normal_(std=INITIAL_DEVIATION))

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        scale: float | None = None,
    ) -> Tensor:
        """query, key, value, all (batch, heads, frames, head width) → mixed values of that shape.

        `attn_mask`, broadcast to (batch, heads, frames, frames), is True where a key may be seen, or is added to the
        logits. Every frame sees the whole prefix, and WavLM's position bias is 0 there.
        """
        if attn_mask is not None:
            visible = True if attn_mask.dtype == torch.bool else 0.0
            attn_mask = nn.functional.pad(attn_mask, (self.length, 0), value=visible)
        return nn.functional.scaled_dot_product_attention(
            query,
            _in_front(self.keys, key),
            _in_front(self.values, value),
            attn_mask=attn_mask,
            dropout_p=dropout_p,
            scale=scale,
        )


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A bool mask, True where a key is visible, as what is added to logits: 0 there, else -∞."""
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(~mask, -torch.inf)


def attend(
    self: Any, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: Any
) -> tuple[Tensor, Tensor | None]:
    """Forward pass of an attention module of transformers': (batch, frames, width) → the same, and no weights.

    `attention_mask` is as `AttentionPrefix.forward` takes it.
    """
    query, key, value = project(self, hidden_states)[:3]
    dropout = self.dropout if self.training else 0.0
    mixed = attend_function(self)(
        query, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=self.head_dim**-0.5
    )
    return self.out_proj(mixed.transpose(1, 2).reshape(hidden_states.shape)), None


def project(attention: Any, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(batch, frames, width) → queries, keys and values, all (batch, heads, frames, head width); and their input."""
    by_head = (*hidden.shape[:2], attention.num_heads, attention.head_dim)
    layers = (attention.q_proj, attention.k_proj, attention.v_proj)
    *inputs, rest = cast_once(hidden, 4) if all(casts_input(layer) for layer in layers) else (hidden,) * 4
    query, key, value = (layer(x).view(by_head).transpose(1, 2) for layer, x in zip(layers, inputs, strict=True))
    return query, key, value, rest


def replace_attend(attention: nn.Module, attend: Callable[..., Tensor]) -> None:
    """Let an attention module mix its values by `attend`, which is called as torch's scaled dot-product attention."""
    # Not registered as a submodule: the names of the backbone's weights stay as they are.
    attention.__dict__["attend"] = attend


def use_interface(model: Any) -> None:
    """Let the attention modules of a transformers model ask `attend_function`."""
    from transformers import AttentionInterface

    AttentionInterface.register(INTERFACE, _attend)
    model.set_attn_implementation(INTERFACE)


def attend_function(attention: nn.Module) -> Callable[..., Tensor]:
    """The function that an attention module mixes values with: torch's own, unless it was replaced."""
    return attention.__dict__.get("attend", nn.functional.scaled_dot_product_attention)


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """An attention function as transformers calls it → (batch, frames, heads, head width), no weights."""
    attend = attend_function(module)
    mixed = attend(query, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling)
    return mixed.transpose(1, 2).contiguous(), None


def _in_front(prefix: Tensor, states: Tensor) -> Tensor:
    """(heads, length, width) in front of (batch, heads, frames, width), in the latter's dtype."""
    return torch.cat([prefix.to(states.dtype).expand(states.shape[0], -1, -1, -1), states], dim=2)
