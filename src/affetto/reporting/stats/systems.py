"""What statistics look at: a system (backbone, method, recipe) on one corpus, its predictions by seed and by clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.errors import UserError
from affetto.training.evaluate import Counts, Floats, confusions

ROUNDED = 1e-3
"""How far a probability may be off by rounding: predictions files keep six digits, those of others may keep three."""


@dataclass(frozen=True)
class Predictions:
    """One run's predictions, sorted by clip; `truth` (clips,) and the columns of `probabilities` follow `labels`."""

    clips: tuple[str, ...]
    speakers: tuple[str, ...]
    truth: Counts
    probabilities: Floats
    labels: tuple[str, ...]
    genders: tuple[str | None, ...] = ()
    """Of each clip's speaker; all None where the run does not say."""
    ratings: tuple[Mapping[str, int] | None, ...] = ()
    """Of each clip, how many human raters heard which emotion; None where nobody was asked."""

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]], *, where: str = "predictions") -> Predictions:
        """From the lines of a run's predictions file. Raises UserError for lines that make no such set."""
        try:
            by_clip = [(f"{row['corpus']}:{row['file']}" if "corpus" in row else row["file"], row) for row in rows]
            by_clip.sort(key=lambda pair: pair[0])
            labels = tuple(by_clip[0][1]["probabilities"])
            column = {label: number for number, label in enumerate(labels)}
            predictions = cls(
                clips=tuple(clip for clip, _ in by_clip),
                speakers=tuple(str(row["speaker"]) for _, row in by_clip),
                truth=np.array([column[row["truth"]] for _, row in by_clip], dtype=np.int64),
                probabilities=np.array(
                    [[row["probabilities"][label] for label in labels] for _, row in by_clip], float
                ),
                labels=labels,
                genders=tuple(row.get("gender") for _, row in by_clip),
                ratings=tuple(row.get("ratings") for _, row in by_clip),
            )
        except (KeyError, TypeError, IndexError, ValueError) as problem:
            raise UserError(f"{where}: no predictions of affetto's ({problem!r}); run again") from None
        for one, other in zip(predictions.clips, predictions.clips[1:], strict=False):
            if one == other:
                raise UserError(f"{where}: clip {one!r} is predicted twice; run again")
        predictions._check(where)
        return predictions

    def _check(self, where: str) -> None:
        """Raise UserError for a clip whose probabilities are none: an argmax over NaN would be a sure wrong answer."""
        values = self.probabilities
        inside = (values >= -ROUNDED) & (values <= 1 + ROUNDED)  # neither holds of NaN
        wrong = np.flatnonzero(~inside.all(axis=1) | ~(np.abs(values.sum(axis=1) - 1) <= len(self.labels) * ROUNDED))
        if len(wrong):
            row = ", ".join(f"{label} {value:g}" for label, value in zip(self.labels, values[wrong[0]], strict=True))
            raise UserError(
                f"{where}: {len(wrong)} of {len(values)} clips have no probabilities from 0 to 1 that sum to 1, "
                f"such as {self.clips[wrong[0]]!r} ({row}); run again"
            )

    def only(self, keep: Sequence[bool] | NDArray[np.bool_]) -> Predictions:
        """The predictions of some clips; `keep` (clips,) says which. ValueError where none is left."""
        rows = np.flatnonzero(np.asarray(keep))
        if not len(rows):
            raise ValueError("no clips are left")
        named = {
            name: tuple(values[row] for row in rows) if (values := getattr(self, name)) else ()
            for name in ("clips", "speakers", "genders", "ratings")
        }
        return replace(self, truth=self.truth[rows], probabilities=self.probabilities[rows], **named)

    @property
    def predicted(self) -> Counts:
        """Column of the largest probability, the first on a tie: (clips,)."""
        return self.probabilities.argmax(axis=1)


@dataclass(frozen=True)
class System:
    """One configuration on one corpus: `runs` has its predictions of each seed, all on the same clips.

    Raises UserError where the seeds' clips, truths or speakers differ: their scores would not be of one thing.
    """

    name: str
    corpus: str
    runs: Mapping[int, Predictions]

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError(f"{self.name} on {self.corpus}: no runs")
        for seed, run in self.runs.items():
            same_clips(self._one, run, f"{self.name} on {self.corpus}", f"its seed {seed}")

    @property
    def _one(self) -> Predictions:
        return next(iter(self.runs.values()))

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted(self.runs))

    @property
    def labels(self) -> tuple[str, ...]:
        return self._one.labels

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        return tuple(sorted(set(self._one.speakers)))

    @property
    def clips(self) -> int:
        return len(self._one.clips)

    @cached_property
    def genders(self) -> dict[str, str]:
        """{speaker: gender}, of the speakers whose gender the corpus tells."""
        pairs = zip(self._one.speakers, self._one.genders, strict=False)
        return {speaker: gender for speaker, gender in pairs if gender}

    @property
    def ratings(self) -> tuple[Mapping[str, int] | None, ...]:
        """Of each clip, how many human raters heard which emotion."""
        return self._one.ratings

    def only(self, keep: Sequence[bool] | NDArray[np.bool_]) -> System:
        """The system on some of its clips; `keep` (clips,) says which. ValueError where none is left."""
        return replace(self, runs={seed: run.only(keep) for seed, run in self.runs.items()})

    @cached_property
    def support(self) -> Counts:
        """Clips of each label: (labels,)."""
        return np.bincount(self._one.truth, minlength=len(self.labels)).astype(np.int64)

    def by_speaker(self, seeds: Sequence[int]) -> Counts:
        """Confusion matrices, truth in rows: (speakers, seeds, labels, labels)."""
        owner = np.searchsorted(np.array(self.speakers), np.array(self._one.speakers))
        return self._by(owner, len(self.speakers), seeds)

    def by_clip(self, seeds: Sequence[int]) -> Counts:
        """The same of each clip alone: (clips, seeds, labels, labels)."""
        return self._by(np.arange(self.clips), self.clips, seeds)

    def _by(self, owner: NDArray[np.intp], owners: int, seeds: Sequence[int]) -> Counts:
        k, truth = len(self.labels), self._one.truth
        return np.stack([confusions(truth, self.runs[s].predicted, owner, owners, k) for s in seeds], axis=1)


def same_clips(first: Predictions, second: Predictions, one: str, other: str) -> None:
    """Raise UserError unless both predict the same clips, of the same truths, speakers and labels."""
    if first.clips != second.clips:
        lonely = sorted(set(first.clips) ^ set(second.clips))
        raise UserError(
            f"{one} and {other} were not tested on the same clips ({len(lonely)} are in one of them only, such as "
            f"{lonely[0]!r}): run both on one split"
        )
    if first.labels != second.labels:
        raise UserError(f"{one} and {other} know different labels: {first.labels} and {second.labels}")
    for what, a, b in (("truth", first.truth, second.truth), ("speaker", first.speakers, second.speakers)):
        differ = np.flatnonzero(np.asarray(a) != np.asarray(b))
        if len(differ):
            raise UserError(
                f"{one} and {other} differ in the {what} of {len(differ)} clips, such as {first.clips[differ[0]]!r}: "
                "run both on the same corpus"
            )
