"""Adaptation to a speaker by parts, for callers that compute windows elsewhere: in turns with those of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, cast

import numpy as np

from affetto.audio import AudioError
from affetto.inference.flow import Rows
from affetto.inference.predictor import Predictor
from affetto.models.prefix import Source


class Adaptable(Protocol):
    """A predictor whose head alone differs between speakers: the statistics of a window are the same for all."""

    def begin_statistics(self, waves: Sequence[np.ndarray]) -> Rows:
        """Begin to compute `window_statistics`."""

    def window_statistics(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        """Statistics of windows, (waves, 2 width), float64."""

    def clip_statistics(self, recordings: Sequence[np.ndarray]) -> np.ndarray:
        """Mean statistics of each recording, (recordings, 2 width)."""

    def stream_statistics(self, sources: Iterable[Source]) -> Iterator[np.ndarray | AudioError]:
        """Mean statistics of each file or section, (2 width,); one that cannot be used comes as its error."""

    def adapted(self, statistics: np.ndarray) -> Predictor:
        """Adapt to the speaker whose clips have these statistics."""

    def values_of_statistics(self, statistics: np.ndarray) -> np.ndarray:
        """Values of windows from their statistics, (waves, outputs), as `Predictor.window_probabilities`."""


def parts_of(predictor: Predictor) -> Adaptable:
    """The predictor's parts; it must be one that `adapts`."""
    assert predictor.adapts
    return cast(Adaptable, predictor)
