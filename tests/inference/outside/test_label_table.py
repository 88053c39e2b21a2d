"""The table from an outside model's labels to those of its answers."""

from __future__ import annotations

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.inference.outside.label_table import label_table, softmax


def test_labels_are_the_usual_ones_in_canonical_order() -> None:
    table = label_table(["sad", "Angry", "开心/happy", "<|NEUTRAL|>", "其他/other"])
    assert table.labels == ("anger", "joy", "neutrality", "sadness", "其他/other")
    assert table.columns == [[1], [2], [3], [0], [4]]
    assert table.unmapped == ("其他/other",) and not table.dropped
    assert str(table).endswith("as they are, since no emotion has their name: 其他/other")


def test_the_users_map_comes_first_and_is_checked() -> None:
    table = label_table(
        ["male_sad", "female_sad", "calm", "happy"], {"MALE_SAD": "sad", "female_sad": "tri", "calm": ""}
    )
    assert table.labels == ("joy", "sadness") and table.columns == [[3], [0, 1]] and table.dropped == ("calm",)
    assert str(table) == "male_sad → sadness, female_sad → sadness, happy → joy; left out: calm"
    assert label_table(["calm", "joy"], {"calm": "drop"}).dropped == ("calm",)
    with pytest.raises(UserError, match=r"--map: 'angr': did you mean 'angry'"):
        label_table(["angry", "happy"], {"angr": "anger"})
    with pytest.raises(UserError, match="leaves no label"):
        label_table(["angry"], {"angry": ""})


def test_outputs_that_are_left_out_do_not_count_and_sums_are_of_one_label() -> None:
    # e^0 + e^1 = 3.718 of joy, e^2 = 7.389 of anger, and 1000 counts for nothing.
    values = softmax(np.array([[0.0, 1.0, 2.0, 1000.0]]), [[2], [0, 1]])
    assert values == pytest.approx(np.array([[7.389056, 3.718282]]) / 11.107338)
    assert softmax(np.array([[-1000.0, -1001.0, 0.0]]), [[0], [1]]) == pytest.approx(
        np.array([[1, np.exp(-1)]]) / (1 + np.exp(-1))
    )
