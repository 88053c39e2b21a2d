"""Claims of the paper, as lists of statements that can be tested.

A statement says that one cell (backbone and method) has a higher F1 over the three corpora than another, or at least as
high a one. `judging` tests them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from affetto.backbones.catalogue import BACKBONES
from affetto.reporting.papers.dasaro2024.numbers import TABLE_I, TABLE_III

ABOVE, AT_LEAST = "above", "at least"

Cell = tuple[str, str]
"""Backbone key and method."""

KEYS = {
    scenario: [key for key, backbone in BACKBONES.items() if backbone.scenario == scenario] for scenario in ("A", "B")
}
ENGLISH = [row.keys[0] for row in TABLE_I if row.english_only]
MULTILINGUAL = [row.keys[0] for row in TABLE_I if not row.english_only]
SPECIALISED = [row.keys[1] for row in TABLE_I if len(row.keys) > 1 and not row.english_only]
PAIRS = [row.keys for row in TABLE_I if len(row.keys) > 1]
LARGE, WAVLM, XLSR = "wav2vec2-large", "wavlm-base-plus", "xlsr-53"

MARGIN = max(TABLE_III[key, "frozen"].deviation or 0.0 for key in KEYS["A"]) / 100
"""Largest difference that still counts as "comparable": 1.97 points of macro F1, the largest standard deviation over
seeds that the paper prints for a frozen backbone of scenario A. The paper names no margin."""


@dataclass(frozen=True)
class Statement:
    """Comparison of two cells; `kind` says that the first is `above` the second, or `at least` as high."""

    first: Cell
    second: Cell
    kind: str = ABOVE

    @property
    def published(self) -> float:
        """Difference in the paper's Table III, as a fraction."""
        return (TABLE_III[self.first].mean - TABLE_III[self.second].mean) / 100


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Sentence of the paper with the statements that it consists of."""

    key: str
    words: str
    source: str
    """Sections of the paper."""
    statements: tuple[Statement, ...]


def title(cell: Cell) -> str:
    """Title of a cell.

    >>> title(("xlsr-53-it", "lora"))
    'XLSR-53 (B), lora'
    """
    return f"{BACKBONES[cell[0]].title} ({BACKBONES[cell[0]].scenario}), {cell[1]}"


def _compare_methods(keys: Sequence[str], first: str, second: str) -> tuple[Statement, ...]:
    """Statements that one method is above another, on each backbone."""
    return tuple(Statement((key, first), (key, second)) for key in keys)


def _compare_backbones(
    firsts: Sequence[str], seconds: Sequence[str], methods: Sequence[str], kind: str
) -> tuple[Statement, ...]:
    """Statements on each pair of two different backbones, with each method."""
    return tuple(
        Statement((first, method), (second, method), kind)
        for method in methods
        for first in firsts
        for second in seconds
        if first != second
    )


CLAIMS = (
    Claim(
        key="lora-above-frozen",
        words="LoRA gives a higher F1 than the frozen backbone, for every backbone of scenario A.",
        source="abstract, IV-C2, V",
        statements=_compare_methods(KEYS["A"], "lora", "frozen"),
    ),
    Claim(
        key="adapter-below-frozen",
        words=(
            "The Adapter gives a lower F1 than the frozen backbone, but for WavLM Base+, where it gives a higher one."
        ),
        source="IV-C2",
        statements=(
            *_compare_methods([key for key in (*KEYS["A"], *KEYS["B"]) if key != WAVLM], "frozen", "adapter"),
            Statement((WAVLM, "adapter"), (WAVLM, "frozen")),
        ),
    ),
    Claim(
        key="english-at-least-multilingual",
        words="English-only backbones are at least as good as the multilingual ones.",
        source="abstract, IV-C1, IV-C2, V",
        statements=_compare_backbones(ENGLISH, MULTILINGUAL, ("frozen", "lora"), AT_LEAST),
    ),
    Claim(
        key="english-at-least-specialised",
        words="English-only backbones are at least as good as the multilingual ones that were specialised in Italian.",
        source="abstract, IV-C1",
        statements=_compare_backbones(ENGLISH, SPECIALISED, ("frozen", "lora"), AT_LEAST),
    ),
    Claim(
        key="b-below-a",
        words="Specialisation in Italian (scenario B) lowers F1, but for XLSR-53, where it raises it.",
        source="IV-C1, IV-C2",
        statements=tuple(
            Statement((first, method), (second, method))
            for method in ("frozen", "lora")
            for first, second in (pair[::-1] if pair[0] == XLSR else pair for pair in PAIRS)
        ),
    ),
    Claim(
        key="lora-below-frozen-in-b",
        words="In scenario B LoRA gives a lower F1 than the frozen backbone.",
        source="IV-C2",
        statements=_compare_methods(KEYS["B"], "frozen", "lora"),
    ),
    Claim(
        key="large-first",
        words="Wav2Vec 2.0 Large is the best backbone of scenario A, frozen and with LoRA.",
        source="IV-C1, IV-C2, V",
        statements=_compare_backbones([LARGE], KEYS["A"], ("frozen", "lora"), ABOVE),
    ),
)
