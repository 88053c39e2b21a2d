"""Clips that a model was trained on or selected by, however they are stored: its tests must leave them out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affetto.corpora.amounts import amount
from affetto.corpora.content import Content, copies
from affetto.corpora.manifest import Clip
from affetto.corpora.names import unified
from affetto.errors import UserError
from affetto.training.runs import MODEL, TRAINED_ON

REASONS = {
    "file": "the very files",
    "content": "the same recordings, stored otherwise",
    "speaker": "other recordings of the same speakers",
}
"""Reasons why a clip counts as trained on; a clip counts under the first that holds."""


@dataclass(frozen=True)
class TrainedOn:
    """Content of a run's `trained_on.jsonl`: digests of files, contents, and (corpus, speaker) pairs.

    Runs of earlier versions have no contents.
    """

    files: frozenset[str] = frozenset()
    contents: tuple[Content, ...] = ()
    people: frozenset[tuple[str, str]] = frozenset()
    is_known: bool = True
    """True if there is such a file; an exported model has none."""

    def reasons(
        self, clips: Sequence[Clip], digests: Mapping[str, str], contents: Mapping[str, Content]
    ) -> dict[str, str]:
        """Find the clips that were trained on: clip id → key of `REASONS`; `digests` are the files'."""
        reasons = {clip.id: "speaker" for clip in clips if person(clip.corpus, clip.speaker) in self.people}
        available = {clip.id: contents[clip.id] for clip in clips if clip.id in contents}
        reasons |= dict.fromkeys(copies(available, self.contents), "content")
        return reasons | {clip.id: "file" for clip in clips if digests.get(clip.id) in self.files}


@dataclass(frozen=True)
class Overlap:
    """Clips of a test that were trained on: how many for each reason, and how many speakers they are of."""

    clips: Counter[str] = field(default_factory=Counter)
    speakers: int = 0

    @classmethod
    def of(cls, clips: Iterable[Clip], reasons: Mapping[str, str]) -> Overlap:
        trained = [clip for clip in clips if clip.id in reasons]
        people = {person(clip.corpus, clip.speaker) for clip in trained}
        return cls(Counter(reasons[clip.id] for clip in trained), len(people))

    def to_json(self) -> dict[str, Any]:
        return {reason: self.clips[reason] for reason in REASONS} | {"speakers": self.speakers}

    def __str__(self) -> str:
        counts = ", ".join(f"{self.clips[reason]} {words}" for reason, words in REASONS.items() if self.clips[reason])
        clips, people = amount(self.clips.total(), "clip"), amount(self.speakers, "speaker")
        return f"{clips} of {people} that the model was trained on ({counts})"


def person(corpus: str, speaker: str) -> tuple[str, str]:
    """Identify a speaker of a corpus; a merged corpus puts the corpus's name before the speaker's."""
    return corpus, unified(speaker).removeprefix(f"{corpus}:")


def list_of(run: Path) -> Path | None:
    """The file that lists what the model in `run`, or of the run around it, was trained on; None: there is none."""
    around = run.resolve()  # it may be the working folder
    folders = [run, around.parent] if around.name == MODEL else [run]
    return next((folder / TRAINED_ON for folder in folders if (folder / TRAINED_ON).is_file()), None)


def trained_on(run: Path) -> TrainedOn:
    """Read what the model in `run`, or of the run around it, was trained on, if its folder has the list."""
    file = list_of(run)
    if file is None:
        return TrainedOn(is_known=False)
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        marks = (Content.from_json(row.get("content")) for row in rows)
        return TrainedOn(
            files=frozenset(row["audio"] for row in rows),
            contents=tuple(mark for mark in marks if mark is not None),
            people=frozenset(person(row["corpus"], row["speaker"]) for row in rows),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise UserError(f"{file}: cannot be read ({problem}); copy the run's folder again") from None
