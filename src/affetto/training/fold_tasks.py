"""Tasks of the fits of a run: what each learns from, and all that is known of these clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from affetto.training.adversary import voices_of
from affetto.training.cross_fit import CrossFit, check_labels, groups_of
from affetto.training.data import Data
from affetto.training.probes import Probes
from affetto.training.sections import Settings
from affetto.training.selection import Choice
from affetto.training.task import Task


@dataclass(frozen=True, kw_only=True)
class FoldTasks:
    """Maker of the tasks of a run's fits."""

    data: Data
    settings: Settings
    probes: Probes
    truth: Mapping[str, int | np.ndarray]
    """Truth of each clip, auxiliary ones and copies too, as `Target.encode` gives it."""
    seed: int
    identity: str

    def check(self, ids: tuple[str, ...]) -> None:
        """Raise UserError where a fit on these clips of the tested corpus cannot be as the settings ask for it."""
        train = self.data.training_ids(ids)
        self._voices(train)
        if self.settings.training.cross_fit > 0:
            self._groups(train)

    def make(
        self,
        ids: tuple[str, ...],
        validation: tuple[str, ...] | None,
        *,
        epochs: int,
        name: str,
        start: Choice | None,
    ) -> Task:
        """Task of a fit on these clips of the tested corpus, on all auxiliary ones, and on their copies.

        `start` is the probe that the head starts as; `name` tells the fit from the others of the run.
        """
        data, settings = self.data, self.settings
        train, evenly = data.training_ids(ids), settings.training.draws_evenly
        probe = None if start is None else self.probes.fit(ids, start)
        return Task(
            train=train,
            validation=validation,
            target=self.truth,
            seed=self.seed,
            epochs=epochs,
            identity=f"{self.identity} {name}",
            head=None if probe is None else (probe.weight, probe.bias),
            factors=data.factors(settings, len(ids), drawn_evenly=evenly),
            standardised_apart=data.standardised_apart(settings),
            copies=data.copies.clips,
            noise=data.noise,
            voices=self._voices(train),
            strata=data.strata(train, self.truth) if evenly else {},
            cross_fit=self._cross_fit(ids, start),
        )

    def _voices(self, train: tuple[str, ...]) -> dict[str, int]:
        """Voices of training clips, which an adversary guesses; {} without one."""
        kind = self.settings.training.adversary
        return {} if kind == "none" else voices_of(self.data.people(kind), train, kind)

    def _cross_fit(self, ids: tuple[str, ...], start: Choice | None) -> CrossFit | None:
        """Groups of the training clips, and the solver of heads as the probe is solved for; None without groups."""
        if self.settings.training.cross_fit == 0:
            return None
        assert start is not None
        groups = self._groups(self.data.training_ids(ids))
        return CrossFit(groups=groups, solve=partial(self.probes.solve, clips=len(ids), choice=start))

    def _groups(self, train: tuple[str, ...]) -> dict[str, int]:
        """Group of each training clip; a copy is in its clip's, and does not count in the size of a group."""
        copies, speakers = self.data.copies, self.data.people("speaker")
        originals = [clip for clip in train if clip not in copies.clips]
        groups = groups_of(speakers, originals, self.settings.training.cross_fit, self.seed)
        check_labels(groups, self.truth, self.data.target, speakers)
        return copies.spread(groups)
