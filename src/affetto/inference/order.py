"""What is ordered of a model: which it is, and how it is to answer; all by which any process makes its predictor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from affetto.inference.predictor import Predictor


@dataclass(frozen=True)
class Order:
    """`model`, `device`, `backbone` and `precision` as `loading.load` takes them."""

    model: str
    device: str = "auto"
    backbone: str | None = None
    precision: str = "auto"
    abstain_below: float = 0.0
    speaker: tuple[str, ...] = ()
    """Clips of one speaker to calibrate to; none: the model as it is."""

    def predictor(self) -> Predictor:
        """Raises UserError for what is no model, and for clips that it cannot be calibrated by."""
        from affetto.inference.loading import load

        predictor = load(self.model, device=self.device, backbone=self.backbone, precision=self.precision)
        predictor.abstain_below = self.abstain_below
        return predictor.for_speaker(self.speaker) if self.speaker else predictor
