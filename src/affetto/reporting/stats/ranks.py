"""Ranks of methods over blocks, such as backbones and corpora: mean rank, wins, and the critical difference.

Friedman's test asks if the methods differ at all; two differ by Nemenyi's test where their mean ranks differ by the
critical difference (Demšar, *Journal of Machine Learning Research* 7, 2006).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from affetto.measures.confusion import Floats
from affetto.reporting.stats.paired import ALPHA

LEAST_METHODS, LEAST_BLOCKS = 3, 2
BLOCKS_FOR_TEST = 5
"""Number of blocks below which no test is made: with fewer no difference of few methods could be found."""


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Methods by mean rank, the best first."""

    methods: tuple[str, ...]
    blocks: int
    mean_ranks: tuple[float, ...]
    """1 is the best; equal scores share the mean of their ranks."""
    wins: tuple[tuple[float, ...], ...]
    """Number of blocks in which the method of the row scores higher than that of the column; ties count half."""
    p: float | None
    """p of Friedman's test; None with too few blocks, or where all scores of each block are equal."""
    critical: float | None
    """Critical difference of mean ranks at 5 %; None with too few blocks."""


def rank(scores: Mapping[str, Mapping[str, float]]) -> Ranking | None:
    """Rank the methods of {block: {method: score}}, higher is better.

    Only blocks with all ranked methods count. Methods that were run in few blocks are left out, so that as many pairs
    of a method and a block as possible remain. None where fewer than 3 methods or 2 blocks do.
    """
    methods, blocks = _complete(scores)
    if len(methods) < LEAST_METHODS or len(blocks) < LEAST_BLOCKS:
        return None
    table = np.array([[scores[block][method] for method in methods] for block in blocks])
    from scipy.stats import rankdata

    mean_ranks = rankdata(-table, axis=1).mean(axis=0)
    order = np.argsort(mean_ranks, kind="stable")
    table = table[:, order]
    higher = (table[:, :, None] > table[:, None, :]) + 0.5 * (table[:, :, None] == table[:, None, :])
    has_test = len(blocks) >= BLOCKS_FOR_TEST
    return Ranking(
        methods=tuple(methods[n] for n in order),
        blocks=len(blocks),
        mean_ranks=tuple(mean_ranks[order].tolist()),
        wins=tuple(map(tuple, higher.sum(axis=0).tolist())),
        p=_friedman_p(table) if has_test else None,
        critical=critical_difference(len(methods), len(blocks)) if has_test else None,
    )


def critical_difference(methods: int, blocks: int, alpha: float = ALPHA) -> float:
    """Nemenyi's critical difference of mean ranks.

    >>> round(critical_difference(4, 14), 2)
    1.25
    """
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(1 - alpha, methods, np.inf)) / 2**0.5
    return float(quantile * (methods * (methods + 1) / (6 * blocks)) ** 0.5)


def _friedman_p(table: Floats) -> float | None:
    """p of Friedman's test of scores (blocks, methods)."""
    from scipy.stats import friedmanchisquare

    if (table == table[:, :1]).all():
        return None
    return float(friedmanchisquare(*table.T).pvalue)


def _complete(scores: Mapping[str, Mapping[str, float]]) -> tuple[list[str], list[str]]:
    """Methods and the blocks that have all of them, as many pairs as possible; methods in the order of appearance."""
    methods = list(dict.fromkeys(method for block in scores.values() for method in block))
    best: tuple[list[str], list[str]] = ([], [])
    while len(methods) >= LEAST_METHODS:
        blocks = [block for block, of_block in scores.items() if all(method in of_block for method in methods)]
        if len(methods) * len(blocks) > len(best[0]) * len(best[1]):
            best = (list(methods), blocks)
        methods.remove(min(reversed(methods), key=lambda method: _count(scores, method)))
    return best


def _count(scores: Mapping[str, Mapping[str, float]], method: str) -> int:
    return sum(method in of_block for of_block in scores.values())


def indistinct(ranking: Ranking) -> Sequence[str]:
    """Methods that Nemenyi's test does not tell from the best; () without a test."""
    if ranking.critical is None:
        return ()
    pairs = zip(ranking.methods[1:], ranking.mean_ranks[1:], strict=True)
    return [method for method, mean in pairs if mean - ranking.mean_ranks[0] < ranking.critical]
