"""Section of a model card on answers that are better not given: errors by confidence, novelty, speech."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from affetto.models.novelty import Novelty
from affetto.reporting.stats.selective import risks

COVERAGES = (1.0, 0.8, 0.5)
"""Shares of the clips that are answered, those of the highest probability."""
REFUSE_NOVEL = 0.99
REQUIRE_SPEECH_SECONDS = 0.5


def abstention_section(rows: Sequence[Mapping[str, Any]], novelty: Novelty | None) -> str:
    """Write the section. `rows` are test predictions with `truth` and `probabilities`; none for other targets."""
    parts = [_errors(rows)] if rows else []
    if novelty is not None:
        share = np.floor(1000 * min(REFUSE_NOVEL, novelty.highest)) / 1000
        parts.append(
            f"`affetto predict --refuse-novel {share:g}` gives no answer to recordings that are further from the "
            f"training clips than that share of {len(novelty.held_out):,} clips of held-out speakers."
        )
    parts.append(
        f"`affetto predict --require-speech {REQUIRE_SPEECH_SECONDS:g}` gives no answer to recordings with less speech "
        "than these seconds."
    )
    return "\n\n".join(parts)


def _errors(rows: Sequence[Mapping[str, Any]]) -> str:
    """Table of the share of errors where the least sure clips get no answer."""
    probabilities = [row["probabilities"] for row in rows]
    confidence = np.array([max(shares.values()) for shares in probabilities])
    wrong = [max(shares, key=shares.get) != row["truth"] for shares, row in zip(probabilities, rows, strict=True)]
    curve = risks(confidence, np.array(wrong, dtype=np.float64))
    cells = [f"{100 * curve[max(1, round(coverage * len(curve))) - 1]:.1f}" for coverage in COVERAGES]
    heads = [f"errors at {100 * coverage:.0f} % answered" for coverage in COVERAGES]
    lines = [f"| {' | '.join([*heads, 'AURC'])} |", f"| {' | '.join(['---:'] * (len(COVERAGES) + 1))} |"]
    lines.append(f"| {' | '.join([*cells, f'{100 * curve.mean():.1f}'])} |")
    return "\n".join(lines) + (
        "\n\n×100, over all test clips together, those of the highest probability answered first; AURC: the area under "
        "the risk-coverage curve. `affetto predict --abstain-below P` names no emotion where the probability is lower."
    )
