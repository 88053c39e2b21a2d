"""AdaLoRA: low-rank updates whose ranks go where they matter most, by peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from affetto.models.methods.base import MethodSettings
from affetto.models.methods.peft_base import PeftMethod, Targets, target_modules

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import Tensor

    from affetto.backbones.backbone import Backbone


class AdaLoraSettings(MethodSettings):
    rank: int = Field(8, ge=1, description="mean rank of a layer's update at the end")
    initial_rank: int = Field(12, ge=2, description="rank of every layer's update at the start, over rank")
    alpha: float = Field(12.0, gt=0, description="its scaling is alpha / initial_rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before A")
    targets: Targets = Field("ff", description="which linear layers of a block")
    warm_up: float = Field(0.1, ge=0, lt=1, description="share of the first steps, which keep every rank")
    settled: float = Field(0.5, ge=0, lt=1, description="share of the last steps, which keep the ranks that remain")
    orthogonality: float = Field(0.1, ge=0, description="weight of the distance of A and B from orthogonal ones")

    @model_validator(mode="after")
    def _has_course(self) -> Self:
        if self.rank >= self.initial_rank:
            raise ValueError(f"rank must be below initial_rank, {self.initial_rank}")
        if self.warm_up + self.settled >= 1:
            raise ValueError("warm_up and settled must be below 1 together: ranks go in the steps between")
        return self


class AdaLora(PeftMethod):
    """W + s B diag(E) A, E zero at the start (Zhang et al. 2023, eq. 3): ranks of little importance are set to zero.

    Their number falls from `initial_rank` to `rank` a layer on average, by a cubic schedule between the first and the
    last steps of a fit (eq. 13); importance is eq. 8-12. The loss gets the regularisation of eq. 4.
    """

    name = "adalora"
    title = "AdaLoRA"
    trains = "a low-rank update of linear layers, of a rank that each layer earns"
    source = "Zhang et al. 2023"
    settings = AdaLoraSettings
    recommended = {"dropout": 0.1}
    part = "linear layers"
    is_averaged = False
    recommended_training = {"method_lr": 1e-3}

    def __init__(self, backbone: Backbone, blocks: range, **settings: Any) -> None:
        from affetto.models.rank_budget import RankBudget, Schedule

        super().__init__(backbone, blocks, **settings)
        values = AdaLoraSettings(**settings)
        triplets = {
            str(number): {part: getattr(layer, f"lora_{part}")["default"] for part in "ABE"}
            for number, layer in enumerate(self.__dict__["layers"])
        }
        schedule = Schedule(
            warm_up=values.warm_up,
            settled=values.settled,
            first=values.initial_rank * len(triplets),
            last=values.rank * len(triplets),
        )
        self.orthogonality = values.orthogonality
        self.__dict__["budget"] = RankBudget(triplets, schedule)

    def configuration(self, backbone: Backbone, blocks: range, settings: Any) -> PeftConfig:
        from peft import AdaLoraConfig

        return AdaLoraConfig(
            init_r=settings.initial_rank,
            target_r=settings.rank,
            lora_alpha=settings.alpha,
            lora_dropout=settings.dropout,
            orth_reg_weight=settings.orthogonality,
            total_step=1,  # of peft's own allocator, which is not used
            bias="none",
            target_modules=target_modules(backbone, blocks, settings.targets),
        )

    def after_step(self, step: int, total: int) -> None:
        self.__dict__["budget"].after_step(step, total)

    def step_state(self) -> dict[str, Tensor]:
        state: dict[str, Tensor] = self.__dict__["budget"].state()
        return state

    def restore_step_state(self, state: dict[str, Tensor]) -> None:
        self.__dict__["budget"].restore(state)

    def penalty(self) -> Tensor | None:
        from affetto.models.rank_budget import orthogonality

        return self.orthogonality * orthogonality(self.__dict__["budget"].layers) if self.orthogonality else None
