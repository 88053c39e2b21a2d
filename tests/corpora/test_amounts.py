"""Numbers in sentences."""

from __future__ import annotations

import pytest

from affetto.corpora.amounts import amount, verb


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(0, "0 copies have"), (1, "1 copy has"), (2, "2 copies have"), (1204, "1,204 copies have")],
)
def test_nouns_and_verbs_agree_with_their_number(number: int, sentence: str) -> None:
    assert f"{amount(number, 'copy', 'copies')} {verb(number, 'have')}" == sentence


def test_regular_words_take_an_s() -> None:
    assert [amount(number, "clip") for number in (1, 2)] == ["1 clip", "2 clips"]
    assert [verb(number, "list") for number in (1, 2)] == ["lists", "list"]
    assert [verb(1, plural) for plural in ("are", "do", "were")] == ["is", "does", "was"]
