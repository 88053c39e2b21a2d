"""Probes of a run: their state and strength chosen, their fits.

Auxiliary clips join each fit, and changed copies join where their clip is; neither judges any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from affetto.models.pooling import side_by_side
from affetto.targets.target import LinearMap
from affetto.training.build import Builder
from affetto.training.data import Data
from affetto.training.sections import Settings
from affetto.training.selection import Choice, Probe, choose, originals_of, solve, whole_speakers
from affetto.training.spec import probe_counts


@dataclass(frozen=True, kw_only=True)
class Probes:
    """Maker of a run's probes, on the stored statistics of frozen states."""

    builder: Builder
    data: Data
    settings: Settings
    truth: Mapping[str, int | np.ndarray]
    """Truth of each clip, auxiliary ones too, as `Target.encode` gives it."""

    def choose(self, ids: Sequence[str], layers: Sequence[int]) -> Choice:
        """State and strength chosen on these clips of the tested corpus, among these states."""
        speakers = {clip.id: clip.speaker for clip in self.data.manifest.clips}
        subset = [ids[i] for i in whole_speakers([speakers[i] for i in ids])]
        auxiliary = self.data.auxiliary
        drawn = [auxiliary.ids[i] for i in whole_speakers([clip.speaker for clip in auxiliary.clips])]
        clips = [*subset, *drawn]
        together = [*clips, *self.data.copies.of(clips)]
        stored = self.builder.statistics()
        statistics = np.stack([stored[i]["statistics"].float().numpy() for i in together])
        probe = self.settings.probe
        choice = choose(
            lambda layer: statistics[:, layer],
            truth=self._truth(together),
            speakers=[speakers[i] for i in subset],
            layers=layers,
            strengths=probe.strengths,
            folds=probe.inner_folds,
            counts=probe_counts(self.settings, self.builder.spec.method),
            **self._options(together, len(ids)),
        )
        share = self._weight(together, len(ids)) / self._weight(self.data.training_ids(ids), len(ids))
        return replace(choice, share=share)

    def _weight(self, ids: Sequence[str], clips: int) -> float:
        """Sum of the factors of clips, where so many of the tested corpus train."""
        factors = self.data.factors(self.settings, clips)
        return math.fsum(factors.get(i, 1.0) for i in ids)

    def fit(self, ids: Sequence[str], choice: Choice) -> Probe:
        """The probe of these clips of the tested corpus, of the auxiliary ones, and of their copies."""
        together = self.data.training_ids(ids)
        options = self._options(together, len(ids))
        return Probe.fit(
            self.features(together, choice),
            self._truth(together),
            choice.strength_on_all,
            states=choice.states,
            **options,
        )

    def solve(self, ids: Sequence[str], standardised: np.ndarray, *, clips: int, choice: Choice) -> LinearMap:
        """The map that the probe of a choice would be, on these training clips, from features of any states.

        `standardised` (clips of `ids`, features), as of `features`; so many `clips` of the tested corpus train. The
        strength is that of a probe on all of them, also for a part of them: it was chosen by fits on parts.
        """
        options = self._options(ids, clips)
        del options["groups"]  # by which features are standardised
        originals = originals_of(options.pop("owners"))
        features, strength = standardised.astype(np.float64), choice.strength_on_all
        return solve(features, self._truth(ids), strength, states=choice.states, originals=originals, **options)

    def features(self, ids: Sequence[str], choice: Choice) -> np.ndarray:
        """Statistics of the states of a choice, (clips, features): all means first, then all deviations."""
        stored, span = self.builder.statistics(), slice(choice.span.start, choice.span.stop)
        rows = [stored[i]["statistics"][span].float() for i in ids]
        return side_by_side(torch.stack(rows)).numpy()

    def _truth(self, ids: Sequence[str]) -> np.ndarray:
        return np.array([self.truth[i] for i in ids])

    def _options(self, ids: Sequence[str], clips: int) -> dict[str, Any]:
        """Target, weights and standardisation of a fit on these clips, where so many of the tested corpus train."""
        factors, apart = self.data.factors(self.settings, clips), self.data.standardised_apart(self.settings)
        names = sorted(set(apart.values()))
        rows, clips_of = {clip: row for row, clip in enumerate(ids)}, self.data.copies.clips
        return {
            "target": self.data.target,
            "balanced": self.settings.training.class_weights,
            "clip_weights": np.array([factors.get(i, 1.0) for i in ids]) if factors else None,
            "groups": np.array([1 + names.index(apart[i]) if i in apart else 0 for i in ids]) if apart else None,
            "owners": np.array([rows[clips_of.get(i, i)] for i in ids]) if clips_of else None,
        }
