"""The probe: a linear map of a state's statistics, its state and strength chosen by inner speaker folds.

Of classes it is a logistic regression, of dimensions a ridge regression (`Target.solve`).

It is the baseline that every result stands beside, and what the recommended recipe's head starts from
(linear probing before fine-tuning: Kumar et al., ICLR 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from affetto.measures.classification import UAR
from affetto.models.parallel import threads
from affetto.splits import inner_folds
from affetto.targets.linear import solving
from affetto.targets.target import LinearMap, Target
from affetto.training.sections import MOST_CLIPS, SHORT_LIST


@dataclass(frozen=True)
class Choice:
    """A state, a strength C, and the score over the inner folds that they were chosen for.

    `share` of the clips that the choice is for were looked at. A strength multiplies a sum over clips: what is as
    strong on all of them is `strength_on_all`.
    """

    layer: int
    strength: float
    score: float
    share: float = 1.0
    measure: str = UAR.name
    """Name of the score in files."""
    states: int = 1
    """Number of neighbouring states, `layer` the highest, whose probes are averaged."""

    @property
    def span(self) -> range:
        """The states, the lowest first."""
        return range(self.layer - self.states + 1, self.layer + 1)

    @property
    def strength_on_all(self) -> float:
        """C for fits on the clips that the choice is for: `strength` times `share`."""
        return self.strength * self.share

    def to_json(self) -> dict[str, Any]:
        """Fields of a run's files."""
        fields = {"layer": self.layer, "strength": self.strength, self.measure: self.score, "share": self.share}
        return fields | ({"states": self.states} if self.states > 1 else {})

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Choice:
        """The choice from what `to_json` gave."""
        (measure,) = fields.keys() - {"layer", "strength", "share", "states"}
        common = {name: value for name, value in fields.items() if name != measure}
        return cls(**common, score=fields[measure], measure=measure)


