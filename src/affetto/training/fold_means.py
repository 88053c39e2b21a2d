"""Summary of the folds of a run: their mean scores, and the epochs of the final model."""

from __future__ import annotations

import statistics
from typing import Any

from affetto.targets.target import Target


def median_epochs(best_epochs: list[int], least: int) -> int:
    """The median of the folds' best epochs, a half rounded up, and no fewer than `least`."""
    return max(least, int(statistics.median(best_epochs) + 0.5))


def mean_of_folds(target: Target, folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and sample standard deviation (ddof 1) of the test scores that all folds have."""
    scores = [target.headline(fold["test"]) for fold in folds]
    values = {name: [fold[name] for fold in scores] for name in scores[0] if all(name in fold for fold in scores)}
    return {name: statistics.mean(v) for name, v in values.items()} | {
        "standard_deviation": {name: statistics.stdev(v) for name, v in values.items()},
        "folds": len(folds),
    }
