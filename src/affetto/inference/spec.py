"""`PredictorSpec`: arguments for loading a predictor, for processes that need no torch themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from affetto.errors import UserError
from affetto.targets.label_sets import DEFAULT_KIND

if TYPE_CHECKING:
    from affetto.inference.predictor import Predictor


@dataclass(frozen=True)
class PredictorSpec:
    """Arguments for loading a predictor, as a picklable record: the fields are those of `load`."""

    model: str
    device: str = "auto"
    backbone: str | None = None
    precision: str = "auto"
    abstain_below: float = 0.0
    coverage: float | None = None
    """Share of clips whose true label is in the set of labels that answers have; None: answers have no sets."""
    sets: str = DEFAULT_KIND
    """Kind of the sets."""
    refuse_novel: float | None = None
    """Novelty from which on a recording gets no answer; None: answers have no novelty."""
    require_speech: float | None = None
    """Seconds of speech without which a recording gets no answer; None: speech is not measured."""
    speaker: tuple[str, ...] = ()
    """Clips of one speaker to adapt to; empty: the model as it is."""
    speeds: tuple[float, ...] = ()
    """Speeds at which each window is played too; empty: as it is."""
    label_map: tuple[tuple[str, str], ...] = ()
    """Pairs of a label of an outside model and the label of its answers; empty: the usual names alone."""

    def load(self) -> Predictor:
        """Load the predictor. Raises UserError for a path without a model and for clips that cannot be used."""
        from affetto.inference.loading import load

        predictor = load(
            self.model,
            device=self.device,
            backbone=self.backbone,
            precision=self.precision,
            label_map=dict(self.label_map),
        )
        if self.abstain_below > 0 and not predictor.target.has_classes:
            raise UserError(
                f"--abstain-below is for models that name one emotion; {self.model} predicts {predictor.target.title}: "
                "leave it out"
            )
        predictor.abstain_below, predictor.speeds = self.abstain_below, self.speeds
        if self.coverage is not None:
            predictor.cover(self.coverage, self.sets)
        if self.refuse_novel is not None:
            predictor.watch(self.refuse_novel)
        if self.require_speech is not None:
            predictor.require_speech(self.require_speech)
        return predictor.for_speaker(self.speaker) if self.speaker else predictor
