"""Ways to adapt a backbone: frozen, Adapter, LoRA, full fine-tuning.

A method changes a backbone in place and knows which parameters it trains, from which block on, and how
they are saved. LoRA is Hugging Face peft, in peft's own format; the bottleneck Adapter is ours, since
peft has none (its issue #244).
"""

from __future__ import annotations

import json
import threading
import warnings
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from affetto.errors import UserError, unknown
from affetto.models import lowrank
from affetto.models.backbone import Backbone
from affetto.models.dropout import Dropout

EMBEDDING, NOTHING = -1, 10_000
"""`lowest_block` where training reaches below the blocks, and where no block trains."""
ADAPTER_FILE, CONFIG_FILE = "adapter_model.safetensors", "adapter_config.json"


class Method(nn.Module):
    """What trains in a backbone. `blocks` is the range of blocks that the method may change."""

    name: ClassVar[str]
    trains_backbone: ClassVar[bool] = False
    """Whether what trains are the backbone's own weights, so that no other model can use them."""

    def __init__(self, backbone: Backbone, blocks: range, **_: Any) -> None:
        super().__init__()
        self.lowest_block = blocks.start if len(blocks) else NOTHING

    def save(self, folder: Path) -> None:
        """Write what was trained to `folder` (JSON and safetensors only)."""

    def merge(self) -> None:
        """Fold what was trained into the backbone's own weights, where that can be done: for inference."""

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        """The method with saved weights, on a fresh backbone."""
        return cls(backbone, blocks, **settings)


class Frozen(Method):
    """The backbone as it is; only the head trains (the paper's "downstream model")."""

    name = "frozen"

    def __init__(self, backbone: Backbone, blocks: range, **_: Any) -> None:
        super().__init__(backbone, range(0))


class Probe(Frozen):
    """The frozen backbone under logistic regression: the baseline that other methods must beat.

    What makes it one are its settings: a linear head on one state's statistics, started as a logistic regression
    and not trained further (`affetto.training.spec.PROBE`).
    """

    name = "probe"


class Lora(Method):
    """LoRA (Hu et al. 2022) by peft: W + (alpha / rank) B A on linear layers of the blocks, B zero at the start.

    `targets` is `ff` (both feed-forward layers, the paper's by PEFT-SER), `attention` or `all`.
    """

    name = "lora"

    def __init__(
        self,
        backbone: Backbone,
        blocks: range,
        *,
        rank: int = 8,
        alpha: float = 1.0,
        dropout: float = 0.0,
        targets: str = "ff",
    ) -> None:
        from peft import LoraConfig, get_peft_model
        from peft.tuners.lora import LoraLayer

        super().__init__(backbone, blocks)
        _need_blocks(blocks, self.name)
        if targets not in backbone.lora_targets:
            raise unknown("LoRA target", targets, backbone.lora_targets)
        config = LoraConfig(
            r=rank,
            lora_alpha=alpha,  # type: ignore[arg-type]  # peft's scaling divides, a float is as good
            lora_dropout=dropout,
            bias="none",
            target_modules=target_modules(backbone, blocks, backbone.lora_targets[targets]),
        )
        # Not registered: its modules are the backbone's own, changed in place.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft's use of an older name of transformers'
            self.__dict__["peft_model"] = get_peft_model(backbone.model, config)
        layers = [module for module in backbone.model.modules() if isinstance(module, LoraLayer)]
        self.__dict__["dropouts"] = [layer.lora_dropout for layer in layers]
        self.__dict__["activations"] = []
        self._fuse(backbone, blocks, layers)
        self.train(False)

    def _fuse(self, backbone: Backbone, blocks: range, layers: list[Any]) -> None:
        """Compute by `lowrank`; the second feed-forward layer takes over the activation before it."""
        absorbing = set()
        for owner, name, second in (backbone.activation(backbone.blocks[i]) for i in blocks):
            if backbone.gelu and second in layers:
                absorbing.add(second)
                self.__dict__["activations"].append((owner, name, getattr(owner, name)))
                setattr(owner, name, nn.Identity())
        for layer in layers:
            lowrank.fuse(layer, gelu=layer in absorbing)

    def train(self, mode: bool = True) -> Lora:
        """LoRA's own dropout follows the method; the backbone that it sits in stays in eval mode."""
        super().train(mode)
        for dropout in self.__dict__["dropouts"]:
            dropout.train(mode)
        return self

    def save(self, folder: Path) -> None:
        # Told not to look for resized embeddings: that would ask the hub.
        self.__dict__["peft_model"].save_pretrained(str(folder), save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        from peft import get_peft_model_state_dict, set_peft_model_state_dict

        saved = load_file(folder / ADAPTER_FILE)
        method = cls(backbone, blocks, **settings)
        peft_model = method.__dict__["peft_model"]
        # peft itself only warns of what is missing, and leaves it at random.
        _same_names(saved, get_peft_model_state_dict(peft_model, save_embedding_layers=False), folder)
        set_peft_model_state_dict(peft_model, saved)
        return method

    def merge(self) -> None:
        """W + (alpha / rank) B A becomes the layer's W: the plain transformers model, without peft's modules."""
        self.__dict__["peft_model"].merge_and_unload(safe_merge=True)
        for owner, name, activation in self.__dict__["activations"]:
            setattr(owner, name, activation)
        self.__dict__["dropouts"] = self.__dict__["activations"] = []


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


PLACEMENTS = ("parallel", "sequential", "double_residual")


class Adapter(Method):
    """A bottleneck (Houlsby et al. 2019) at the feed-forward of each block.

    `parallel` (He et al. 2022): from the feed-forward's input, added to its output. `sequential`: from
    and to its output. `double_residual`: PEFT-SER's form, which takes the residual stream and returns
    it too, so that the block adds its input twice; an ablation, no identity at the start.
    """

    name = "adapter"

    def __init__(
        self,
        backbone: Backbone,
        blocks: range,
        *,
        bottleneck: int = 128,
        dropout: float = 0.1,
        scale: float = 0.1,
        placement: str = "parallel",
    ) -> None:
        super().__init__(backbone, blocks)
        _need_blocks(blocks, self.name)
        if placement not in PLACEMENTS:
            raise unknown("Adapter placement", placement, PLACEMENTS)
        self.settings = {"bottleneck": bottleneck, "dropout": dropout, "scale": scale, "placement": placement}
        self.blocks = blocks
        self.bottlenecks = nn.ModuleDict(
            {str(i): Bottleneck(backbone.width, bottleneck, dropout, scale) for i in blocks}
        )
        for i in blocks:
            _attach(self.bottlenecks[str(i)], backbone, backbone.blocks[i], placement)

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


class Full(Method):
    """All blocks and the feature projection train; the convolutional front end stays frozen."""

    name = "full"
    trains_backbone = True

    def __init__(self, backbone: Backbone, blocks: range, **_: Any) -> None:
        super().__init__(backbone, blocks)
        _need_blocks(blocks, self.name)
        # Not registered: the parameters are the backbone's own.
        modules: list[nn.Module] = [backbone.blocks[i] for i in blocks]
        if blocks.start == 0 and backbone.embedding_modules():
            modules += backbone.embedding_modules()
            self.lowest_block = EMBEDDING
        norm = backbone.final_norm()
        if blocks.stop == backbone.depth and norm is not None:
            modules.append(norm)
        trained = {id(parameter) for module in modules for parameter in module.parameters()}
        self.__dict__["trained"] = {
            name: parameter.requires_grad_(True)
            for name, parameter in backbone.model.named_parameters()
            if id(parameter) in trained
        }

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: p.detach().cpu().contiguous() for name, p in self.__dict__["trained"].items()}, folder / ADAPTER_FILE
        )

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        method = cls(backbone, blocks)
        saved, own = load_file(folder / ADAPTER_FILE), method.__dict__["trained"]
        _same_names(saved, own, folder)
        with torch.no_grad():
            for name, value in saved.items():
                own[name].copy_(value)
        return method


