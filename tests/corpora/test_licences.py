"""Licences of corpora: what they allow, by their own name or by the record."""

from __future__ import annotations

import pytest

from affetto.corpora.licences import allows_commercial_use
from affetto.corpora.registry import CORPORA

FORBIDDING = {"aesdd", "cafe", "demos", "emovdb", "emovo", "enterface", "esd", "iemocap", "msppodcast", "nemo"} | {
    "ravdess",
    "savee",
    "tess",
    "urdu",
}
ALLOWING = {"ai4ser", "cremad", "emozionalmente", "jl", "mesd", "subesco"}


@pytest.mark.parametrize("name", [name for name, corpus in CORPORA.items() if corpus.licence])
def test_each_corpus_forbids_allows_or_leaves_it_open(name: str) -> None:
    expected = False if name in FORBIDDING else True if name in ALLOWING else None
    assert allows_commercial_use(CORPORA[name].licence) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CC0-1.0", True),
        ("CC-BY-SA-4.0", True),
        ("CC BY-NC-ND 4.0", False),
        ("cc by-nc 2.0", False),
        ("public domain", True),
        ("CC BY 4.0, but ask first", None),
        ("CC BY-NC", False),
        ("mine", None),
        ("", None),
    ],
)
def test_a_standard_licence_is_known_by_its_whole_name(text: str, expected: bool | None) -> None:
    assert allows_commercial_use(text) is expected