def choose(
    features: Callable[[int], np.ndarray],
    truth: np.ndarray,
    speakers: Sequence[str],
    layers: Sequence[int],
    strengths: Sequence[float],
    folds: int,
    *,
    target: Target,
    balanced: bool = True,
    clip_weights: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    owners: np.ndarray | None = None,
    counts: Sequence[int] = (1,),
) -> Choice:
    """The best state and strength by the target's score of the probe over speaker-disjoint inner folds.

    `features(layer)` (clips, features), `truth` (clips, …) as `target` encodes it, `speakers` one a clip: of non-test
    clips only. Clips beyond the last speaker are auxiliary: each fold is fitted on them, none is judged by them.
    Copies come last, and join the fits that their clip joins. `clip_weights`, `groups`, `owners` are as of `Probe.fit`.
    `counts` are numbers of states: with more than 1 the outputs of so many neighbours are averaged, and the highest
    of them is chosen among `layers`. For each number every state is tried under the middle strength, the best few
    under all; a number for which there are too few states is left out. On a tie fewer states, the lower state and the
    smaller C win. Raises UserError where there are fewer than two speakers.
    """
    of_clips = np.arange(len(truth)) if owners is None else owners
    splits = [(np.flatnonzero(~np.isin(of_clips, held_out)), held_out) for _, held_out in inner_folds(speakers, folds)]
    rows = {"clip_weights": clip_weights, "groups": groups, "owners": owners}
    fits = _InnerFits(
        features=features,
        truth=truth,
        count=len(speakers),
        splits=splits,
        target=target,
        balanced=balanced,
        rows=rows,
    )

    def tried(layer: int, states: int, strength: float) -> Choice:
        score = fits.score(range(layer - states + 1, layer + 1), strength)
        return Choice(layer, strength, score, measure=target.probe_measure, states=states)

    middle = sorted(strengths)[len(strengths) // 2]
    rest = [strength for strength in strengths if strength != middle]
    choices: list[Choice] = []
    for states in counts:
        highest = [layer for layer in layers if layer >= states - 1]
        fits.compute((state, middle) for layer in highest for state in range(layer - states + 1, layer + 1))
        all_states = [tried(layer, states, middle) for layer in highest]
        short_list = sorted(all_states, key=lambda choice: (-round(choice.score, 12), choice.layer))[:SHORT_LIST]
        fits.compute((state, strength) for choice in short_list for state in choice.span for strength in rest)
        choices += short_list + [tried(choice.layer, states, strength) for choice in short_list for strength in rest]
    return min(choices, key=lambda choice: (-round(choice.score, 12), choice.states, choice.layer, choice.strength))


@dataclass(kw_only=True)
class _InnerFits:
    """Probes on inner folds: each is fitted on its fold's other clips, and its outputs are of the clips held out."""

    features: Callable[[int], np.ndarray]
    truth: np.ndarray
    count: int
    """Number of clips that are held out in turn, the first ones."""
    splits: Sequence[tuple[np.ndarray, np.ndarray]]
    """Rows that are fitted and rows that are held out, of each fold."""
    target: Target
    balanced: bool
    rows: Mapping[str, np.ndarray | None]
    """Options of `Probe.fit` that have a value for each row of clips."""
    outputs: dict[tuple[int, float], np.ndarray] = field(default_factory=dict)
    """Outputs (clips, outputs) of each state and strength."""

    def compute(self, pairs: Iterable[tuple[int, float]]) -> None:
        """Fill `outputs` for pairs of a state and a strength. The fits run side by side, each on one thread."""
        missing = [pair for pair in dict.fromkeys(pairs) if pair not in self.outputs]
        parts = [(*pair, fold) for pair in missing for fold in range(len(self.splits))]
        self.outputs |= {pair: np.zeros((self.count, self.target.outputs)) for pair in missing}
        with solving(), ThreadPoolExecutor(threads()) as pool:
            for (state, strength, fold), outputs in zip(parts, pool.map(self._fit, parts), strict=True):
                self.outputs[state, strength][self.splits[fold][1]] = outputs

    def score(self, states: Iterable[int], strength: float) -> float:
        """The target's score of the mean of the outputs of several states."""
        outputs = np.mean([self.outputs[state, strength] for state in states], axis=0)
        return self.target.probe_score(outputs, self.truth[: self.count])

    def _fit(self, part: tuple[int, float, int]) -> np.ndarray:
        state, strength, fold = part
        fit, held_out = self.splits[fold]
        x = self.features(state)
        rows: dict[str, Any] = {name: values[fit] for name, values in self.rows.items() if values is not None}
        if "owners" in rows:
            rows["owners"] = np.searchsorted(fit, rows["owners"])
        probe = Probe.fit(x[fit], self.truth[fit], strength, target=self.target, balanced=self.balanced, **rows)
        return probe.outputs(x[held_out])


def _constants(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation (features,) of (clips, features); a feature that never varies is left unscaled."""
    scale = features.std(0)
    return features.mean(0), np.where(scale > 1e-6, scale, 1.0)


def _columns(features: int, states: int) -> np.ndarray:
    """Columns (states, features / states) of each state's mean and deviation, in all means and then all deviations."""
    if states == 1:
        return np.arange(features)[None]
    return np.arange(features).reshape(2, states, -1).swapaxes(0, 1).reshape(states, -1)


def solve(
    standardised: np.ndarray,
    truth: np.ndarray,
    strength: float,
    *,
    target: Target,
    balanced: bool = True,
    clip_weights: np.ndarray | None = None,
    originals: np.ndarray | None = None,
    states: int = 1,
) -> LinearMap:
    """The target's linear map (`Target.solve`) of standardised features (clips, features), a mean of those of `states`.

    `originals` (clips,) is False for changed copies; the other parameters are those of `Probe.fit`.
    """
    # Targets of plug-ins may not know weights of clips and copies, which runs without auxiliary corpora lack.
    weights = {} if clip_weights is None else {"clip_weights": clip_weights}
    weights |= {} if originals is None else {"originals": originals}
    columns = _columns(standardised.shape[1], states)
    maps = [target.solve(standardised[:, state], truth, strength, weighted=balanced, **weights) for state in columns]
    weight = np.empty((len(maps[0].weight), standardised.shape[1]))
    for state, linear in zip(columns, maps, strict=True):
        weight[:, state] = linear.weight / states
    return LinearMap(weight, np.mean([linear.bias for linear in maps], axis=0))


def originals_of(owners: np.ndarray | None) -> np.ndarray | None:
    """True for each row of a clip, False for one of a copy, (rows,); `owners` as of `Probe.fit`."""
    return None if owners is None else owners == np.arange(len(owners))


@dataclass(frozen=True)
class Probe:
    """Standardisation and a linear map: outputs = ((x - centre) / scale) · weightᵀ + bias."""

    centre: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: np.ndarray

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        truth: np.ndarray,
        strength: float,
        *,
        target: Target,
        balanced: bool = True,
        clip_weights: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        owners: np.ndarray | None = None,
        states: int = 1,
    ) -> Probe:
        """The target's linear map (`Target.solve`) of standardised (clips, features); deterministic.

        `balanced` weighs clips by inverse class frequency; `clip_weights` (clips,) are factors on their losses. A class
        that no clip has is never predicted. With `groups`, integers (clips,), each group is standardised by the
        mean and deviation of its own clips, and the constants of the probe are those of group 0. `owners` (clips,) has
        the row of the clip of which each row is a changed copy (its own row for a clip): copies count neither in
        constants nor in class frequencies. Where `features` are of several `states`, all means first, then all
        deviations, a map is solved for each state, and the outputs are their mean.
        """
        features = features.astype(np.float64)
        originals = originals_of(owners)
        counted = np.ones(len(features), bool) if originals is None else originals
        centre, scale = _constants(features[counted if groups is None else counted & (groups == 0)])
        standardised = (features - centre) / scale
        for group in [] if groups is None else np.unique(groups[groups > 0]):
            rows = groups == group
            centre_of_group, scale_of_group = _constants(features[counted & rows])
            standardised[rows] = (features[rows] - centre_of_group) / scale_of_group
        linear = solve(
            standardised,
            truth,
            strength,
            target=target,
            balanced=balanced,
            clip_weights=clip_weights,
            originals=originals,
            states=states,
        )
        return cls(centre, scale, linear.weight, linear.bias)

    def outputs(self, features: np.ndarray) -> np.ndarray:
        """(clips, features) → (clips, outputs)."""
        return ((features - self.centre) / self.scale) @ self.weight.T + self.bias

    def values(self, features: np.ndarray, target: Target) -> np.ndarray:
        """(clips, features) → (clips, outputs) as files have them: of classes, probabilities."""
        return target.activate(torch.from_numpy(self.outputs(features))).numpy()


def whole_speakers(speakers: Sequence[str], most: int = MOST_CLIPS) -> np.ndarray:
    """Indices of at most `most` clips, of whole speakers, drawn the same way every time; at least three speakers'."""
    if len(speakers) <= most:
        return np.arange(len(speakers))
    of = np.asarray(speakers)
    drawn: list[str] = []
    clips = 0
    for name in np.random.default_rng(0).permutation(np.unique(of)):
        size = int((of == name).sum())
        if len(drawn) >= 3 and clips + size > most:
            continue
        drawn.append(name)
        clips += size
    return np.flatnonzero(np.isin(of, drawn))