METHODS: dict[str, type[Method]] = {method.name: method for method in (Probe, Frozen, Adapter, Lora, Full)}


def target_modules(backbone: Backbone, blocks: range, names: tuple[str, ...]) -> list[str]:
    """The full names, in the plain transformers model, of the named linear layers of these blocks."""
    wanted = [
        name
        for i in blocks
        for name, module in backbone.model.named_modules()
        if name.startswith(f"{backbone.block_prefix}.{i}.")
        and name.rsplit(".", 1)[-1] in names
        and isinstance(module, nn.Linear)
    ]
    assert wanted, f"no layer of {names} in {backbone.family}"
    return wanted


def _need_blocks(blocks: range, method: str) -> None:
    if not len(blocks):
        raise UserError(
            f"method {method!r} has no block to adapt: the pooled state lies below the first block it may change; "
            "raise model.layer or lower first_block"
        )


def _same_names(saved: dict[str, Tensor], own: dict[str, Any], folder: Path) -> None:
    """No trained tensor may be left as it was made: a model would load, silently random."""
    different = sorted(saved.keys() ^ own.keys())
    if different:
        raise ValueError(f"{folder / ADAPTER_FILE}: {different[0]} is missing there, or not of this model")


class _Attachment:
    """An adapter hooked into a block, whose own modules, names and weights stay as they are.

    What enters is held from one module to another, by thread: a server's requests share the model.
    """

    def __init__(self, adapter: nn.Module, *, residual: bool = False) -> None:
        self.adapter, self.residual = adapter, residual
        self.held: dict[int, Tensor] = {}

    def hold(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.held[threading.get_ident()] = inputs[0]

    def add_from_held(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        entered = self.held.pop(threading.get_ident())
        added = output + self.adapter(entered)
        return added + entered if self.residual else added

    def add_from_output(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + self.adapter(output)


def _attach(adapter: nn.Module, backbone: Backbone, block: nn.Module, placement: str) -> None:
    attachment = _Attachment(adapter, residual=placement == "double_residual")
    first, last = backbone.feed_forward(block)
    if placement == "sequential":
        last.register_forward_hook(attachment.add_from_output)
        return
    if placement == "double_residual":
        first = backbone.residual_stream(block)
    first.register_forward_pre_hook(attachment.hold)
    last.register_forward_hook(attachment.add_from_held)
