"""Sets of labels: limits by hand, and the share of clips that they hold, of speakers that had no part in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.targets.classes import Classes
from affetto.targets.label_sets import ALL, KINDS, LEVEL, LEVELS, Clips, LabelSets, fit_sets, limit, measure_sets
from affetto.targets.multilabel import Multilabel

LABELS = ("anger", "fear", "joy", "sadness")
ROW = np.array([[0.5, 0.1, 0.3, 0.1]])


def rows(clips: int, speakers: int, seed: int = 0, labels: tuple[str, ...] = LABELS) -> list[dict[str, Any]]:
    """Exchangeable predictions: labels drawn by the probabilities, of which the first is the most frequent."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 1.2, (clips, len(labels))) + np.linspace(1, 0, len(labels))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    true = (probabilities.cumsum(1) > generator.random((clips, 1))).argmax(1)
    return [
        {"speaker": f"s{n % speakers}", "truth": labels[t], "probabilities": dict(zip(labels, row, strict=True))}
        for n, (t, row) in enumerate(zip(true, probabilities, strict=True))
    ]


def folds(clips: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Two folds that test one half of the clips each."""
    return [{"validation": [], "test": clips[::2]}, {"validation": [], "test": clips[1::2]}]


def test_scores_by_hand() -> None:
    assert KINDS["lac"].scores(ROW)[0] == pytest.approx([0.5, 0.9, 0.7, 0.9])
    # The probability of likelier labels, and half of the label's own; of equal labels the first is the likelier.
    assert KINDS["aps"].scores(ROW)[0] == pytest.approx([0.25, 0.85, 0.65, 0.95])


def test_limits_by_hand() -> None:
    scores = np.array([0.3, 0.1, 0.2, 0.4])
    assert [limit(scores, level) for level in (0.2, 0.5, 0.6, 0.8, 0.9)] == [0.1, 0.3, 0.3, 0.4, ALL]
    assert limit(np.array([]), 0.5) == ALL


def test_a_set_has_the_labels_within_the_limits_and_always_the_most_probable() -> None:
    limits = {"lac": [0.4, 0.7], "lac-by-class": {label: [0.0, 0.9] for label in LABELS} | {"joy": [0.7, 0.6]}}
    facts = {"sets": {"levels": [0.5, 0.9], "limits": limits}}
    sets = {(name, level): LabelSets.of(facts, LABELS, level, name) for name in limits for level in (0.5, 0.9)}
    assert sets["lac", 0.5].of_clip(ROW[0]) == ("anger",)
    assert sets["lac", 0.9].of_clip(ROW[0]) == ("anger", "joy")
    assert sets["lac-by-class", 0.5].of_clip(ROW[0]) == ("anger", "joy")
    assert sets["lac-by-class", 0.9].of_clip(ROW[0]) == ("anger", "fear", "sadness")
    with pytest.raises(UserError, match=r"a coverage of 0.8: this model has sets for 0.5, 0.9"):
        LabelSets.of(facts, LABELS, 0.8)
    with pytest.raises(UserError, match=r"unknown kind of sets 'lack'"):
        LabelSets.of(facts, LABELS, 0.9, "lack")
    with pytest.raises(UserError, match="this model has no sets of labels"):
        LabelSets.of({"temperature": 1.0}, LABELS, 0.9)


@pytest.mark.parametrize("name", KINDS)
def test_sets_hold_the_promised_share_of_exchangeable_clips(name: str) -> None:
    facts = fit_sets(folds(rows(6000, 40)), LABELS)
    measured = facts["sets"]["measured"]["kinds"][name]
    assert measured["coverage"] == pytest.approx(LEVEL, abs=0.02)
    low, high = measured["interval"]
    assert low < measured["coverage"] < high and high - low < 0.05
    clips = Clips.of(rows(6000, 40, seed=1), LABELS)
    for level in LEVELS:
        within = LabelSets.of(facts, LABELS, level, name).holds(clips.probabilities)
        covered = within[np.arange(6000), clips.truth]
        # The most probable label alone holds more than the lowest levels.
        accuracy = (clips.probabilities.argmax(1) == clips.truth).mean()
        assert covered.mean() == pytest.approx(level, abs=0.02) if level > accuracy + 0.1 else covered.mean() > level
        if KINDS[name].by_class and level == LEVEL:
            for label in range(len(LABELS)):
                assert covered[clips.truth == label].mean() > LEVEL - 0.04
    if not KINDS[name].by_class:
        rare = clips.truth == len(LABELS) - 1
        within = LabelSets.of(facts, LABELS, LEVEL, name).holds(clips.probabilities)
        assert within[rare, clips.truth[rare]].mean() < LEVEL - 0.04, "limits of all clips leave a rare label out"


@pytest.mark.parametrize("name", KINDS)
def test_each_speaker_is_measured_by_the_limits_of_all_others(name: str) -> None:
    clips = rows(60, 4)
    facts = fit_sets(folds(clips), LABELS)["sets"]
    assert (facts["clips"], facts["speakers"], facts["fitted_on"]) == (60, 4, "held-out speakers of all folds")
    kind, hits = KINDS[name], []
    for speaker in ("s0", "s1", "s2", "s3"):
        others = Clips.of([row for row in clips if row["speaker"] != speaker], LABELS)
        own = Clips.of([row for row in clips if row["speaker"] == speaker], LABELS)
        limits = np.array([limit(scores, LEVEL) for scores in others.true_scores(kind)])
        within = LabelSets(LABELS, kind, LEVEL, limits).holds(own.probabilities)
        hits.append(within[np.arange(len(own.truth)), own.truth])
        if not kind.by_class:
            measured = facts["measured"]["kinds"][name]["per_speaker"]
            assert measured[speaker] == pytest.approx(hits[-1].mean())
    assert facts["measured"]["kinds"][name]["coverage"] == pytest.approx(np.concatenate(hits).mean())
    assert facts["measured"]["interval"]["over"] == "speakers"


def test_one_fold_fits_on_validation_and_measures_on_test() -> None:
    fold = {"validation": rows(40, 2), "test": rows(30, 3, seed=1)}
    facts = Classes(LABELS).label_sets([fold])["sets"]
    assert (facts["clips"], facts["speakers"], facts["fitted_on"]) == (40, 2, "validation speakers")
    clips, tested = Clips.of(fold["validation"], LABELS), Clips.of(fold["test"], LABELS)
    (scores,) = clips.true_scores(KINDS["lac"])
    assert facts["limits"]["lac"][LEVELS.index(LEVEL)] == pytest.approx(limit(scores, LEVEL), abs=1e-6)
    assert facts["measured"]["kinds"] == measure_sets(clips, tested)["kinds"]
    assert list(facts["measured"]["kinds"]["aps"]["per_speaker"]) == ["s0", "s1", "s2"]


def test_few_speakers_are_said_and_one_is_not_measured() -> None:
    pair = fit_sets(folds(rows(40, 2)), LABELS)["sets"]["measured"]
    assert pair["interval"]["over"] == "clips"
    alone = fit_sets(folds(rows(40, 1)), LABELS)["sets"]
    assert alone["measured"] == {"level": LEVEL} and alone["limits"]["lac"]


def test_too_few_clips_give_sets_of_all_labels() -> None:
    facts = fit_sets([{"validation": rows(6, 2), "test": rows(4, 2)}], LABELS)
    assert LabelSets.of(facts, LABELS, 0.9).of_clip(ROW[0]) == ("anger", "joy", "fear", "sadness")
    assert len(LabelSets.of(facts, LABELS, 0.5).of_clip(ROW[0])) < 4


def test_other_targets_have_no_sets() -> None:
    assert Multilabel(LABELS).label_sets([]) == {} == fit_sets([{"validation": [], "test": []}], LABELS)
