"""Thresholds of verdicts: random models that are dealt the answers, and random heads."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from affetto.evaluation.stress import random_models
from affetto.evaluation.stress.random_models import RandomHeads, difference_threshold, gap_threshold, verdict
from affetto.evaluation.stress.scoring import main_scores
from affetto.targets.classes import Classes
from affetto.targets.dimensions import Dimensions, Interval
from affetto.targets.multilabel import Multilabel

LABELS = ("anger", "joy", "sadness")
CLASSES = Classes(LABELS)


def rows(truth: list[int], probabilities: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "file": str(number),
            "speaker": f"s{number % 5}",
            "truth": LABELS[label],
            "probabilities": dict(zip(LABELS, values, strict=True)),
        }
        for number, (label, values) in enumerate(zip(truth, probabilities, strict=True))
    ]


def drawn(clips: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(1)
    return rows(list(random.integers(3, size=clips)), random.dirichlet(np.ones(3), size=clips))


def test_the_threshold_is_that_of_all_pairs_of_deals() -> None:
    lines = drawn(6)
    (score,) = main_scores(CLASSES, lines)
    everyone = np.arange(6)
    every = [score.of_clips(everyone, np.array(deal)) for deal in itertools.permutations(range(6))]
    exact = np.quantile(np.abs(np.subtract.outer(every, every)), 0.95)
    assert difference_threshold(score, 6) == pytest.approx(exact, abs=0.06) and exact > 0.2
    assert difference_threshold(score, 6) == difference_threshold(score, 6)
    assert score.of_own(everyone) == pytest.approx(CLASSES.scores(lines)["uar"])


def test_more_clips_make_a_narrower_threshold_as_the_root_of_their_number() -> None:
    few, many = (
        difference_threshold(main_scores(CLASSES, lines)[0], len(lines)) for lines in (drawn(100), drawn(1600))
    )
    assert few / many == pytest.approx(4, rel=0.15)
    (score,) = main_scores(CLASSES, drawn(200))
    group, rest = np.arange(20), np.arange(20, 200)
    assert gap_threshold(score, group, rest, 200) > 1.5 * gap_threshold(score, np.arange(100), np.arange(100, 200), 200)


def test_a_score_falls_only_beyond_the_threshold_and_surely() -> None:
    assert verdict(-0.02, (-0.04, 0.0), 0.04) == "holds" and verdict(0.1, (-0.03, 0.2), 0.04) == "holds"
    assert verdict(-0.05, (-0.09, -0.01), 0.04) == "falls"
    assert verdict(-0.03, (-0.05, -0.01), 0.04) == verdict(-0.3, (-0.7, 0.1), 0.04) == "undecided"
    assert verdict(-0.3, None, 0.04) == "undecided"


def test_random_heads_change_with_the_scores_and_not_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random_models, "MODELS", 300)
    random = np.random.default_rng(2)
    truth, plain = [0] * 400, random.dirichlet(np.ones(3), size=400)
    heads = RandomHeads.of_rows(CLASSES, rows(truth, plain))
    shares = [heads.changed(rows(truth, plain))["median"]]
    for noise in (0.1, 3.0):
        disturbed = plain * np.exp(noise * random.standard_normal(plain.shape))
        facts = heads.changed(rows(truth, disturbed / disturbed.sum(axis=1, keepdims=True)))
        shares.append(facts["median"])
        assert 0 < facts["low"] < facts["median"]
    assert shares[0] == 0 and shares[1] < 0.2 < shares[2] < 1
    assert heads.called(rows(truth, plain)).shape == (400, 300)


def test_all_targets_have_their_main_measure() -> None:
    target = Dimensions(("arousal",), (Interval(1, 5),))
    lines = [{"truth": {"arousal": value}, "prediction": {"arousal": value}} for value in (1.0, 2.0, 4.0)]
    (score,) = main_scores(target, lines)
    assert (score.name, score.of_own(np.arange(3))) == ("mean_ccc", pytest.approx(1))
    assert score.of_clips(np.arange(3), np.array([2, 1, 0])) < 0
    marked = [{"truth": ["joy"], "prediction": ["joy"]}, {"truth": ["anger"], "prediction": ["joy"]}]
    (score,) = main_scores(Multilabel(("anger", "joy")), marked)
    assert (score.name, score.of_own(np.arange(2))) == ("multilabel_macro_f1", pytest.approx(1 / 3))
