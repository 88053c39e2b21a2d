"""Coverage of sets of labels (`affetto predict --coverage`) over speakers who had no part in their limits.

    python benchmarks/label_sets.py NAME=RUN … [--draws 50] [--out FILE.md]

Each RUN is a folder with predictions.jsonl of a cross-validation whose folds share no speaker. The first table has the
coverage of each speaker by the limits of all other speakers, at three levels; "by chance" is the spread over speakers
that equal speakers with as many clips would have. The second table has limits from fewer speakers, drawn at random, and
the hierarchical limit (Lee, Barber and Willett, 2023), which holds for new speakers whatever their clips are like: it
counts a speaker more, all of whose clips lie beyond every limit.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np

from affetto.targets.label_sets import ALL, DEFAULT_KIND, KINDS, Clips, limit, measure_sets

LEVELS = (0.8, 0.9, 0.95)
SPEAKERS = (2, 3, 5, 10, 15)
LIMITS = ("lac", "lac-by-class")
"""Kinds of the second table."""
HIERARCHICAL = "hierarchical"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("runs", nargs="+", metavar="NAME=RUN")
    options.add_argument("--draws", type=int, default=50)
    options.add_argument("--out", type=Path, help="Markdown file of the tables; default: standard output")
    arguments = options.parse_args()
    runs = {name: read_clips(Path(run)) for name, run in (pair.split("=", 1) for pair in arguments.runs)}
    text = "\n".join([*coverage_table(runs), "", *speakers_table(runs, arguments.draws)]) + "\n"
    if arguments.out is None:
        print(text, end="")
    else:
        arguments.out.write_text(text, encoding="utf-8")


def read_clips(run: Path) -> Clips:
    """Clips of a run's predictions file."""
    lines = (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return Clips.of(rows, sorted(rows[0]["probabilities"]))


def coverage_table(runs: dict[str, Clips]) -> list[str]:
    """Lines of a table: coverage of each speaker by the limits of all others, a row a run and level."""
    plain, *others = KINDS
    heads = " | ".join(f"{kind} (labels)" for kind in others)
    rows = [
        f"| run | speakers × clips | level | {plain} (95 %) | labels "
        f"| lowest–highest speaker | sd (by chance) | {heads} |",
        f"| --- | ---: | ---: | ---: | ---: | ---: | ---: |{' ---: |' * len(others)}",
    ]
    for name, clips in runs.items():
        count = len(clips.truth) / len(clips.speakers)
        for level in LEVELS:
            kinds = measure_sets(clips, level=level)["kinds"]
            facts = kinds[plain]
            low, high = facts["interval"]
            by_speaker = list(facts["per_speaker"].values())
            chance = math.sqrt(facts["coverage"] * (1 - facts["coverage"]) / count)
            cells = [
                name,
                f"{len(clips.speakers)} × {count:.0f}",
                f"{100 * level:.0f}",
                f"{100 * facts['coverage']:.1f} ({100 * low:.1f}–{100 * high:.1f})",
                f"{facts['size']:.2f}",
                f"{100 * min(by_speaker):.0f}–{100 * max(by_speaker):.0f}",
                f"{100 * np.std(by_speaker, ddof=1):.1f} ({100 * chance:.1f})",
                *(f"{100 * kinds[kind]['coverage']:.1f} ({kinds[kind]['size']:.2f})" for kind in others),
            ]
            rows.append(f"| {' | '.join(cells)} |")
    return rows


def speakers_table(runs: dict[str, Clips], draws: int) -> list[str]:
    """Lines of a table: coverage of speakers by limits from some of the others, a row a run and number of these."""
    heads = " | ".join(f"{kind}, {100 * level:.0f}" for level in LEVELS for kind in (*LIMITS, HIERARCHICAL))
    rows = [f"| run | limits from | {heads} |", f"| --- | ---: |{' ---: |' * (len(LIMITS) + 1) * len(LEVELS)}"]
    for name, clips in runs.items():
        others = len(clips.speakers) - 1
        for speakers in (*(number for number in SPEAKERS if number < others), others):
            cells = []
            for level in LEVELS:
                for kind in (*LIMITS, HIERARCHICAL):
                    coverage, size = drawn_coverage(clips, speakers, level, kind, draws)
                    cells.append(f"{100 * coverage:.1f} ({size:.1f})")
            rows.append(f"| {name} | {speakers} | {' | '.join(cells)} |")
    return rows


def drawn_coverage(clips: Clips, speakers: int, level: float, name: str, draws: int) -> tuple[float, float]:
    """Mean coverage and size of the sets of each speaker by limits from others, drawn anew `draws` times."""
    kind = KINDS.get(name, KINDS[DEFAULT_KIND])
    scores = kind.scores(clips.probabilities)
    rows = np.arange(len(scores))
    true, best = scores[rows, clips.truth], np.zeros(scores.shape, dtype=bool)
    best[rows, clips.probabilities.argmax(1)] = True
    groups = kind.groups(clips.truth, scores.shape[1])
    generator = np.random.default_rng(0)
    covered, sizes = [], []
    everyone = len(clips.speakers)
    for _ in range(1 if speakers == everyone - 1 else draws):
        for speaker in range(everyone):
            drawn = generator.choice(np.delete(np.arange(everyone), speaker), speakers, replace=False)
            if name == HIERARCHICAL:
                bounds = np.array([hierarchical_limit([true[clips.owner == number] for number in drawn], level)])
            else:
                from_drawn = np.isin(clips.owner, drawn)
                bounds = np.array([limit(true[group & from_drawn], level) for group in groups])
            tested = clips.owner == speaker
            within = (scores[tested] <= bounds) | best[tested]
            covered.append(within[np.arange(len(within)), clips.truth[tested]].mean())
            sizes.append(within.sum(1).mean())
    return float(np.mean(covered)), float(np.mean(sizes))


def hierarchical_limit(pool: list[np.ndarray], level: float) -> float:
    """Limit at this level where each speaker's scores weigh as one, and a speaker more is beyond all of them."""
    scores = np.concatenate(pool)
    weights = np.concatenate([np.full(len(part), 1 / ((len(pool) + 1) * len(part))) for part in pool])
    order = np.argsort(scores)
    reached = np.flatnonzero(np.cumsum(weights[order]) >= level - 1e-9)
    return float(scores[order][reached[0]]) if len(reached) else ALL


if __name__ == "__main__":
    main()
