"""The transcription against the text's own arithmetic and against what its sentences say of the tables."""

from __future__ import annotations

import statistics

import pytest

from affetto.backbones.catalogue import BACKBONES
from affetto.reporting.papers.dasaro2024.numbers import (
    CORPORA,
    FIGURE_4,
    METHODS,
    TABLE_I,
    TABLE_II,
    TABLE_II_FOOTNOTES,
    TABLE_II_SPEAKERS,
    TABLE_II_TOTALS,
    TABLE_III,
    published,
    row_of,
)

A = [key for key, one in BACKBONES.items() if one.scenario == "A"]
B = [key for key, one in BACKBONES.items() if one.scenario == "B"]


def mean(key: str, method: str = "frozen") -> float:
    return TABLE_III[key, method].mean


def test_table_ii_adds_up_to_its_totals_and_to_what_the_text_says():
    assert {corpus: sum(row.values()) for corpus, row in TABLE_II.items()} == TABLE_II_TOTALS
    assert TABLE_II_TOTALS["demos"] + 1129 == 9697
    assert TABLE_II_TOTALS["emovo"] == 6 * 14 * 7
    assert TABLE_II_SPEAKERS == {"emovo": 3 + 3, "emozionalmente": 131 + 299 + 1, "demos": 23 + 45}
    assert list(TABLE_II) == list(TABLE_II_FOOTNOTES) == list(CORPORA)


def test_table_iii_has_every_backbone_and_method():
    assert set(TABLE_III) == {(key, method) for key in A + B for method in METHODS}
    assert len(TABLE_III) * len(CORPORA) == 72
    assert all(cell.deviation and cell.deviation > 0 for cell in TABLE_III.values())


def test_the_text_s_order_of_frozen_backbones_is_the_table_s():
    told = [("wav2vec2-large", 68.50), ("wav2vec2-base", 67.61), ("whisper-small", 65.07), ("wavlm-base-plus", 64.92)]
    assert [(key, mean(key)) for key in sorted(A, key=mean, reverse=True)] == [*told, ("xlsr-53", 40.44)]


def test_the_text_s_changes_from_a_to_b_are_the_table_s():
    told = {"xlsr-53": (40.44, 46.87), "whisper-small": (65.07, 62.41), "wav2vec2-large": (68.50, 34.40)}
    assert {key: (mean(key), mean(f"{key}-it")) for key in told} == told


def test_the_text_s_sentences_on_peft_hold_in_the_table():
    better = {key for key in A + B if mean(key, "adapter") > mean(key)}
    assert better == {"wavlm-base-plus"}
    assert all(mean(key, "lora") > mean(key) for key in A)
    assert all(mean(key, "lora") < mean(key) for key in B)
    assert (mean("whisper-small", "lora"), mean("whisper-small-it", "lora")) == (68.91, 55.45)
    assert max(TABLE_III, key=lambda cell: TABLE_III[cell].mean) == ("wav2vec2-large", "lora")
    assert {key for key in A if f"{key}-it" in B and mean(key, "lora") < mean(f"{key}-it", "lora")} == {"xlsr-53"}


def test_figure_4_s_three_values_can_be_the_best_of_their_corpora():
    assert len(FIGURE_4) == 3 and {corpus for _, corpus in FIGURE_4} == set(CORPORA)
    # No backbone's mean over the corpora is above the mean of the corpora's best.
    best = statistics.fmean(cell.mean for cell in FIGURE_4.values())
    assert best == pytest.approx(69.3967, abs=1e-4) and all(mean(key) < best for key in A)
    # What is left of a mean for the other two corpora is no more than the best there.
    for (key, corpus), cell in FIGURE_4.items():
        rest = 3 * mean(key) - cell.mean
        assert rest <= sum(other.mean for (_, one), other in FIGURE_4.items() if one != corpus)


def test_only_what_is_printed_is_published():
    assert published("wav2vec2-large", "frozen", "emovo").mean == 48.84
    assert published("wav2vec2-large", "lora", "emovo") is None
    assert published("wav2vec2-large", "frozen", "demos") is None
    assert published("openai/whisper-tiny.en", "lora") is None and published(None, "lora") is None
    assert published("xlsr-53", "probe") is None


def test_table_i_names_the_keys_and_their_scenarios():
    assert [key for row in TABLE_I for key in row.keys[:1]] == A
    assert [key for row in TABLE_I for key in row.keys[1:]] == B
    assert all(BACKBONES[key].title == row.title for row in TABLE_I for key in row.keys)
    assert row_of("xlsr-53-it").parameters == "317M" and row_of("wav2vec2-mini") is None
    # Where the footnote says that the printed number is of another class, that class rounds to it.
    assert [f"{n / 1e6:.2f}M" for n in (95_044_608, 88_154_112)] == ["95.04M", "88.15M"]
    assert {f"{n / 1e6:.0f}M" for n in (317_380_864, 317_390_592)} == {"317M"}
