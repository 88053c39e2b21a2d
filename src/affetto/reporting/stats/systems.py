"""Input of all statistics: the predictions of a system (backbone, method, recipe) on one corpus, by seed and clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affetto.errors import UserError
from affetto.measures.confusion import Counts, Floats, confusions

ROUNDED = 1e-3
"""Largest error of a probability by rounding: our files keep six digits, those of other programs may keep three."""


@dataclass(frozen=True)
class Predictions:
    """Predictions of one run, sorted by clip.

    `truth` (clips,) holds columns of `probabilities` (clips, labels), whose order is that of `labels`.
    """

    clips: tuple[str, ...]
    speakers: tuple[str, ...]
    truth: Counts
    probabilities: Floats
    labels: tuple[str, ...]
    genders: tuple[str | None, ...] = ()
    """Gender of each clip's speaker; all None where the run does not say."""
    ratings: tuple[Mapping[str, int] | None, ...] = ()
    """{emotion: number of human raters who heard it} of each clip; None for a clip that nobody rated."""
    prompts: tuple[str | None, ...] = ()
    """Sentence of each clip, or its id; all None where the run does not say."""

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], *, source: str = "predictions") -> Predictions:
        """Read the lines of a run's predictions file.

        Raises UserError, which names `source`, for lines that are no predictions, for a clip that is predicted twice,
        and for values that are no probabilities.
        """
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
                prompts=tuple(_prompt(row) for _, row in by_clip),
            )
        except (KeyError, TypeError, IndexError, ValueError) as problem:
            raise UserError(f"{source}: not predictions that affetto wrote ({problem!r}); run again") from None
        for clip, following in pairwise(predictions.clips):
            if clip == following:
                raise UserError(f"{source}: clip {clip!r} is predicted twice; run again")
        predictions._check(source)
        return predictions

    def _check(self, source: str) -> None:
        """Raise UserError for values that are no probabilities: an argmax over NaN would be a sure wrong answer."""
        values = self.probabilities
        in_range = (values >= -ROUNDED) & (values <= 1 + ROUNDED)  # False for NaN, as is the comparison of the sum
        is_whole = np.abs(values.sum(axis=1) - 1) <= len(self.labels) * ROUNDED
        wrong = np.flatnonzero(~in_range.all(axis=1) | ~is_whole)
        if len(wrong):
            row = ", ".join(f"{label} {value:g}" for label, value in zip(self.labels, values[wrong[0]], strict=True))
            raise UserError(
                f"{source}: {len(wrong)} of {len(values)} clips have no probabilities from 0 to 1 that sum to 1, "
                f"such as {self.clips[wrong[0]]!r} ({row}); run again"
            )

    def select(self, mask: Sequence[bool] | NDArray[np.bool_]) -> Predictions:
        """Return the predictions of the clips whose `mask` (clips,) is true. Raises ValueError for an empty mask."""
        rows = np.flatnonzero(np.asarray(mask))
        if not len(rows):
            raise ValueError("no clips are left")
        fields = {
            name: tuple(values[row] for row in rows) if (values := getattr(self, name)) else ()
            for name in ("clips", "speakers", "genders", "ratings", "prompts")
        }
        return replace(self, truth=self.truth[rows], probabilities=self.probabilities[rows], **fields)

    @property
    def predicted(self) -> Counts:
        """Column of each clip's largest probability, the first on a tie: (clips,)."""
        return self.probabilities.argmax(axis=1)


