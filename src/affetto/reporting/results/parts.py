"""Parts of targets beside one label: numbers, raters' shares, several labels. Each has an evidence of its own.

A joint run has two parts: its labels are those of classes, its numbers stand beside those of runs of dimensions alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

from affetto.errors import UserError
from affetto.measures import intervals
from affetto.reporting.results.analysis import Evidence, Key, configuration_key
from affetto.reporting.results.records import Configuration, Run
from affetto.reporting.stats import estimation, outcomes, paired
from affetto.reporting.stats.estimation import Estimate
from affetto.reporting.stats.judged import Judged, judged_dimensions, judged_marks, judged_shares
from affetto.reporting.stats.outcomes import Outcomes
from affetto.targets.target import Target


@dataclass(frozen=True)
class Part:
    """Part of what targets predict."""

    has: Callable[[Target], bool]
    judged: Callable[[Target], list[Judged]]
    """The measures of a target's part, the main one first."""


NUMBERS = Part(lambda target: target.has_dimensions, judged_dimensions)
SHARES = Part(lambda target: target.has_shares, judged_shares)
MARKS = Part(lambda target: target.has_marks, judged_marks)


class PartEvidence(Evidence):
    """Evidence of the finished runs that have a part. Notes are those of the evidence that it was made of."""

    def __init__(self, evidence: Evidence, part: Part) -> None:
        results = evidence.results
        super().__init__(
            replace(
                results,
                runs=tuple(run for run in results.every_done if part.has(run.target)),
                evaluations=tuple(item for item in results.every_evaluation if part.has(item.target)),
                other_runs=(),
                other_evaluations=(),
            )
        )
        self.notes, self.part, self.measure = evidence.notes, part, ""
        self._outcomes: dict[Key, Outcomes | None] = {}
        self._of_part: dict[tuple[Key, str], Estimate] = {}

    def target(self, config: Configuration) -> Target:
        """Target of a configuration."""
        return config.done[0].target

    def judged(self, config: Configuration) -> list[Judged]:
        """The measures of a configuration, the main one first."""
        return self.part.judged(self.target(config))

    def is_usable(self, config: Configuration) -> bool:
        return self.outcomes(config) is not None

    def outcomes(self, config: Configuration) -> Outcomes | None:
        """Lines by seed; None where no run is finished, or where its seeds cannot be combined."""
        key = configuration_key(config)
        if key not in self._outcomes:
            self._outcomes[key] = self._make_outcomes(config)
        return self._outcomes[key]

    def estimate(self, config: Configuration, measure: str = "") -> Estimate:
        """Score over seeds with its interval over speakers; without a measure that of the main one."""
        key = (configuration_key(config), measure)
        if key not in self._of_part:
            system = self.outcomes(config)
            assert system is not None
            self._of_part[key] = outcomes.estimate([system], self._judged(config, measure))
        return self._of_part[key]

    def by_seed(self, config: Configuration, measure: str = "") -> dict[int, float]:
        system = self.outcomes(config)
        assert system is not None
        scores, _ = system.values(self._judged(config, measure))
        return dict(zip(system.seeds, scores.tolist(), strict=True))

    def spread(self, config: Configuration, measure: str = "") -> estimation.Spread:
        return estimation.over_seeds(self.by_seed(config, measure))

    def can_be_tested(self, config: Configuration) -> bool:
        system = self.outcomes(config)
        return system is not None and intervals.can_be_drawn(system.speaker_clips)

    def compare(self, pairs: Sequence[tuple[Configuration, Configuration]]) -> paired.Comparison:
        systems = [(self.outcomes(first), self.outcomes(second)) for first, second in pairs]
        matched = [(first, second) for first, second in systems if first and second]
        return outcomes.compare(matched, lambda system: self._compared(system.target))

    def compared(self, config: Configuration) -> Judged:
        """The measure that comparisons are of: that of `by`, else the first that follows from sums over clips."""
        return self._compared(self.target(config))

    def _compared(self, target: Target) -> Judged:
        measures = [judged for judged in self.part.judged(target) if judged.sums is not None]
        return next(judged for judged in measures if self.measure in ("", judged.name))

    def by(self, measure: str) -> PartEvidence:
        """The same evidence with comparisons of this measure, of the configurations that have it."""
        copied = copy.copy(self)
        copied.measure = measure
        having = (config for config in self.configurations if measure in ("", *(m.name for m in self.judged(config))))
        vars(copied).pop("trained", None)
        vars(copied)["configurations"] = tuple(having)
        return copied

    def pool(self, config: Configuration) -> Hashable:
        # The labels of a joint run do not matter to its numbers.
        return tuple(judged.name for judged in self.judged(config)), config.pool[1]

    def _judged(self, config: Configuration, measure: str) -> Judged:
        return next(judged for judged in self.judged(config) if measure in ("", judged.name))

    def _make_outcomes(self, config: Configuration) -> Outcomes | None:
        runs = {run.axes.seed: run.rows for run in config.done}
        try:
            return Outcomes(config.axes.method, config.axes.corpus, self.target(config), runs) if runs else None
        except UserError as problem:
            self.notes.append(str(problem))
            return None


def part_of(evidence: Evidence, part: Part) -> PartEvidence:
    """The evidence of a part, made once."""
    if part not in evidence.parts:
        evidence.parts[part] = PartEvidence(evidence, part)
    of_part = evidence.parts[part]
    assert isinstance(of_part, PartEvidence)
    return of_part


def other_configurations(evidence: Evidence) -> list[Configuration]:
    """Configurations with a result whose prediction is not one label, with their baselines."""
    parts = (part_of(evidence, part) for part in (NUMBERS, MARKS))
    return [config for part in parts for config in part.configurations if not part.target(config).has_classes]


def is_of_classes(runs: Sequence[Run]) -> bool:
    """True if all runs are of classes alone."""
    return not any(run.is_done and run.target.learns_from_annotations for run in runs)
