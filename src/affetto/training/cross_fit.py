"""Cross-fitting: groups of training speakers, each of which is classified by a head of the other groups' clips.

A head that was solved for on a clip fits it already, and hands hardly any gradient down. The loss by a head of other
speakers is that of a new voice, and its gradient teaches the backbone what carries over to one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.errors import UserError
from affetto.targets.target import LinearMap, Target

DRAW = 2
"""Number that tells the generator of the groups from those of batches and balanced epochs."""
EXAMPLES = 3

Solve = Callable[[Sequence[str], NDArray[Any]], LinearMap]
"""Function from clips and their standardised statistics (clips, features) to the head that the probe would be."""


@dataclass(frozen=True, kw_only=True)
class CrossFit:
    """Groups of the training clips of a fit, copies too, and the function that solves for a head."""

    groups: Mapping[str, int]
    """Group of each training clip: 0, 1, …; a speaker's clips are all in one."""
    solve: Solve

    @property
    def count(self) -> int:
        """Number of groups."""
        return 1 + max(self.groups.values())


def groups_of(speakers: Mapping[str, str], clips: Sequence[str], count: int, seed: int) -> dict[str, int]:
    """Group, 0 … `count` - 1, of each of these clips: whole speakers, and groups of like numbers of clips.

    A pure function of the arguments. The speakers with the most clips come first, those with as many as others in a
    random order; each joins the group that is the smallest by then. Raises UserError for fewer speakers than groups.
    """
    sizes = Counter(speakers[clip] for clip in clips)
    if len(sizes) < count:
        most = f"{len(sizes)} at most, or 0" if len(sizes) > 1 else "0"
        raise UserError(
            f"setting training.cross_fit={count}: each group needs a speaker, and the training clips of a fit are of "
            f"{len(sizes)}: give {most}"
        )
    names = sorted(sizes)
    shuffled = [names[i] for i in np.random.default_rng((seed, DRAW)).permutation(len(names))]
    filled, group_of = [0] * count, {}
    for name in sorted(shuffled, key=lambda name: -sizes[name]):
        group_of[name] = filled.index(min(filled))
        filled[group_of[name]] += sizes[name]
    return {clip: group_of[speakers[clip]] for clip in clips}


def check_labels(
    groups: Mapping[str, int], truth: Mapping[str, Any], target: Target, speakers: Mapping[str, str]
) -> None:
    """Raise UserError for a group with a label that no clip of the other groups has: its head could not know it.

    `truth` is that of each clip, as `Target.encode` gives it.
    """
    clips = list(groups)
    marks = _marks(np.array([truth[clip] for clip in clips]), target)
    of_clips = np.array([groups[clip] for clip in clips])
    for group in np.unique(of_clips):
        inside = of_clips == group
        for label, column in marks.items():
            if column[inside].any() and not column[~inside].any():
                names = sorted({speakers[clip] for clip, holds in zip(clips, inside & column, strict=True) if holds})
                held = ", ".join(names[:EXAMPLES]) + (", …" if len(names) > EXAMPLES else "")
                raise UserError(
                    f"setting training.cross_fit={1 + max(groups.values())}: of the training clips those {label} are "
                    f"all in one group (of {held}), whose head, of the other groups, would not know them: give another "
                    "number of groups, or 0"
                )


def _marks(truth: NDArray[Any], target: Target) -> dict[str, NDArray[np.bool_]]:
    """Clips (clips,) that have a label, by a phrase for it; where a clip has several, those that lack it too."""
    if target.has_classes:
        called = target.called(truth)
        return {f"of {label!r}": called == column for column, label in enumerate(target.labels)}
    if not target.has_marks:
        return {}
    columns = dict(zip(target.labels, (truth > 0).T, strict=True))
    return {f"with {label!r}": column for label, column in columns.items()} | {
        f"without {label!r}": ~column for label, column in columns.items()
    }
