"""Answers of the models under each perturbation: computed once, written whole, read again when a test goes on.

stress/
  test.json                       what is tested, and the test's identity
  answers/PART/untouched.jsonl    a line a clip, as in a run's predictions file
  answers/PART/NAME@LEVEL.jsonl   the same clips under a perturbation
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from affetto.audio import AudioError
from affetto.corpora.manifest import Clip
from affetto.errors import UserError
from affetto.evaluation.parts import Part, Parts
from affetto.evaluation.stress.perturbation import Perturbation
from affetto.evaluation.stress.scene import CorpusScene
from affetto.evaluation.testing import decision_of, row_of
from affetto.inference.predictor import Predictor
from affetto.inference.read_ahead import Recording, read_ahead
from affetto.training.clips import refuse_or_name
from affetto.training.runs import RunFolder, folder_name

TEST, UNTOUCHED = "test.json", "untouched"
Rows = list[dict[str, Any]]
Wave = Callable[[Clip], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A perturbation at one level."""

    perturbation: Perturbation
    level: float

    @property
    def name(self) -> str:
        return f"{self.perturbation.name}@{self.level:g}"


def conditions_of(perturbations: Iterable[Perturbation]) -> tuple[Condition, ...]:
    """All levels of all perturbations, in the order of tables."""
    return tuple(
        Condition(perturbation=perturbation, level=level)
        for perturbation in perturbations
        for level in perturbation.levels
    )


@dataclass(kw_only=True)
class Answers:
    """The answers of all parts in a folder, which `compute` completes."""

    folder: RunFolder
    parts: Parts
    scene: CorpusScene
    load: Callable[[Part], Predictor]
    skip_bad: bool = False
    say: Callable[[str], None] = lambda _: None

    def compute(self, conditions: tuple[Condition, ...], progress: Callable[[int, int], None]) -> dict[str, str]:
        """Compute what is missing of all conditions; `progress(answers so far, in all)` counts the stored ones too.

        Each part is loaded once, and each of its conditions appears whole. Returns {clip id: problem} of unusable
        clips. Raises UserError for unusable clips unless they are skipped.
        """
        done, total = 0, (1 + len(conditions)) * len(self.parts.clips)
        bad: dict[str, str] = {}
        for part in self.parts.parts:
            predictor: Predictor | None = None
            usable = part.clips
            for condition in (None, *conditions):
                file = _file(part, condition)
                if not self.folder.has(file):
                    predictor = predictor or self.load(part)
                    self.scene.window_seconds = predictor.window_seconds
                    rows, problems = self._answer(predictor, usable, condition, partial(_report, progress, done, total))
                    self._check(problems, condition)
                    self._write(file, rows, problems)
                if condition is None:
                    refused = self._refused(part)
                    bad |= refused
                    usable = tuple(clip for clip in part.clips if clip.id not in refused)
                done += len(part.clips)
                progress(done, total)
        return bad

    def read(self, condition: Condition | None) -> Rows:
        """The lines of all usable clips under a condition; None: untouched."""
        rows = [row for part in self.parts.parts for row in self.folder.read_lines(_file(part, condition))]
        return [row for row in rows if "unusable" not in row]

    def ids_of(self, rows: Rows) -> list[str]:
        """Ids of the clips of lines."""
        several = self.scene.clips.several
        ids = {(clip.corpus if several else "", clip.name): clip.id for clip in self.parts.clips}
        return [ids[row.get("corpus", ""), row["file"]] for row in rows]

    def _answer(
        self,
        predictor: Predictor,
        clips: tuple[Clip, ...],
        condition: Condition | None,
        progress: Callable[[int], None],
    ) -> tuple[Rows, dict[str, str]]:
        """Lines of the clips under a condition, and the problems of unusable ones by id."""

        def recordings() -> Iterator[Recording]:
            return ((clip.id, self._blocks(clip, condition)) for clip in clips)

        # One thread changes sound beside a model that computes on the CPU.
        results = predictor.stream_recordings(read_ahead(recordings(), max(1, predictor.decoders)))
        rows: Rows = []
        problems: dict[str, str] = {}
        decision, several = decision_of(predictor.card), self.scene.clips.several
        for number, (clip, result) in enumerate(zip(clips, results, strict=True), 1):
            progress(number)
            if isinstance(result, AudioError):
                problems[clip.id] = str(result)
                continue
            values = np.array([*result.probabilities.values(), *result.dimensions.values()])
            rows.append(row_of(clip, self.parts.target, values, decision=decision, several=several))
        return rows, problems

    def _blocks(self, clip: Clip, condition: Condition | None) -> Iterator[np.ndarray]:
        """The wave of a clip as its only block, computed when it is asked for."""
        if condition is None:
            yield self.scene.wave(clip.id)
        else:
            yield self.scene.perturbed(clip, condition.perturbation, condition.level)

    def _check(self, problems: dict[str, str], condition: Condition | None) -> None:
        if not problems:
            return
        if condition is not None:
            raise UserError(f"{next(iter(problems.values()))}: it could be read before; run again")
        refuse_or_name(problems, len(self.scene.clips.manifest.clips), self.skip_bad, self.say)

    def _write(self, file: str, rows: Rows, problems: dict[str, str]) -> None:
        (self.folder.path / file).parent.mkdir(parents=True, exist_ok=True)
        unusable = [{"clip": clip_id, "unusable": problem} for clip_id, problem in problems.items()]
        self.folder.write_lines(file, [*rows, *unusable])

    def _refused(self, part: Part) -> dict[str, str]:
        """Problems of the unusable clips of a part, by id, from its file."""
        rows = self.folder.read_lines(_file(part, None))
        return {row["clip"]: row["unusable"] for row in rows if "unusable" in row}


def claim(folder: RunFolder, identity: str, summary: str) -> None:
    """Make the folder this test's: new, or the same test's from before.

    Raises UserError where it holds another test or other files, and where it cannot be written.
    """
    path = folder.path
    try:
        path.mkdir(parents=True, exist_ok=True)
        names = sorted(file.name for file in path.iterdir() if not file.name.startswith("."))
    except OSError as problem:
        raise UserError(
            f"{path}: cannot be used as an output folder ({problem.strerror}); give another --out"
        ) from None
    test = folder.read(TEST)
    if test is None and names:
        raise UserError(f"{path} is not empty (it holds {names[0]!r}) and no stress test: give another --out")
    if test is None:
        folder.write(TEST, {"identity": identity, "summary": summary})
    elif test.get("identity") != identity:
        raise UserError(
            f"{path} holds another stress test ({test.get('summary', 'unknown')}, or other clips of it): "
            "give another --out, or remove it"
        )


def _report(progress: Callable[[int, int], None], before: int, total: int, count: int) -> None:
    progress(before + count, total)


def _file(part: Part, condition: Condition | None) -> str:
    return f"answers/{folder_name(part.name)}/{UNTOUCHED if condition is None else condition.name}.jsonl"
