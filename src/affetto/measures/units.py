"""The units that an interval is over: speakers, or clips where the speakers are too few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.measures.confusion import Counts, Floats
from affetto.measures.intervals import BY, LEVEL, can_be_drawn, effective, jackknife


@dataclass(frozen=True, kw_only=True)
class Units:
    """Speakers or clips, of which each in turn is left out."""

    over: str
    """`speakers` or `clips`."""
    owner: NDArray[np.intp]
    """Number of the unit of each clip: (clips,)."""
    clips: Counts
    """Clips of each unit: (units,)."""

    def __len__(self) -> int:
        return len(self.clips)

    def facts(self) -> dict[str, Any]:
        """Level, method and units of the intervals, ready for JSON."""
        sizes = effective(self.clips)
        return {"level": LEVEL, "by": BY, "over": self.over, "units": len(self), "effective": sizes}

    def ends(self, value: float, without: Floats, least: float, most: float) -> list[float]:
        """Ends of Student's interval around a value, from the values without each unit (units,).

        From one clip nothing is known: the ends are those of the range, infinite ones the value itself.
        """
        if len(self) < 2:
            return [end if np.isfinite(end) else value for end in (least, most)]
        return list(jackknife(value, without, self.clips).interval(least=least, most=most))


def units_of(owner: NDArray[np.intp], owners: int) -> Units:
    """The speakers, by the number of each clip's (clips,); the clips where speakers are too few (`can_be_drawn`).

    Clips of one speaker err together, so speakers are what is drawn. An interval over clips says nothing about other
    voices.
    """
    clips = np.bincount(owner, minlength=owners).astype(np.int64)
    if can_be_drawn(clips):
        return Units(over="speakers", owner=owner, clips=clips)
    n = len(owner)
    return Units(over="clips", owner=np.arange(n), clips=np.ones(n, dtype=np.int64))


def speaker_numbers(speakers: Sequence[str]) -> tuple[list[str], NDArray[np.intp]]:
    """Names of the speakers, sorted, and the number of each clip's speaker: (clips,)."""
    names, owner = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)
    return [str(name) for name in names], owner.reshape(-1)


def per_speaker(names: Sequence[str], owner: NDArray[np.intp], columns: Mapping[str, Floats]) -> dict[str, Any]:
    """{speaker: {key: value, "n": clips}} of columns with a value for each speaker (speakers,), ready for JSON."""
    clips = np.bincount(owner, minlength=len(names))
    return {
        name: {**{key: float(values[row]) for key, values in columns.items()}, "n": int(clips[row])}
        for row, name in enumerate(names)
    }