@dataclass(frozen=True)
class System:
    """One configuration on one corpus: `runs` holds its predictions by seed, all on the same clips.

    Raises UserError where the seeds differ in clips, truths or speakers: their scores would not be comparable.
    """

    name: str
    corpus: str
    runs: Mapping[int, Predictions]

    def __post_init__(self) -> None:
        if not self.runs:
            raise ValueError(f"{self.name} on {self.corpus}: no runs")
        for seed, run in self.runs.items():
            check_same_clips(self._first, run, f"{self.name} on {self.corpus}", f"its seed {seed}")

    @property
    def _first(self) -> Predictions:
        return next(iter(self.runs.values()))

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(sorted(self.runs))

    @property
    def labels(self) -> tuple[str, ...]:
        return self._first.labels

    @cached_property
    def speakers(self) -> tuple[str, ...]:
        """Names of the speakers, sorted."""
        return tuple(sorted(set(self._first.speakers)))

    @property
    def clips(self) -> int:
        """Number of clips."""
        return len(self._first.clips)

    @cached_property
    def genders(self) -> dict[str, str]:
        """{speaker: gender} of the speakers whose gender is known."""
        pairs = zip(self._first.speakers, self._first.genders, strict=False)
        return {speaker: gender for speaker, gender in pairs if gender}

    @property
    def ratings(self) -> tuple[Mapping[str, int] | None, ...]:
        """{emotion: number of human raters who heard it} of each clip; None for a clip that nobody rated."""
        return self._first.ratings

    @property
    def prompts(self) -> tuple[str | None, ...]:
        """Sentence of each clip, or its id; all None where no seed says."""
        return next((run.prompts for run in self.runs.values() if any(run.prompts)), self._first.prompts)

    def select(self, mask: Sequence[bool] | NDArray[np.bool_]) -> System:
        """Return the system on the clips whose `mask` (clips,) is true. Raises ValueError for an empty mask."""
        return replace(self, runs={seed: run.select(mask) for seed, run in self.runs.items()})

    @cached_property
    def support(self) -> Counts:
        """Number of clips of each label: (labels,)."""
        return np.bincount(self._first.truth, minlength=len(self.labels)).astype(np.int64)

    @cached_property
    def speaker_numbers(self) -> NDArray[np.intp]:
        """Place of each clip's speaker among `speakers`: (clips,)."""
        return np.searchsorted(np.array(self.speakers), np.array(self._first.speakers))

    def by_speaker(self, seeds: Sequence[int]) -> Counts:
        """Confusion matrices of each speaker, truth in rows: (speakers, seeds, labels, labels)."""
        return self.by_owner(self.speaker_numbers, len(self.speakers), seeds)

    def by_clip(self, seeds: Sequence[int]) -> Counts:
        """Confusion matrices of each clip, truth in rows: (clips, seeds, labels, labels)."""
        return self.by_owner(np.arange(self.clips), self.clips, seeds)

    def by_owner(self, owners: NDArray[np.intp], count: int, seeds: Sequence[int]) -> Counts:
        """Confusion matrices by owner; `owners` (clips,) holds numbers below `count`."""
        k, truth = len(self.labels), self._first.truth
        return np.stack([confusions(truth, self.runs[seed].predicted, owners, count, k) for seed in seeds], axis=1)


def _prompt(row: Mapping[str, Any]) -> str | None:
    """Sentence of a line's clip, with its corpus where lines name one: equal ids of two corpora are two sentences."""
    prompt = row.get("prompt")
    return None if prompt is None else f"{row['corpus']}:{prompt}" if "corpus" in row else str(prompt)


def check_same_clips(first: Predictions, second: Predictions, first_name: str, second_name: str) -> None:
    """Raise UserError unless both predict the same clips, with equal truths, speakers and labels."""
    if first.clips != second.clips:
        unshared = sorted(set(first.clips) ^ set(second.clips))
        raise UserError(
            f"{first_name} and {second_name} were not tested on the same clips ({len(unshared)} are in only one of "
            f"them, such as {unshared[0]!r}): run both on one split"
        )
    if first.labels != second.labels:
        raise UserError(f"{first_name} and {second_name} have different labels: {first.labels} and {second.labels}")
    for fact, a, b in (("truth", first.truth, second.truth), ("speaker", first.speakers, second.speakers)):
        differing = np.flatnonzero(np.asarray(a) != np.asarray(b))
        if len(differing):
            raise UserError(
                f"{first_name} and {second_name} differ in the {fact} of {len(differing)} clips, such as "
                f"{first.clips[differing[0]]!r}: run both on the same corpus"
            )
