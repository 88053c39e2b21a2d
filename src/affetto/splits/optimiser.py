"""The assignment of speakers to parts: a search that gives the same result on every machine.

The search sees counts only (units × parts × features, a unit being a speaker or a prompt), so its cost
does not grow with the number of clips. All that decides is integer arithmetic, and chance comes from
`random.Random`, so no rounding, BLAS or libm can make two machines disagree.

Few units are enumerated. Many are placed greedily, then improved by threshold accepting (Dueck and
Scheuer, J. Comput. Phys. 90, 1990): annealing whose rule "accept what worsens the cost by less than a
shrinking threshold" needs no exponential. Many chains run side by side as rows of one array.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

SIZE_WEIGHT = 12
CLASS_WEIGHT = 8
GENDER_WEIGHT = 1
NUMBER_WEIGHT = 1
DROPPED_WEIGHT = 10
ABSENT = 10**8
"""Cost of a class that a part lacks, times the part's target: more than all deviations together."""
EMPTY = 10**12

ENUMERATED = 2**16
"""Up to this many assignments are all tried."""
CHAINS = 64
"""Fewer where there are more than six parts, each of which is counted at each step."""
STEPS = 12_000
STEPS_PER_UNIT = 200
"""Few units are settled sooner."""
CELLS = 2**23
"""Upper bound of chains × units, which keeps memory linear for very many speakers."""


def coded(values: Sequence[str]) -> tuple[tuple[str, ...], Ints]:
    """The sorted distinct values, and for each value its index among them."""
    names = tuple(sorted(set(values)))
    index = {name: i for i, name in enumerate(names)}
    return names, np.fromiter((index[value] for value in values), dtype=np.int64, count=len(values))


@dataclass(frozen=True)
class Problem:
    """Targets of the parts, and the clips that each unit brings to the part that it is put in."""

    brings: Ints
    """(units, parts, features): clips per class, then per gender, that a unit brings to a part; where the
    number of units is to be balanced too, 1 as the last."""
    corpus: Ints
    """(features,): the same counts over the whole corpus."""
    classes: int
    """Number of features that are classes."""
    genders: int
    """Number of features that are genders."""
    targets: tuple[int, ...]
    """The parts' sizes in proportion, as in (8, 1, 1)."""

    @classmethod
    def plain(cls, counts: Ints, classes: int, targets: tuple[int, ...]) -> Problem:
        """Units that bring the same `counts` (units, classes + genders) wherever they are put."""
        genders = counts.shape[1] - classes
        counts = np.concatenate([counts, np.ones((len(counts), 1), dtype=np.int64)], axis=1)
        brings = np.broadcast_to(counts[:, None, :], (len(counts), len(targets), counts.shape[1]))
        return cls(brings, counts.sum(0), classes, genders, targets)

    def counts(self, assigned: Ints) -> Ints:
        """Counts per part (parts, features) of an assignment (units,)."""
        total = np.zeros(self.brings.shape[1:], dtype=np.int64)
        np.add.at(total, assigned, self.brings[np.arange(len(assigned)), assigned])
        return total

    def cost(self, counts: Ints) -> Ints:
        """Cost (...) of counts (..., parts, features), in millionths.

        Per part: the distance of its share of clips from the target, and the total variation between its
        classes and the corpus's; with less weight, the same for genders, and the distance of its share of
        units (or a part could be made up of speakers with hardly any clips: they fit in everywhere). Then
        the clips left out, and prohibitive amounts for empty parts and absent classes.
        """
        targets = np.array(self.targets, dtype=np.int64)
        balanced = self.classes + self.genders
        by_class, by_gender = counts[..., : self.classes], counts[..., self.classes : balanced]
        classes, genders = self.corpus[: self.classes], self.corpus[self.classes : balanced]
        clips = by_class.sum(-1)  # (..., parts)
        cost = SIZE_WEIGHT * _deviation(clips, targets) + CLASS_WEIGHT * _variation(by_class, clips, classes)
        if self.genders > 1:
            cost += GENDER_WEIGHT * _variation(by_gender, clips, genders)
        if len(self.corpus) > balanced:
            cost += NUMBER_WEIGHT * _deviation(counts[..., -1], targets)
        absent = ((by_class == 0) & (classes > 0)).sum(-1)
        cost += ABSENT * targets * absent + EMPTY * (clips == 0)
        total = int(classes.sum())
        dropped = (total - clips.sum(-1)) * 1_000_000 // total
        result: Ints = cost.sum(-1) + DROPPED_WEIGHT * dropped
        return result


def _deviation(sizes: Ints, targets: Ints) -> Ints:
    """Distance (..., parts), in millionths, of the shares of `sizes` (..., parts) from the targets'."""
    clips = sizes.sum(-1, keepdims=True)
    total = int(targets.sum())
    result: Ints = np.abs(sizes * total - clips * targets) * 1_000_000 // (np.maximum(clips, 1) * total)
    return result


def _variation(counts: Ints, clips: Ints, corpus: Ints) -> Ints:
    """Total variation (..., parts), in millionths, between counts (..., parts, features) and the corpus's."""
    total = int(corpus.sum())
    apart = np.abs(counts * total - corpus * clips[..., None]).sum(-1)
    # in two steps of a thousand, so that 10^7 clips stay inside 64 bits
    result: Ints = apart * 1000 // (2 * total) * 1000 // np.maximum(clips, 1)
    return result


