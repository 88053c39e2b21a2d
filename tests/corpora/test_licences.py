"""Licences of corpora: what they allow, by their own name or by the record."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.corpora.licences import allows_commercial_use
from affetto.corpora.registry import CORPORA, open_corpus

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


def test_a_collection_of_ones_own_states_its_licence_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text("file,emotion,speaker\na.wav,joy,anna\n", encoding="utf-8")
    table = tmp_path / "clips.csv"
    assert open_corpus(None, table).licence == ""
    (tmp_path / "licence.txt").write_text(f"\n  CC BY 4.0 \n{'more ' * 100}", encoding="utf-8")
    licence = open_corpus(None, table).licence
    assert licence == "CC BY 4.0" and allows_commercial_use(licence)
    (tmp_path / "conversion.json").write_text('{"licence": "CC BY-NC 4.0"}', encoding="utf-8")
    assert open_corpus(None, table).licence == "CC BY 4.0", "the file is the later word"
    (tmp_path / "licence.txt").write_bytes(b"\xff")
    assert open_corpus(None, table).licence == "CC BY-NC 4.0"
