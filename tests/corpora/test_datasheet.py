"""Data sheet of corpora: answers from the records and the clips, and what is unknown is said to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.corpora.annotations import Rating
from affetto.corpora.datasheet import UNKNOWN, datasheet
from affetto.corpora.manifest import Clip, Manifest, merge
from affetto.corpora.registry import CORPORA


def manifest(name: str, key: str, count: int, **facts: object) -> Manifest:
    clips = tuple(
        Clip(
            file=f"{n}.wav",
            emotion=("joy", "anger")[n % 2],
            speaker=f"s{n % 3}",
            gender="female" if n % 3 else None,
            corpus=name,
            ratings=(Rating(rater="r", labels=("joy",)),) if key == "table" else (),
        )
        for n in range(count)
    )
    return Manifest(corpus=name, root=Path("/secret"), clips=clips, key=key, **facts)  # type: ignore[arg-type]


def test_each_corpus_has_a_sheet_of_its_own_clips() -> None:
    both = merge([manifest("emovo", "emovo", 7, licence=CORPORA["emovo"].licence), manifest("mine", "table", 4)])
    text = datasheet(
        [(both, "trained and tested on"), (manifest("nemo", "nemo", 5, synthetic=True), "in training alone")]
    )
    emovo, mine, nemo = text.split("\n## ")[1:]
    assert emovo.startswith("EMOVO (`emovo`)") and "7 recordings of speech, trained and tested on." in emovo
    assert "Labels: joy 4, anger 3." in emovo and "3 speakers (2 female, 1 of unknown gender)" in emovo
    assert "Acted. Actors say fourteen sentences" in emovo and "LREC 2014" in emovo and "Italian" in emovo
    assert "Commercial use: not allowed." in emovo
    assert mine.startswith("mine\n") and "4 recordings" in mine and "4 answers by 1 raters on 4 clips" in mine
    assert "Licence: not known. Commercial use: not known. Source: not known." in mine
    assert mine.count(UNKNOWN) == 4
    assert "in training alone" in nemo and "Synthetic speech of affetto" in nemo
    assert "/secret" not in text


@pytest.mark.parametrize("name", [name for name, corpus in CORPORA.items() if not corpus.is_format])
def test_each_published_corpus_says_how_it_came_about(name: str) -> None:
    corpus = CORPORA[name]
    assert corpus.speech in ("acted", "elicited", "natural") and corpus.collection.endswith(".")
