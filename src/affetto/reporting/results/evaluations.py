"""Records of a report's input: tests of models on other corpora."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from affetto.targets.registry import target_of_run
from affetto.targets.target import Target


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Test of a run's model on another corpus (`affetto evaluate --out`)."""

    path: Path
    trained_on: str
    corpus: str
    identity: str | None
    metrics: Mapping[str, Any]
    excludes_shared: bool = False
    """True if clips were excluded whose sentence is spoken in the training corpus too."""
    speeds: tuple[float, ...] = ()
    """Speeds of the copies over which answers were averaged."""
    adapted: bool = False
    """True if the model was adapted to each tested speaker by the speaker's other clips."""

    @property
    def protocol_text(self) -> str:
        """What sets the test apart from that of the model as it is, a comma before it, for the end of a text; or "".

        A test with such a text is no run's result beside others.
        """
        speeds = f", speeds {', '.join(f'{speed:g}' for speed in (1, *self.speeds))}" if self.speeds else ""
        return speeds + ", adapted to each speaker" * self.adapted

    @property
    def outside(self) -> Mapping[str, Any] | None:
        """Facts of a model that affetto did not train; None of its own."""
        return self.metrics.get("outside")

    @property
    def contamination_text(self) -> str:
        """A mark, and a space before it, of a model whose card says that it was trained on a tested corpus; else ""."""
        return " (contaminated)" if (self.outside or {}).get("contaminated") else ""

    @cached_property
    def target(self) -> Target:
        """Target of the model."""
        return target_of_run(self.metrics)

    @property
    def test(self) -> Mapping[str, Any]:
        """Test scores."""
        scores: Mapping[str, Any] = self.metrics["test"]
        return scores

    @property
    def synthetic(self) -> bool:
        """True if the speech of training or test is synthetic."""
        return bool(self.metrics.get("synthetic") or self.metrics.get("trained_on_synthetic"))
