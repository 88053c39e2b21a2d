"""Ratings in a cell as a JSON list."""

from __future__ import annotations

import pytest

from affetto.corpora.annotations import Rating
from affetto.corpora.formats.label_rules import LabelRules
from affetto.corpora.formats.listed_ratings import listed_ratings
from affetto.errors import UserError


def test_raters_labels_and_numbers() -> None:
    cell = '[{"rater": 7, "labels": ["happy", "gio", "bored"], "valence": 2, "arousal": 0.5}, {"labels": ["bored"]}]'
    read = LabelRules({"bored": "drop"}).reader()
    assert listed_ratings(cell, "here", read) == (Rating("7", ("joy",), (("arousal", 0.5), ("valence", 2.0))),)


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ('[{"labels": ["joy"]', "the ratings are no JSON"),
        ("[]", "must be a list of 1 to 10,000"),
        ("[3]", "the rating '3' is no object"),
        ('[{"labels": "joy"}]', "the labels of a rating must be a list"),
        ('[{"labels": [3]}]', "the labels of a rating must be a list"),
        ('[{"arousal": "high"}]', "arousal of a rating must be a number"),
        ('[{"arousal": true}]', "arousal of a rating must be a number"),
        ('[{"arousal": NaN}]', "arousal of a rating must be a number"),
        ('[{"labels": ["joyy"]}]', "unknown emotion 'joyy' in clips line 3"),
    ],
)
def test_a_mistake_is_named_with_its_place(cell: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as raised:
        listed_ratings(cell, "clips line 3", LabelRules().reader())
    assert "clips line 3" in str(raised.value)


def test_labels_come_from_the_map_the_codes_or_stay_open() -> None:
    rules = LabelRules({"a": "sadness"}, codes={"a": "Angry", "b": "Boredom"}, are_open=True)
    read = rules.reader()
    assert [read(label, "x") for label in ("a", "B", "zeal", "gio")] == ["sadness", "boredom", "zeal", "joy"]
    assert LabelRules(codes={"a": "Angry"}).reader()("A", "x") == "anger"
    with pytest.raises(UserError, match="unknown emotion 'boredom'"):
        LabelRules(codes={"b": "Boredom"}).reader()("b", "x")
