"""Adaptation to one speaker: the statistics head's standardisation, moved towards that speaker's own clips.

A statistics head standardises a clip's features by the mean and deviation of the training clips. Much of what sets two
speakers apart is where their features lie, whatever they feel; some unlabelled clips tell where that is. The fewer
they are, the more the training clips still count. This is the maximum-a-posteriori adaptation of speaker recognition
(Reynolds et al., 2000) applied to standardisation. It takes all of the given clips as the speaker's ordinary mix of
emotions: where they are of one emotion, it takes that emotion for the speaker.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from affetto.errors import UserError
from affetto.models.head_layers import StatisticsHead

CENTRE_DOUBT, SCALE_DOUBT = 3.0, 10.0
"""The training clips' mean counts as so many clips of the speaker, their variance as so many degrees of freedom.
Informed by EMOVO: inside each of its folds, speakers other than the test speaker choose the first
(docs/results/speaker-calibration.md)."""


def weights_of(clips: int) -> tuple[float, float]:
    """Weights of `clips` of a speaker in the mean and in the variance, each between 0 and 1."""
    return clips / (clips + CENTRE_DOUBT), (clips - 1) / (clips - 1 + SCALE_DOUBT)


def adapt_head(head: StatisticsHead, clips: np.ndarray) -> StatisticsHead:
    """Copy `head` for the speaker of these clips, (clips, 2 width), at least one."""
    rows = torch.as_tensor(clips, dtype=head.centre.dtype, device=head.centre.device)
    return head.shifted(rows, *weights_of(len(rows)))


def stack_statistics(clips: Iterable[Any]) -> np.ndarray:
    """Stack recordings that went through a `Predictor`: a row each, the mean over its windows, (clips, 2 width).

    Raises UserError where there are none, or some cannot be used.
    """
    rows, problems = [], []
    for clip in clips:
        if clip.problem is None:
            rows.append(clip.mean)
        else:
            problems.append(str(clip.problem))
    if problems:
        raise UserError(
            f"{len(problems)} of {len(rows) + len(problems)} clips to adapt by cannot be used; remove them, "
            f"or mend them; the first: {problems[0]}"
        )
    if not rows:
        raise UserError("no clips to adapt by: give at least one of the speaker's")
    return np.stack(rows)
