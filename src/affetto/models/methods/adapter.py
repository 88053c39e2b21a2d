"""The bottleneck Adapter in the forms that the literature has, hooked into blocks that stay as they are."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from affetto.errors import UserError, unknown
from affetto.models.methods.added_modules import AddedModules
from affetto.models.methods.base import MethodSettings, check_blocks

if TYPE_CHECKING:
    from torch import Tensor, nn

    from affetto.backbones.backbone import Backbone

PLACEMENTS = ("sequential", "houlsby", "pfeiffer", "parallel", "peft_ser")
WITHDRAWN = "double_residual"
"""A placement of earlier versions: PEFT-SER's form for pre-LayerNorm blocks, another one for post-LayerNorm blocks."""


PUBLISHED: dict[Any, dict[str, float]] = {
    "parallel": {"dropout": 0.1, "scale": 0.1},
    "peft_ser": {"dropout": 0.1, "scale": 0.1},
}
"""Settings that a placement was published with (He et al. 2022; PEFT-SER's code), where they are not the defaults."""


class AdapterSettings(MethodSettings):
    bottleneck: int = Field(128, ge=1, description="width of the bottleneck")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="dropout within it; 0.1 with placement parallel or peft_ser, unless set"
    )
    scale: float = Field(
        1.0, gt=0, description="factor on its output; 0.1 with placement parallel or peft_ser, unless set"
    )
    # The last one is of runs of earlier versions: their specs can be read, and no new run can be made.
    placement: Literal["sequential", "houlsby", "pfeiffer", "parallel", "peft_ser", "double_residual"] = Field(
        "sequential",
        description="sequential: behind the feed-forward; houlsby: behind the attention too; pfeiffer: from the "
        "block's output; parallel: from the feed-forward's input; peft_ser: from the residual stream, which is added "
        "twice",
    )

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, values: Any) -> Any:
        """Fill in the scale and dropout that a placement was published with."""
        return (PUBLISHED.get(values.get("placement"), {}) | values) if isinstance(values, dict) else values


class Adapter(AddedModules):
    """A bottleneck A in each block. With the block's feed-forward F, s the residual stream before it:

    `sequential`  F(x) + A(F(x)) in place of F(x): behind the feed-forward, with a residual of its own
    `houlsby`     the same behind the attention too (Houlsby et al. 2019)
    `pfeiffer`    F(x) + A(y), y what the block would give without it, after its last LayerNorm (Pfeiffer et al. 2020)
    `parallel`    F(x) + A(x): from the feed-forward's input (He et al. 2022)
    `peft_ser`    F(x) + A(s) + s, s before the LayerNorm that leads to F (Feng & Narayanan 2023): the block, which
                  adds its own residual, counts the stream twice, and is no identity at the start; an ablation

    `scale` is a factor on A. The others leave a backbone as it is until they are trained.
    """

    name = "adapter"
    title = "Adapter"
    trains = "a bottleneck network in each block"
    source = "Houlsby et al. 2019; Pfeiffer et al. 2020; He et al. 2022"
    settings = AdapterSettings
    modules_attribute = "bottlenecks"
    part = "outputs"
    stackable = True
    recommended = {"placement": "parallel", "scale": 1.0, "dropout": 0.1}

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
        from torch import nn

        from affetto.models.bottleneck import Bottleneck

        super().__init__(backbone, blocks)
        check_blocks(blocks, self.name)
        if placement == WITHDRAWN:
            raise UserError(
                f"adapter.placement={WITHDRAWN} is of an earlier version and was not PEFT-SER's form in every family: "
                "set adapter.placement=peft_ser and train anew"
            )
        if placement not in PLACEMENTS:
            raise unknown("Adapter placement", placement, PLACEMENTS)
        shape = {"bottleneck": bottleneck, "dropout": dropout, "scale": scale, "placement": placement}
        self.facts = {"type": "bottleneck", "blocks": [blocks.start, blocks.stop], **shape}
        self.bottlenecks = nn.ModuleDict()
        for i in blocks:
            for name, hook in _HOOKS[placement].items():
                adapter = Bottleneck(backbone.width, bottleneck, dropout, scale)
                if placement == "peft_ser":
                    nn.init.zeros_(adapter.down.bias)  # as its code has it
                self.bottlenecks[f"{i}{name}"] = adapter
                hook(adapter, backbone, backbone.blocks[i])

    def cast_together(self) -> list[Tensor]:
        return list(self.bottlenecks.parameters())


class _Bypass:
    """An adapter whose input and output lie at two modules of a block; the input is held on the way.

    It is held by thread: a server's requests share the model. `first` names the linear layer within the first module
    that the input enters, if it is not that module itself: layer and adapter then share one cast of it.
    """

    def __init__(self, adapter: nn.Module, *, residual: bool, first: str = "") -> None:
        self.adapter, self.residual, self.first = adapter, residual, first
        self.held: dict[int, Tensor] = {}

    def hold(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        from affetto.backbones.casts import cast_once, casts_input

        entering, held = inputs[0], inputs[0]
        if not self.residual and casts_input(getattr(module, self.first, module)):
            entering, held = cast_once(inputs[0], 2)
        self.held[threading.get_ident()] = held
        return (entering,)

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


class _AtTheEnd:
    """An adapter from what a block would give without it, onto the residual stream at the block's end.

    `norm` is the LayerNorm that ends the block; None where the block ends with the sum itself.
    """

    def __init__(self, adapter: nn.Module, norm: nn.Module | None) -> None:
        self.adapter, self.norm = adapter, norm

    def add(self, _block: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> Any:
        if self.norm is not None:
            return self.norm.forward(inputs[0] + self.adapter(output))
        if isinstance(output, tuple):
            return output[0] + self.adapter(output[0]), *output[1:]
        return output + self.adapter(output)


def _behind_feed_forward(adapter: nn.Module, backbone: Backbone, block: nn.Module) -> None:
    backbone.feed_forward(block)[1].register_forward_hook(_Behind(adapter))


def _behind_attention(adapter: nn.Module, backbone: Backbone, block: nn.Module) -> None:
    backbone.attention_output(block).register_forward_hook(_Behind(adapter))


def _behind_block(adapter: nn.Module, backbone: Backbone, block: nn.Module) -> None:
    norm = backbone.closing_norm(block)
    (block if norm is None else norm).register_forward_hook(_AtTheEnd(adapter, norm).add)


def _beside_feed_forward(adapter: nn.Module, backbone: Backbone, block: nn.Module) -> None:
    first, last = backbone.feed_forward(block)
    bypass = _Bypass(adapter, residual=False, first=backbone.record.feed_forward_layers[0])
    first.register_forward_pre_hook(bypass.hold)
    last.register_forward_hook(bypass.add)


def _from_the_stream(adapter: nn.Module, backbone: Backbone, block: nn.Module) -> None:
    bypass = _Bypass(adapter, residual=True)
    backbone.feed_forward_norm(block).register_forward_pre_hook(bypass.hold)
    backbone.feed_forward(block)[1].register_forward_hook(bypass.add)


_HOOKS = {
    "sequential": {"": _behind_feed_forward},
    "houlsby": {"": _behind_feed_forward, "_attention": _behind_attention},
    "pfeiffer": {"": _behind_block},
    "parallel": {"": _beside_feed_forward},
    "peft_ser": {"": _from_the_stream},
}
"""Bottlenecks of a block by placement: the end of the name of each → the function that hooks it in."""
