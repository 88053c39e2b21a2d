"""The section of a model card on answers that are better not given."""

from __future__ import annotations

import numpy as np

from affetto.export.abstention import abstention_section
from affetto.models.novelty import Novelty


def novelty(held_out: int) -> Novelty:
    empty = np.zeros(0)
    return Novelty(
        centre=empty,
        scale=empty,
        means=empty,
        directions=empty,
        variances=empty,
        rest=empty,
        held_out=np.arange(held_out, dtype=np.float64),
    )


def test_errors_are_of_the_surest_clips() -> None:
    shares = (0.9, 0.8, 0.7, 0.6)
    rows = [
        {"truth": "joy" if number < 2 else "anger", "probabilities": {"joy": share, "anger": 1 - share}}
        for number, share in enumerate(shares)
    ]
    text = abstention_section(rows, None)
    # All four clips, the surest three and two: 2, 1 and 0 errors. The area: the mean of 0, 0, 1/3, 1/2.
    assert "| 50.0 | 33.3 | 0.0 | 20.8 |" in text
    assert "refuse-novel" not in text and "--require-speech 0.5`" in text


def test_a_share_of_the_clips_is_rounded() -> None:
    """Of seven clips, 80 and 50 per cent are six and four."""
    rows = [
        {"truth": truth, "probabilities": {"joy": 0.95 - number / 20, "anger": 0.05 + number / 20}}
        for number, truth in enumerate(("joy", "joy", "joy", "anger", "joy", "anger", "anger"))
    ]
    assert "| 42.9 | 33.3 | 25.0 | 17.3 |" in abstention_section(rows, None)


def test_a_model_of_few_held_out_clips_refuses_what_is_further_than_all_of_them() -> None:
    assert "--refuse-novel 0.99`" in abstention_section((), novelty(588))
    text = abstention_section((), novelty(28))
    assert "--refuse-novel 0.965`" in text and "28 clips of held-out speakers" in text and "AURC" not in text
    novelty(28).check_share(0.965)
