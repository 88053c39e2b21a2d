"""Record of a perturbation: a change of a clip's sound that a model is tested under, at one or several levels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from affetto.training.noise import Noise

VERSION = 1
"""Raised when a built-in perturbation gives other samples; stored answers of another version are not used."""


class Scene(Protocol):
    """The corpus around the clips, and what the user gave for the test."""

    @property
    def speakers(self) -> int:
        """Number of speakers of the corpus."""

    @property
    def noise(self) -> Noise | None:
        """Recordings of noise, if a folder was given."""


class Surroundings(Protocol):
    """Sources of one clip's perturbation. All draws follow from the clip and the perturbation's name."""

    @property
    def random(self) -> np.random.Generator: ...
    @property
    def noise(self) -> Noise | None: ...
    def babble(self, length: int) -> np.ndarray:
        """Talk of other speakers of the corpus at once, (length,) float32."""


def _nothing_missing(scene: Scene) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class Perturbation:
    """A change of sound, and the levels at which it is applied."""

    name: str
    family: str
    """Group by which `--only` chooses, too."""
    title: str
    levels: tuple[float, ...]
    """Levels, from the mildest to the hardest."""
    unit: str
    neutral: float | None = None
    """Level that would change nothing, by which figures place the untouched clips among the levels; None: none would.
    """
    may_alter: bool
    """True if people may hear another emotion under it: then a changed prediction need not be an error."""
    apply: Callable[[np.ndarray, float, Surroundings], np.ndarray]
    """Function from a wave (samples,), float32 at 16 kHz, a level and the surroundings to the changed wave."""
    missing: Callable[[Scene], str] = _nothing_missing
    """Function from a scene to the reason why the perturbation cannot be applied in it; "" if it can."""
    order: int = 100
    """Place in tables; equal ones follow their names."""
