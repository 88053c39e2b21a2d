"""How often a 95 % interval holds the truth: drawn speakers whose true score is known, tested over and over.

    python benchmarks/coverage.py [--studies 2000] [--measure macro_f1] [--emozionalmente FOLDER]

Prints three Markdown tables: the intervals of scores and of differences by the number of speakers and the evenness of
their clips, beside a percentile bootstrap; those of one speaker's clips; and those of methods whose trainings scatter,
by the number of seeds. In brackets: mean width in points. `affetto.measures.intervals` rests on it.

Speakers differ in how easy they are, two systems find the same speakers hard, and the seven classes are unlike in
size, in difficulty and in what they are taken for. With `--emozionalmente` the clips of each speaker are drawn from
the real ones (its `metadata/samples.csv`); without, they are of the same shape.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affetto.measures import intervals
from affetto.measures.registry import label_measure
from affetto.reporting.stats.estimation import jackknife_mean, leave_one_out, sizes, weighted_scores
from affetto.reporting.stats.paired import Pair, sampled_difference

Floats = NDArray[np.float64]

UNEVEN = (
    *(102, 88, 69, 57, 40, 34, 28, 25, 21, 19, 17, 16, 15, 14, 13, 12, 11, 10, 10, 9),
    *(8, 8, 8, 7, 7, 6, 6, 5, 5, 4, 4, 4, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1),
)
"""Clips of 43 speakers as unequal as Emozionalmente's 431, of whom every tenth stands here."""
SHARES = np.array([0.12, 0.15, 0.15, 0.15, 0.15, 0.14, 0.14])
"""Of the seven classes among the clips."""
EASE = 0.15 + np.array([0.6, 0.3, 0.0, -0.2, -0.4, 0.2, -0.5])
"""Log odds that a clip of each class is right with a middling speaker: about 53 % macro F1 in all."""
OF_SPEAKERS, OF_CLASSES = 0.65, 0.4
"""Standard deviations of the log odds: over speakers (some 15 points), and over the classes within one."""
COMMON = 0.6
"""Share of the speakers' variance that two systems have in common."""
BETTER = 0.6
"""Log odds by which the better of two unlike systems is better: some 12 points."""
OF_SEEDS = 0.08
"""Standard deviation of the log odds over trainings of one method: 1.9 points, as the paper's Table III has it."""
CONFUSED = np.random.default_rng(5).dirichlet(np.ones(7), 7) * (1 - np.eye(7))
CONFUSED /= CONFUSED.sum(axis=1, keepdims=True)
"""What a wrong clip of each class is taken for."""
RESAMPLES = 500


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--studies", type=int, default=2000)
    options.add_argument("--measure", default="macro_f1")
    options.add_argument("--emozionalmente", type=Path)
    chosen = options.parse_args()
    uneven = UNEVEN if chosen.emozionalmente is None else tuple(_counts(chosen.emozionalmente))
    bench = Bench(chosen.measure, chosen.studies)
    bench.print_speakers(uneven)
    bench.print_clips()
    bench.print_seeds(uneven)


def _counts(folder: Path) -> list[int]:
    """Clips of each of Emozionalmente's speakers."""
    with (folder / "metadata" / "samples.csv").open(encoding="utf-8") as file:
        return sorted(Counter(row["actor"] for row in csv.DictReader(file)).values(), reverse=True)


