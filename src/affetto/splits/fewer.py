"""Fewer speakers to learn from, tested on the same clips: the points of a curve over the number of speakers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from affetto.errors import UserError
from affetto.splits.split import Fold

FEWEST = 2
"""One speaker trains, and one validates."""


def with_speakers(folds: Sequence[Fold], count: int, *, speaker_of: Mapping[str, str], seed: int) -> tuple[Fold, ...]:
    """The folds with `count` of their training and validation speakers each, drawn by the seed; test parts stay whole.

    Both parts keep their share of speakers, one at least. The speakers of a smaller count are among those of a larger
    one of the same seed. `speaker_of`: speaker by clip id. Raises UserError for a count that a fold does not have.
    """
    return tuple(_fewer(fold, count, speaker_of=speaker_of, seed=seed) for fold in folds)


def _fewer(fold: Fold, count: int, *, speaker_of: Mapping[str, str], seed: int) -> Fold:
    """A fold with fewer speakers to learn from."""
    train, validation = ({speaker_of[clip] for clip in part} for part in (fold.train, fold.validation))
    total = len(train | validation)
    if not FEWEST <= count <= total:
        raise UserError(
            f"training.speakers={count}: fold {fold.name} has {total} speakers that are not tested, one of whom at "
            f"least trains and one validates: give a number from {FEWEST} to {total}, or 0 for all"
        )
    validating = min(max(round(count * len(validation) / total), 1), count - 1)
    key = f"{seed}\x1f{fold.name}"
    speakers = {*_draw(train, count - validating, key), *_draw(validation, validating, key)}
    return replace(
        fold,
        train=tuple(clip for clip in fold.train if speaker_of[clip] in speakers),
        validation=tuple(clip for clip in fold.validation if speaker_of[clip] in speakers),
    )


def _draw(speakers: set[str], count: int, key: str) -> list[str]:
    """Draw so many of the speakers, by a key and their names, whatever the order or number of the others."""

    def rank(speaker: str) -> bytes:
        return hashlib.sha256(f"{key}\x1f{speaker}".encode()).digest()

    return sorted(speakers, key=rank)[:count]


def fewer_note(count: int, folds: Sequence[Fold]) -> tuple[str, ...]:
    """A note that says of how many speakers the folds learn."""
    counts = [len(fold.train) + len(fold.validation) for fold in folds]
    clips = f"{counts[0]}" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
    return (f"training.speakers={count}: a fold learns from {count} speakers, {clips} clips; the tested clips stay",)
