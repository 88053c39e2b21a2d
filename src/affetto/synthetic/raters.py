"""Invented raters: how they confuse the emotions, and what they say of arousal, valence and dominance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from affetto.corpora.labels import EMOTIONS

if TYPE_CHECKING:
    import numpy as np

RATED_PERCENT = (
    (68, 4, 2, 4, 13, 2, 7),
    (8, 53, 4, 3, 11, 15, 6),
    (2, 4, 54, 3, 7, 22, 8),
    (5, 1, 2, 65, 9, 2, 16),
    (3, 2, 1, 2, 83, 6, 3),
    (1, 6, 7, 1, 11, 72, 2),
    (5, 2, 4, 10, 7, 2, 70),
)
"""Per cent of ratings: rows as intended, columns as rated, both in the order of EMOTIONS. They are the answers of
Emozionalmente's human raters (Catania, Wilke & Garzotto, IEEE TASLP 2025), rounded."""
CONCENTRATION = 6
"""Raters of one clip agree more than the table says: a clip is good, or misleads them all in one way."""
CENTRES = {
    "anger": (0.59, -0.51, 0.25),
    "disgust": (0.35, -0.60, 0.11),
    "fear": (0.60, -0.64, -0.43),
    "joy": (0.48, 0.76, 0.35),
    "neutrality": (0.0, 0.0, 0.0),
    "sadness": (-0.27, -0.63, -0.33),
    "surprise": (0.67, 0.40, -0.13),
}
"""Arousal, valence (pleasure) and dominance of each emotion, from -1 to 1: Russell & Mehrabian, "Evidence for a
three-factor theory of emotions", Journal of Research in Personality 1977. Neutrality is the middle of the scales."""
CLIP_SD, RATER_SD, ANSWER_SD = 0.1, 0.1, 0.2
"""Standard deviations around a centre: of the clip, of the rater's habit, and of the single answer."""


def draw_chances(random: np.random.Generator, emotion: str) -> np.ndarray:
    """Chance of each of EMOTIONS to be named by a rater of one clip of this emotion: (7,)."""
    return random.dirichlet([CONCENTRATION * percent / 100 for percent in RATED_PERCENT[EMOTIONS.index(emotion)]])


def draw_dimensions(random: np.random.Generator, emotion: str, habits: np.ndarray) -> np.ndarray:
    """Arousal, valence and dominance of one clip by raters with these habits (raters, 3): (raters, 3), from -1 to 1."""
    middle = CENTRES[emotion] + random.normal(0, CLIP_SD, 3)
    return (middle + habits + random.normal(0, ANSWER_SD, habits.shape)).clip(-1, 1).round(2)
