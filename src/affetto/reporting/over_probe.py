"""What a method gained over the probe of its own run, in a line for the terminal."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

LEAST_SPEAKERS = 5
ADVICE = "docs/methods.md says when training pays"


def over_probe(method: str, metrics: Mapping[str, Any]) -> str | None:
    """Say that a method did not surely gain over the probe, from `metrics.json`; None where it did, or nobody can tell.

    Gains are differences of UAR within a speaker; their interval is by Student's t over the test speakers.
    """
    if "probe" not in metrics or "per_speaker" not in metrics["probe"]["test"]:
        return None
    own, probe = (scores["per_speaker"] for scores in (metrics["test"], metrics["probe"]["test"]))
    if any("uar" not in score for score in (*own.values(), *probe.values())) or own.keys() != probe.keys():
        return None
    gains = [100 * (own[name]["uar"] - probe[name]["uar"]) for name in own]
    if len(gains) < LEAST_SPEAKERS:
        return None
    from scipy import stats

    mean = statistics.mean(gains)
    half = float(stats.t.ppf(0.975, len(gains) - 1)) * statistics.stdev(gains) / math.sqrt(len(gains))
    if mean - half > 0:
        return None
    verdict = f"gained nothing over the probe that these {len(gains)} speakers could show"
    if mean + half < 0:
        verdict = "scores below the probe"
    points = f"{mean:+.1f} points of UAR ({mean - half:+.1f} to {mean + half:+.1f})".replace("-", "−")
    text = f"note: {method} {verdict}: {points}"
    folds = metrics.get("folds") or [metrics]
    starts = sum(fold.get("best_epoch") == 0 for fold in folds)
    if starts:
        where = f"in {starts} of {len(folds)} folds" if len(folds) > 1 else "here"
        text += f"; {where} the start, which is the probe's head, was the best epoch"
    return f"{text}; {ADVICE}"
