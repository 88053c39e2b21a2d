"""wav2vec 2.0's masks and distractors (Baevski et al. 2020, 3.1, 3.2, 4.1), on cases worked out by hand."""

from __future__ import annotations

import numpy as np

from affetto.specialize.masking import draw_mask, draw_negatives, spans


def test_spans_overlap_and_end_with_the_clip() -> None:
    assert np.flatnonzero(spans(np.array([2, 5]), 12, 4)).tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert np.flatnonzero(spans(np.array([10]), 12, 4)).tolist() == [10, 11]


def test_half_of_the_frames_are_masked_in_spans_of_ten_or_more() -> None:
    masks = [draw_mask(np.random.default_rng(seed), 1500, 0.065, 10) for seed in range(40)]
    # Paper, 4.1: "approximately 49% of all time steps to be masked with a mean span length of 14.7".
    assert abs(np.mean([mask.mean() for mask in masks]) - 0.489) < 0.01
    lengths = [run for mask in masks for run in runs(mask)]
    assert abs(np.mean(lengths) - 14.7) < 0.5
    inner = [run for mask in masks for run in runs(mask[: np.flatnonzero(~mask)[-1] + 1])]
    assert min(inner) == 10


def test_the_number_of_starts_has_the_right_mean() -> None:
    # 30 frames × 0.065 = 1.95 starts; with spans of one frame the masked frames are the starts (two at least).
    counts = [draw_mask(np.random.default_rng(seed), 300, 0.065, 1).sum() for seed in range(400)]
    assert set(counts) == {19, 20} and abs(np.mean(counts) - 19.5) < 0.1


def test_short_clips_keep_something_to_predict_and_something_to_see() -> None:
    for seed in range(200):
        mask = draw_mask(np.random.default_rng(seed), 12, 0.065, 10)
        assert 2 <= mask.sum() < 12


def test_distractors_are_other_masked_frames_of_the_clip_drawn_evenly() -> None:
    mask = np.array([0, 1, 0, 1, 1, 0, 0, 1], bool)
    negatives = draw_negatives(np.random.default_rng(0), mask, 3000)
    for frame in (1, 3, 4, 7):
        others = {1, 3, 4, 7} - {frame}
        found, counts = np.unique(negatives[frame], return_counts=True)
        assert set(found) == others
        assert np.all(np.abs(counts - 1000) < 120)
    assert not negatives[~mask].any()


def test_they_depend_on_the_generator_alone() -> None:
    first, again = (draw_mask(np.random.default_rng(7), 90, 0.065, 10) for _ in range(2))
    assert (first == again).all()


def runs(mask: np.ndarray) -> list[int]:
    """Lengths of the stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return (edges[1::2] - edges[::2]).tolist()
