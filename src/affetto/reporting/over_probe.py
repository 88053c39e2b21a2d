"""Gain of a method over the probe of its own run, in a line for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from affetto.measures.intervals import can_be_drawn, jackknife

ADVICE = "docs/methods.md says when training pays"


def over_probe(method: str, metrics: Mapping[str, Any]) -> str | None:
    """Say that a method did not surely gain over the probe, from `metrics.json`; None where it did, or nobody can tell.

    The gain is the mean over the test speakers of the difference of UAR within each; its interval is over them.
    """
    if "probe" not in metrics or "per_speaker" not in metrics["probe"]["test"]:
        return None
    own, probe = (scores["per_speaker"] for scores in (metrics["test"], metrics["probe"]["test"]))
    if any("uar" not in score for score in (*own.values(), *probe.values())) or own.keys() != probe.keys():
        return None
    gains = np.array([100 * (own[name]["uar"] - probe[name]["uar"]) for name in own])
    speakers = np.ones(len(gains), dtype=np.int64)  # each counts the same, however many clips are theirs
    if not can_be_drawn(speakers):
        return None
    gain = float(gains.mean())
    low, high = jackknife(gain, (gains.sum() - gains) / (len(gains) - 1), speakers).interval()
    if low > 0:
        return None
    verdict = f"gained nothing over the probe that these {len(gains)} speakers could show"
    if high < 0:
        verdict = "scores below the probe"
    points = f"{gain:+.1f} points of UAR ({low:+.1f} to {high:+.1f})".replace("-", "−")
    text = f"note: {method} {verdict}: {points}"
    folds = metrics.get("folds") or [metrics]
    starts = sum(fold.get("best_epoch") == 0 for fold in folds)
    if starts:
        where = f"in {starts} of {len(folds)} folds" if len(folds) > 1 else "here"
        text += f"; {where} the start, which is the probe's head, was the best epoch"
    return f"{text}; {ADVICE}"