class Bench:
    """Studies of one measure, each a draw of speakers and of their clips."""

    def __init__(self, measure: str, studies: int) -> None:
        self.measure, self.studies = measure, studies
        self.truth = {better: self._truth(better) for better in (0.0, BETTER)}

    def print_speakers(self, uneven: Sequence[int]) -> None:
        print("| speakers | effective | score | bootstrap | difference of none | bootstrap | true difference |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, corpora in _structures(uneven):
            columns: dict[str, list[tuple[bool, float]]] = {}
            for number in range(self.studies):
                self._study(columns, corpora, np.random.default_rng((len(corpora), sum(corpora[0]), number)))
            cells = [_cell(columns[column]) for column in ("score", "bootstrap", "none", "bootstrap none", "true")]
            counted = len(corpora) ** 2 / sum(1 / intervals.effective(clips) for clips in corpora)
            print(f"| {name} | {counted:.0f} | {' | '.join(cells)} |", flush=True)
        print()

    def print_clips(self) -> None:
        """Of a single middling speaker: how often the interval over clips holds that speaker's own score."""
        print("| clips of one speaker | score | bootstrap |\n| --- | --- | --- |")
        chances = _chances(np.zeros((1, 7)))
        truth = float(label_measure(self.measure).of_confusions(SHARES[:, None] * chances)[0])
        for number in (14, 28, 49, 98):
            columns: dict[str, list[tuple[bool, float]]] = {"score": [], "bootstrap": []}
            for study in range(self.studies):
                generator = np.random.default_rng((number, study))
                drawn = generator.multinomial(generator.multinomial(number, SHARES), chances[0])
                cells = np.repeat(np.eye(49), drawn.ravel(), axis=0).reshape(-1, 1, 7, 7)
                self._add_score(columns, [cells], truth, generator)
            print(f"| {number} | {_cell(columns['score'])} | {_cell(columns['bootstrap'])} |", flush=True)
        print()

    def print_seeds(self, uneven: Sequence[int]) -> None:
        """Of methods that are alike, each training of which is better or worse by chance."""
        print("| seeds | speakers | score | difference of none | without the seeds' spread |")
        print("| --- | --- | --- | --- | --- |")
        for name, corpora in (("6", [[98] * 6]), ("43", [[28] * 43]), ("43, uneven", [_spread(uneven, 43)])):
            for seeds in (1, 2, 3, 5):
                columns: dict[str, list[tuple[bool, float]]] = {}
                for number in range(self.studies // 2):
                    generator = np.random.default_rng((len(corpora[0]), seeds, number))
                    first, second = _drawn(corpora[0], (0.0, 0.0), generator, seeds, OF_SEEDS)
                    pair = _pair(first, second, self.measure)
                    self._add(columns, "score", self._score([first]).interval(), self.truth[0.0])
                    spread = sampled_difference([pair])
                    assert spread is not None
                    self._add(columns, "none", spread.interval(), 0.0)
                    self._add(columns, "models", pair.sampled[0].interval(), 0.0)
                cells = [_cell(columns[column]) for column in ("score", "none", "models")]
                print(f"| {seeds} | {name} | {' | '.join(cells)} |", flush=True)

    def _study(
        self,
        columns: dict[str, list[tuple[bool, float]]],
        corpora: Sequence[Sequence[int]],
        generator: np.random.Generator,
    ) -> None:
        """One study: the first of three systems scored, and compared with one that is alike and one that is better."""
        drawn = [_drawn(clips, (0.0, 0.0, BETTER), generator) for clips in corpora]
        self._add_score(columns, [systems[0] for systems in drawn], self.truth[0.0], generator)
        alike = [_pair(first, second, self.measure) for first, second, _ in drawn]
        for column, pairs, truth in (
            ("none", alike, 0.0),
            (
                "true",
                [_pair(best, first, self.measure) for first, _, best in drawn],
                self.truth[BETTER] - self.truth[0.0],
            ),
        ):
            spread = sampled_difference(pairs)
            assert spread is not None
            self._add(columns, column, spread.interval(), truth)
        self._add(columns, "bootstrap none", _bootstrap([pair.difference for pair in alike], alike, generator), 0.0)

    def _add_score(
        self,
        columns: dict[str, list[tuple[bool, float]]],
        corpora: Sequence[Floats],
        truth: float,
        generator: np.random.Generator,
    ) -> None:
        pairs = [_pair(matrices, matrices, self.measure) for matrices in corpora]
        self._add(columns, "score", self._score(corpora).interval(least=0.0, most=1.0), truth)
        scores = [_scoring(pair) for pair in pairs]
        self._add(columns, "bootstrap", _bootstrap(scores, pairs, generator), truth)

    def _score(self, corpora: Sequence[Floats]) -> intervals.Sampled:
        """Score of matrices (units, seeds, k, k) by corpus, as `affetto.reporting.stats.estimation.estimate` has it."""
        both = [(leave_one_out(each, _support(each), self.measure), sizes(each)) for each in corpora]
        parts = [jackknife_mean(scores, without, clips) for (scores, without), clips in both]
        return intervals.over_seeds(intervals.mean(parts), np.mean([scores for (scores, _), _ in both], axis=0))

    def _add(
        self,
        columns: dict[str, list[tuple[bool, float]]],
        column: str,
        ends: tuple[float, float],
        truth: float,
    ) -> None:
        columns.setdefault(column, []).append((ends[0] <= truth <= ends[1], ends[1] - ends[0]))

    def _truth(self, better: float) -> float:
        """The score with ever so many speakers."""
        generator = np.random.default_rng(0)
        odds = better + OF_SPEAKERS * generator.standard_normal((100_000, 1))
        odds = odds + OF_CLASSES * generator.standard_normal((100_000, 7))
        confusion = SHARES[:, None] * _chances(odds).mean(axis=0)
        return float(label_measure(self.measure).of_confusions(confusion[None])[0])


def _structures(uneven: Sequence[int]) -> Iterator[tuple[str, list[list[int]]]]:
    """Clips of each speaker, by corpus."""
    for speakers in (3, 6, 7, 10, 20, 43):
        yield f"{speakers}", [[98 if speakers < 20 else 28] * speakers]
    for speakers in (10, 20, 43):
        yield f"{speakers}, uneven", [_spread(uneven, speakers)]
    demos = [160, 140, 120, 110, 90, 70, 60]
    yield "6 + 7 + 43 of three corpora", [[98] * 6, demos, _spread(uneven, 43)]


def _spread(uneven: Sequence[int], speakers: int) -> list[int]:
    """So many of the counts, evenly from the largest to the smallest."""
    return [uneven[int((number + 0.5) / speakers * len(uneven))] for number in range(speakers)]


def _chances(odds: Floats) -> Floats:
    """Chances of each answer (…, truth, answer) from the log odds (…, truth) by which a class is easier than it is."""
    right = 1 / (1 + np.exp(-(odds + EASE)))
    return (1 - right)[..., None] * CONFUSED + right[..., None] * np.eye(7)


def _drawn(
    clips: Sequence[int],
    systems: Sequence[float],
    generator: np.random.Generator,
    seeds: int = 1,
    scatter: float = 0.0,
) -> list[Floats]:
    """Of each system, better by so many log odds, the matrices (speakers, seeds, truth, answer) of the same clips."""
    n = len(clips)
    common = generator.standard_normal(n)
    support = generator.multinomial(clips, SHARES)
    outcomes = []
    for better in systems:
        own = COMMON**0.5 * common + (1 - COMMON) ** 0.5 * generator.standard_normal(n)
        ease = better + OF_SPEAKERS * own[:, None] + OF_CLASSES * generator.standard_normal((n, 7))
        trained = ease[:, None] + scatter * generator.standard_normal((1, seeds, 1))
        counts = np.broadcast_to(support[:, None], (n, seeds, 7))
        outcomes.append(generator.multinomial(counts, _chances(trained)).astype(np.float64))
    return outcomes


def _support(matrices: Floats) -> NDArray[np.int64]:
    return matrices[:, 0].sum(axis=(0, 2)).astype(np.int64)


def _pair(first: Floats, second: Floats, measure: str) -> Pair:
    return Pair(
        corpus="corpus",
        measure=measure,
        seeds=tuple(range(first.shape[1])),
        speakers=tuple(map(str, range(len(first)))),
        support=_support(first),
        first=first,
        second=second,
    )


def _scoring(pair: Pair) -> Callable[[Floats], Floats]:
    return lambda weights: weighted_scores(weights, pair.first, pair.support, pair.measure).mean(axis=1)


def _bootstrap(
    scores: Sequence[Callable[[Floats], Floats]], pairs: Sequence[Pair], generator: np.random.Generator
) -> tuple[float, float]:
    """The percentile interval; speakers are drawn within each corpus."""
    counts = [len(pair.speakers) for pair in pairs]
    weights = [generator.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64) for n in counts]
    spread = np.mean([score(each) for score, each in zip(scores, weights, strict=True)], axis=0)
    low, high = np.quantile(spread, [0.025, 0.975])
    return float(low), float(high)


def _cell(studies: Sequence[tuple[bool, float]]) -> str:
    held, width = np.array(studies, dtype=np.float64).mean(axis=0)
    return f"{100 * held:.1f} ({100 * width:.0f})"


if __name__ == "__main__":
    main()
