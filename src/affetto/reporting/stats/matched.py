"""Record of two systems on one corpus that a comparison takes, whatever they predict."""

from __future__ import annotations

from typing import Protocol

from affetto.measures.confusion import Counts, Floats
from affetto.measures.intervals import Sampled


class HasSpread(Protocol):
    """Difference of two systems on one corpus whose spread over speakers and seeds can be computed."""

    @property
    def clips(self) -> Counts: ...
    @property
    def sampled(self) -> tuple[Sampled, Floats]: ...


class Matched(HasSpread, Protocol):
    """Outcomes of two systems on one corpus, matched by speaker."""

    @property
    def corpus(self) -> str: ...
    @property
    def measure(self) -> str: ...
    @property
    def seeds(self) -> tuple[int, ...]: ...
    @property
    def speakers(self) -> tuple[str, ...]: ...
    @property
    def largest(self) -> float:
        """Largest difference that is possible."""

    @property
    def gaps(self) -> Floats: ...
    def difference(self) -> Floats: ...
    def exchanged(self, swapped: Floats) -> Floats: ...