def assign(problem: Problem, seed: int, *, start: Ints | None = None, steps: int = STEPS) -> Ints:
    """The part (units,) of each unit, at the least cost found; the seed breaks ties and leads the search.

    With `start`, an assignment no worse than it.
    """
    units, parts, _ = problem.brings.shape
    if units <= ENUMERATED.bit_length() and parts**units <= ENUMERATED:
        return _enumerate(problem, seed)
    return _search(
        problem, seed, _greedy(problem, seed) if start is None else start, min(steps, STEPS_PER_UNIT * units)
    )


def _enumerate(problem: Problem, seed: int) -> Ints:
    """The best of all assignments; one of equals is drawn by the seed."""
    units, parts, features = problem.brings.shape
    number = np.arange(parts**units)
    digits = np.stack([number // parts**u % parts for u in range(units)], axis=1)  # (assignments, units)
    counts = np.zeros((len(number), parts, features), dtype=np.int64)
    for unit in range(units):
        counts[number, digits[:, unit]] += problem.brings[unit, digits[:, unit]]
    cost = problem.cost(counts)
    best = np.flatnonzero(cost == cost.min())
    assigned: Ints = digits[best[random.Random(seed).randrange(len(best))]]
    return assigned


def _greedy(problem: Problem, seed: int) -> Ints:
    """An assignment of each unit, large ones first, to the part that lacks its classes most; no part stays empty.

    Lacks are in proportion to the part's target, so that large units go to all parts.
    """
    units, parts, _ = problem.brings.shape
    total = sum(problem.targets)
    common = math.lcm(*problem.targets)
    missing = [[int(n) * target for n in problem.corpus] for target in problem.targets]
    brings = problem.brings.max(axis=1)
    sizes = brings.sum(1).tolist()
    order = list(range(units))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda unit: -sizes[unit])
    assigned = np.zeros(units, dtype=np.int64)
    for unit in order:
        has = [(f, n) for f, n in enumerate(brings[unit].tolist()) if n]
        part = max(range(parts), key=lambda p: common // problem.targets[p] * sum(n * missing[p][f] for f, n in has))
        for f, n in has:
            missing[part][f] -= n * total
        assigned[unit] = part
    for part in range(parts):
        if not (assigned == part).any():
            largest = np.bincount(assigned, minlength=parts).argmax()
            assigned[next(unit for unit in reversed(order) if assigned[unit] == largest)] = part
    return assigned


def _search(problem: Problem, seed: int, start: Ints, steps: int) -> Ints:
    """Threshold accepting by moves (one unit changes its part) and swaps (two change places)."""
    units, parts, _ = problem.brings.shape
    chains = max(2, min(CHAINS, CHAINS * 6 // parts, CELLS // units))
    row = np.arange(chains)
    assigned = np.tile(start.astype(np.int16), (chains, 1))  # (chains, units)
    counts = np.tile(problem.counts(start), (chains, 1, 1))  # (chains, parts, features)
    cost = problem.cost(counts)
    start_cost = int(cost[0])
    chance = random.Random(seed)
    first_threshold = None
    cooling = max(1, steps * 3 // 4)  # after which nothing worse is accepted
    for step in range(steps):
        if step % 500 == 0:
            draws = _draws(chance, (500, 4, chains))
        unit, partner, shift, kind = draws[step % 500]
        unit, partner, swap = unit % units, partner % units, kind % 2
        source = assigned[row, unit].astype(np.int64)
        moved_to = (source + 1 + shift % (parts - 1)) % parts
        goal = np.where(swap, assigned[row, partner], moved_to)
        back = swap[:, None]  # the partner brings its clips in the opposite direction
        trial = counts.copy()
        trial[row, source] += back * problem.brings[partner, source] - problem.brings[unit, source]
        trial[row, goal] += problem.brings[unit, goal] - back * problem.brings[partner, goal]
        trial_cost = problem.cost(trial)
        if first_threshold is None:
            first_threshold = _threshold(trial_cost - cost)
        threshold = max(0, first_threshold * (cooling - step) // cooling)
        accepted = trial_cost - cost <= threshold
        rows = row[accepted]
        counts[rows], cost[rows] = trial[accepted], trial_cost[accepted]
        assigned[rows, partner[accepted]] = np.where(swap, source, assigned[row, partner])[accepted]
        assigned[rows, unit[accepted]] = goal[accepted]
    best = int(cost.argmin())
    return assigned[best].astype(np.int64) if cost[best] <= start_cost else start


def _draws(chance: random.Random, shape: tuple[int, ...]) -> Ints:
    """Random whole numbers below 2^31, the same on every machine."""
    raw = np.frombuffer(chance.randbytes(4 * int(np.prod(shape))), dtype="<u4")
    return (raw >> 1).astype(np.int64).reshape(shape)


def _threshold(changes: Ints) -> int:
    """The first threshold: the cost that a typical proposal changes, absent classes and empty parts aside."""
    usual = sorted(int(c) for c in np.abs(changes) if 0 < c < ABSENT)
    return usual[len(usual) // 2] if usual else 0
