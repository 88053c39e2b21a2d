"""Annotations beyond one label: votes, shares and majorities, and what a manifest makes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from affetto.corpora.annotations import Range, Rating, majority, mean_dimensions, shares, votes
from affetto.corpora.manifest import Clip, Manifest, merge

RATINGS = (
    Rating("a", ("joy",), (("arousal", 1.0),)),
    Rating("b", ("joy", "anger"), (("arousal", 0.0), ("valence", 0.5))),
    Rating("c", ("fear",)),
)


def test_a_rater_with_two_labels_gives_half_a_vote_to_each() -> None:
    assert votes(RATINGS) == {"anger": 0.5, "fear": 1.0, "joy": 1.5}
    assert shares(RATINGS, ["joy", "anger", "fear", "sadness"]).tolist() == pytest.approx([0.5, 1 / 6, 1 / 3, 0])
    assert shares(RATINGS, ["joy", "anger"]).tolist() == [0.75, 0.25]
    with pytest.raises(ValueError, match="no rating names one of sadness"):
        shares(RATINGS, ["sadness"])


def test_the_majority_is_the_first_in_canonical_order_on_a_tie() -> None:
    assert majority(RATINGS) == ("joy", False)
    assert majority([Rating("a", ("joy",)), Rating("b", ("fear",))]) == ("fear", True)
    # Thirds do not add up to 1 exactly; they are a tie all the same.
    thirds = [Rating(name, ("joy", "fear", "sadness")) for name in "abc"]
    assert majority([*thirds, Rating("d", ("anger",))]) == ("anger", True)
    assert majority([Rating("a", (), (("arousal", 1.0),))]) == ("", False)


def test_the_mean_of_a_dimension_is_over_the_raters_who_gave_it() -> None:
    assert mean_dimensions(RATINGS) == (("arousal", 0.5), ("valence", 0.5))


def manifest(name: str, *clips: Clip, **ranges: Range) -> Manifest:
    return Manifest(name, Path("/x"), clips, dimensions=ranges)


def test_annotations_change_no_checksum_of_results_on_one_label() -> None:
    plain = manifest("a", Clip("a.wav", "joy", "s"))
    annotated = manifest("a", replace(plain.clips[0], ratings=RATINGS, dimensions=(("arousal", 0.5),)))
    assert annotated.checksum() == plain.checksum() == plain.checksum(with_annotations=True)
    changed = manifest("a", replace(annotated.clips[0], dimensions=(("arousal", 0.6),)))
    sums = {variant.checksum(with_annotations=True) for variant in (plain, annotated, changed)}
    assert len(sums) == 3


def test_clips_with_dimensions_alone_have_no_label() -> None:
    clips = (Clip("a.wav", "", "s", dimensions=(("arousal", 0.5),)), Clip("b.wav", "joy", "s"))
    assert manifest("a", *clips).labels == ("joy",)
    assert sum(manifest("a", *clips).per_emotion().values()) == 1


def test_merged_corpora_have_the_dimensions_that_all_have_with_one_range() -> None:
    first = manifest("a", Clip("a.wav", "joy", "s"), arousal=Range(1, 5), valence=Range(1, 5))
    second = manifest(
        "b", Clip("a.wav", "joy", "s", dimensions=(("valence", 2.0),)), arousal=Range(1, 5), valence=Range(1, 7)
    )
    both = merge([first, second])
    assert both.dimensions == {"arousal": Range(1, 5)}
    assert both.clips[1].dimensions == (("valence", 2.0),)
