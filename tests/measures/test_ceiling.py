"""Each rater against the others: by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from affetto.corpora.annotation_facts import annotation_facts, annotation_table
from affetto.corpora.annotations import Range, Rating
from affetto.corpora.manifest import Clip, Manifest
from affetto.measures.ceiling import ceiling_table, human_ceiling


def rated(*answers: str | float) -> tuple[Rating, ...]:
    return tuple(
        Rating(f"r{number}", (answer,)) if isinstance(answer, str) else Rating(f"r{number}", (), (("arousal", answer),))
        for number, answer in enumerate(answers)
    )


def manifest(*ratings: tuple[Rating, ...], **settings: object) -> Manifest:
    clips = (Clip(f"{number}.wav", "joy", "s", ratings=answers) for number, answers in enumerate(ratings))
    return Manifest("a", Path("/x"), tuple(clips), **settings)  # type: ignore[arg-type]


def text(table: object) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


def test_a_rater_s_label_is_compared_with_the_majority_of_the_others() -> None:
    # Others of joy, joy, anger: (joy, anger → tie: anger), the same, (joy, joy → joy); of fear, fear: fear each.
    corpus = manifest(rated("joy", "joy", "anger"), rated("fear", "fear"), rated("sadness"))
    ceiling = human_ceiling(corpus)
    assert ceiling is not None and ceiling["dimensions"] == {}
    # Truth anger, anger, joy, fear, fear; called joy, joy, anger, fear, fear.
    assert ceiling["labels"] == {"macro_f1": pytest.approx(1 / 3), "uar": pytest.approx(1 / 3), "n": 5}
    assert "33.3" in text(ceiling_table(corpus))


def test_a_rater_s_number_is_compared_with_the_mean_of_the_others() -> None:
    ceiling = human_ceiling(manifest(rated(0.0, 1.0, 0.5), rated(0.25)))
    # Values 0, 1, 0.5 against 0.75, 0.25, 0.5: means 0.5, variances 1/6 and 1/24, covariance -1/12.
    assert ceiling == {
        "labels": None,
        "dimensions": {"arousal": {"ccc": pytest.approx(2 * (-1 / 12) / (1 / 6 + 1 / 24)), "n": 3}},
    }


def test_clips_of_one_rating_have_no_ceiling() -> None:
    assert human_ceiling(manifest(rated("joy"), ())) is None and ceiling_table(manifest(rated("joy"))) is None


def test_facts_of_annotations_are_counted() -> None:
    clips = (
        Clip("a.wav", "joy", "s", ratings=rated("joy", "fear"), dimensions=(("arousal", 2.0),)),
        Clip("b.wav", "joy", "s", labels=("joy", "fear"), dimensions=(("arousal", 4.0),)),
    )
    corpus = Manifest("a", Path("/x"), clips, dimensions={"arousal": Range(1, 5)})
    assert annotation_facts(corpus) == {
        "ratings": 2,
        "rated_clips": 1,
        "ratings_per_clip": {"mean": 2.0, "min": 2, "max": 2},
        "raters": 2,
        "clips_with_several_labels": 1,
        "dimensions": {"arousal": {"clips": 2, "mean": 3.0, "sd": 1.0, "low": 1, "high": 5}},
    }
    shown = text(annotation_table(corpus))
    assert "2 of 1 clips by 2 raters, 2.00 a clip (2 to 2)" in shown
    assert "3.000 ± 1.000 over 2 clips, range 1 to 5" in shown
    assert annotation_facts(manifest(())) is None and annotation_table(manifest(())) is None
