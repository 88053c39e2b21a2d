"""PiSSA: LoRA that starts from the principal singular vectors of a weight."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from affetto.errors import UserError
from affetto.models.methods.base import ADAPTER_FILE, Method, MethodSettings, check_blocks
from affetto.models.methods.lora import Lora
from affetto.models.methods.peft_base import Targets, target_modules

if TYPE_CHECKING:
    from peft import PeftConfig

    from affetto.backbones.backbone import Backbone


class PissaSettings(MethodSettings):
    rank: int = Field(8, ge=1, description="rank of the update: as many singular vectors train")
    targets: Targets = Field("ff", description="which linear layers of a block")


class Pissa(Lora):
    """W + B A - B₀ A₀, where B₀ A₀ is the part of W in its largest singular values (Meng et al. 2024, eq. 2-4).

    A and B start as A₀ and B₀. The paper subtracts B₀ A₀ from W itself. Here W stays as it is, since other models share
    it, and A₀ and B₀ are kept beside A and B: the function and its gradients are the same. It is saved as a LoRA of
    twice the rank, [B, -B₀] [A; A₀], which loads on the checkpoint's own weights. The scaling is 1 and there is no
    dropout, as in the paper.
    """

    name = "pissa"
    title = "PiSSA"
    trains = "the principal low-rank part of linear layers"
    source = "Meng et al. 2024"
    settings = PissaSettings
    recommended = {}
    stackable = False

    def __init__(
        self, backbone: Backbone, blocks: range, *, rank: int = 8, targets: str = "ff", principal: bool = True
    ) -> None:
        """Without `principal` all factors are zero: saved ones take their place."""
        import torch

        from affetto.models import lowrank

        super().__init__(backbone, blocks, rank=rank, targets=targets)
        for layer in self.__dict__["layers"]:
            sides = layer.in_features, layer.out_features
            if rank > min(sides):
                raise UserError(f"pissa.rank={rank}: a layer of {sides[1]} × {sides[0]} weights has no such rank")
            if principal:
                lowrank.start_at(layer, *lowrank.principal_factors(layer.base_layer.weight, rank))
            else:
                low, high = layer.lora_A["default"].weight, layer.lora_B["default"].weight
                lowrank.start_at(layer, torch.zeros_like(low), torch.zeros_like(high))

    def configuration(self, backbone: Backbone, blocks: range, settings: Any) -> PeftConfig:
        from peft import LoraConfig

        return LoraConfig(
            r=settings.rank,
            lora_alpha=settings.rank,
            bias="none",
            target_modules=target_modules(backbone, blocks, settings.targets),
        )

    def save(self, folder: Path) -> None:
        with self._widened():
            super().save(folder)

    @classmethod
    def load(cls, backbone: Backbone, blocks: range, folder: Path, settings: dict[str, Any]) -> Method:
        from safetensors.torch import load_file

        check_blocks(blocks, cls.name)
        method = cls(backbone, blocks, **settings, principal=False)
        with method._widened():
            method.restore(load_file(folder / ADAPTER_FILE), folder)
        return method

    @classmethod
    def average(cls, folders: Sequence[Path], settings: dict[str, Any], out: Path) -> dict[str, Any] | None:
        return None  # its file is no method of its own settings once there are more than two halves

    def merge(self) -> None:
        self._widen()
        super().merge()

    def _widen(self) -> None:
        from affetto.models import lowrank

        for layer in self.__dict__["layers"]:
            lowrank.widen(layer)
        configuration = self.__dict__["peft_model"].peft_config["default"]
        configuration.r, configuration.lora_alpha = 2 * configuration.r, 2 * configuration.lora_alpha

    @contextlib.contextmanager
    def _widened(self) -> Iterator[None]:
        """Have peft's layers hold [A; A₀] and [B, -B₀] for a while; what they then hold is taken over."""
        from affetto.models import lowrank

        configuration = self.__dict__["peft_model"].peft_config["default"]
        rank, alpha = configuration.r, configuration.lora_alpha
        trained = [(layer, layer.lora_A["default"], layer.lora_B["default"]) for layer in self.__dict__["layers"]]
        self._widen()
        try:
            yield
        finally:
            configuration.r, configuration.lora_alpha = rank, alpha
            for layer, low, high in trained:
                lowrank.take_halves(layer, low, high)
