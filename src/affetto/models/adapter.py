"""The bottleneck Adapter in the forms that the literature has, hooked into blocks that stay as they are."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from affetto.errors import UserError, unknown
from affetto.models.backbone import Backbone
from affetto.models.dropout import Dropout
from affetto.models.method import ADAPTER_FILE, CONFIG_FILE, Method, need_blocks

PLACEMENTS = ("sequential", "houlsby", "parallel", "peft_ser")
WITHDRAWN = "double_residual"
"""A placement of earlier versions: PEFT-SER's form for pre-LayerNorm blocks, another one for post-LayerNorm blocks."""


class Bottleneck(nn.Module):
    """(…, width) → (…, width): scale · up(dropout(relu(down x))), zero at the start."""

    def __init__(self, width: int, bottleneck: int, dropout: float, scale: float) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        self.dropout, self.scale = Dropout(dropout), scale
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        return self.scale * self.up(self.dropout(torch.relu(self.down(hidden))))


class Adapter(Method):
    """A bottleneck A in each block. With the block's feed-forward F, s the residual stream before it:

    `sequential`  F(x) + A(F(x)) in place of F(x): behind the feed-forward, with a residual of its own
    `houlsby`     the same behind the attention too (Houlsby et al. 2019)
    `parallel`    F(x) + A(x): from the feed-forward's input (He et al. 2022)
    `peft_ser`    F(x) + A(s) + s, s before the LayerNorm that leads to F (Feng & Narayanan 2023): the block, which
                  adds its own residual, counts the stream twice, and is no identity at the start; an ablation

    `scale` is a factor on A. The others leave a backbone as it is until they are trained.
    """

    name = "adapter"

    def __init__(
        self,
        backbone: Backbone,
        blocks: range,
        *,
        bottleneck: int = 128,
        dropout: float = 0.0,
        scale: float = 1.0,
        placement: str = "sequential",
    ) -> None:
        super().__init__(backbone, blocks)
        need_blocks(blocks, self.name)
        if placement == WITHDRAWN:
            raise UserError(
                f"adapter.placement={WITHDRAWN} is of an earlier version and was not PEFT-SER's form in every family: "
                "set adapter.placement=peft_ser and train anew"
            )
        if placement not in PLACEMENTS:
            raise unknown("Adapter placement", placement, PLACEMENTS)
        self.settings = {"bottleneck": bottleneck, "dropout": dropout, "scale": scale, "placement": placement}
        self.blocks = blocks
        self.bottlenecks = nn.ModuleDict()
        for i in blocks:
            for name, hook in _HOOKS[placement].items():
                adapter = Bottleneck(backbone.width, bottleneck, dropout, scale)
                if placement == "peft_ser":
                    nn.init.zeros_(adapter.down.bias)  # as its code has it
                self.bottlenecks[f"{i}{name}"] = adapter
                hook(adapter, backbone, backbone.blocks[i])

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        config = {"type": "bottleneck", "blocks": [self.blocks.start, self.blocks.stop], **self.settings}
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")
        save_file(
            {name: t.detach().cpu().contiguous() for name, t in self.bottlenecks.state_dict().items()},
            folder / ADAPTER_FILE,
        )

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        method = cls(backbone, blocks, **settings)
        method.bottlenecks.load_state_dict(load_file(folder / ADAPTER_FILE))
        return method


class _Bypass:
    """An adapter whose input and output lie at two modules of a block; the input is held on the way.

    It is held by thread: a server's requests share the model.
    """

    def __init__(self, adapter: nn.Module, *, residual: bool) -> None:
        self.adapter, self.residual = adapter, residual
        self.held: dict[int, Tensor] = {}

    def hold(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.held[threading.get_ident()] = inputs[0]

    def add(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        entered = self.held.pop(threading.get_ident())
        added = output + self.adapter(entered)
        return added + entered if self.residual else added


class _Behind:
    """An adapter on the output of a module, with a residual of its own."""

    def __init__(self, adapter: nn.Module) -> None:
        self.adapter = adapter

    def __call__(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + self.adapter(output)


def _behind_feed_forward(adapter: nn.Module, backbone: Backbone, block: nn.Module) -> None:
    backbone.feed_forward(block)[1].register_forward_hook(_Behind(adapter))


def _behind_attention(adapter: nn.Module, backbone: Backbone, block: nn.Module) -> None:
    backbone.attention_output(block).register_forward_hook(_Behind(adapter))


def _beside_feed_forward(adapter: nn.Module, backbone: Backbone, block: nn.Module) -> None:
    first, last = backbone.feed_forward(block)
    bypass = _Bypass(adapter, residual=False)
    first.register_forward_pre_hook(bypass.hold)
    last.register_forward_hook(bypass.add)


def _from_the_stream(adapter: nn.Module, backbone: Backbone, block: nn.Module) -> None:
    bypass = _Bypass(adapter, residual=True)
    backbone.feed_forward_norm(block).register_forward_pre_hook(bypass.hold)
    backbone.feed_forward(block)[1].register_forward_hook(bypass.add)


_HOOKS = {
    "sequential": {"": _behind_feed_forward},
    "houlsby": {"": _behind_feed_forward, "_attention": _behind_attention},
    "parallel": {"": _beside_feed_forward},
    "peft_ser": {"": _from_the_stream},
}
"""By placement: the bottlenecks of a block, each by the end of its name, and how it is hooked in."""
