"""Statistics of numbers, shares and several labels: by hand, and equal to those of classes where both can be had."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.measures.regression import CCC
from affetto.reporting.stats.estimation import jackknife_mean
from affetto.reporting.stats.judged import judged_dimensions, judged_marks, judged_shares
from affetto.reporting.stats.outcomes import Outcomes, compare, estimate, match
from affetto.targets.dimensions import Dimensions, Interval
from affetto.targets.distribution import Distribution
from affetto.targets.multilabel import Multilabel

NUMBERS = Dimensions(("arousal", "valence"), (Interval(-1, 1), Interval(-1, 1)))


def number_rows(shift: float, speakers: int = 4, seed: int = 0) -> list[dict]:
    """Five clips a speaker; the prediction is the truth, shrunk and shifted, with noise."""
    generator = np.random.default_rng(7)
    noise = np.random.default_rng(seed)
    rows = []
    for speaker, clip in itertools.product(range(speakers), range(5)):
        truth = generator.uniform(-1, 1, 2)
        values = 0.7 * truth + shift + noise.normal(0, 0.1 * (1 + speaker), 2)
        row = {"file": f"{speaker}-{clip}", "speaker": f"s{speaker}"}
        row["truth"], row["prediction"] = (
            dict(zip(NUMBERS.names, map(float, v), strict=True)) for v in (truth, values)
        )
        rows.append(row)
    return rows


def system(*runs: list[dict], target=NUMBERS, name: str = "x") -> Outcomes:
    return Outcomes(name, "c", target, dict(enumerate(runs)))


def judged_of(outcomes: Outcomes, name: str):
    return next(judged for judged in judged_dimensions(outcomes.target) if judged.name == name)


def ccc(rows: list[dict], name: str = "arousal") -> float:
    truth, prediction = (np.array([[row[field][name]] for row in rows]) for field in ("truth", "prediction"))
    return float(CCC.of_predictions(prediction, truth)[0])


def test_the_interval_is_the_jackknife_over_speakers_of_the_mean_over_seeds() -> None:
    runs = number_rows(0.1), number_rows(0.1, seed=1)
    outcomes = system(*runs)
    result = estimate([outcomes], judged_of(outcomes, "ccc_arousal"))
    assert result.value == pytest.approx(np.mean([ccc(rows) for rows in runs]))
    without = np.array([[ccc([row for row in rows if row["speaker"] != f"s{n}"]) for rows in runs] for n in range(4)])
    one_seed = estimate([system(runs[0])], judged_of(outcomes, "ccc_arousal"))
    by_hand = jackknife_mean(np.array([ccc(runs[0])]), without[:, :1], np.array([5, 5, 5, 5]))
    assert (one_seed.low, one_seed.high) == pytest.approx(by_hand.interval(least=-1, most=1))
    assert result.over == ("speakers",) and result.units == (4,) and result.seeds == (0, 1)


def test_two_speakers_give_an_interval_over_clips_and_one_clip_that_of_the_range() -> None:
    outcomes = system(number_rows(0.0, speakers=2))
    assert estimate([outcomes], judged_of(outcomes, "mean_ccc")).over == ("clips",)
    alone = system(number_rows(0.0)[:1])
    result = estimate([alone], judged_of(alone, "ccc_arousal"))
    assert (result.value, result.low, result.high) == (0, -1, 1)


def test_a_difference_is_that_of_the_scores_and_exchanging_all_speakers_turns_it_round() -> None:
    first, second = system(number_rows(0.0)), system(number_rows(0.4))
    for name in ("mean_ccc", "ccc_arousal", "rmse_valence", "mae_arousal", "pearson_valence"):
        judged = judged_of(first, name)
        pair = match((first, judged), (second, judged), (0,))
        scores = [outcomes.values(judged)[0][0] for outcomes in (first, second)]
        assert pair.difference()[0] == pytest.approx(scores[0] - scores[1])
        assert pair.exchanged(np.ones((1, 4)))[0] == pytest.approx(scores[1] - scores[0])
    judged = judged_of(first, "ccc_arousal")
    pair = match((first, judged), (second, judged), (0,))
    swapped = [a if a["speaker"] != "s2" else b for a, b in zip(first.runs[0], second.runs[0], strict=True)]
    swapped_back = [b if b["speaker"] != "s2" else a for a, b in zip(first.runs[0], second.runs[0], strict=True)]
    assert pair.exchanged(np.array([[0.0, 0, 1, 0]]))[0] == pytest.approx(ccc(swapped) - ccc(swapped_back))
    gap = ccc(first.runs[0][10:15]) - ccc(second.runs[0][10:15])
    assert pair.gaps[2] == pytest.approx(gap)


def test_a_comparison_has_an_interval_and_ten_speakers_a_test_of_all_exchanges() -> None:
    first, second = system(number_rows(0.0, speakers=10)), system(number_rows(0.5, speakers=10))
    comparison = compare([(first, second)], lambda outcomes: judged_of(outcomes, "ccc_arousal"))
    judged = judged_of(first, "ccc_arousal")
    pair = match((first, judged), (second, judged), (0,))
    exchanges = np.array(list(itertools.product((0.0, 1.0), repeat=10)))
    differences = np.abs(pair.exchanged(exchanges)).round(12)
    assert comparison.p == pytest.approx(np.mean(differences >= differences[0])) and comparison.models_differ
    assert comparison.share_better == np.mean(pair.gaps > 0)
    assert comparison.interval is not None and comparison.interval[0] > 0
    few = compare([(system(number_rows(0.0)), system(number_rows(0.5)))], lambda o: judged_of(o, "ccc_arousal"))
    assert few.p is None and few.interval is not None


def test_systems_on_other_clips_or_truths_are_not_compared() -> None:
    first, other = number_rows(0.0), number_rows(0.0)
    other[3]["truth"]["arousal"] += 0.5
    judged = judged_of(system(first), "mean_ccc")
    with pytest.raises(UserError, match="differ in the truth of 1 clips, such as '0-3'"):
        compare([(system(first), system(other))], lambda _: judged)
    with pytest.raises(UserError, match="not tested on the same clips"):
        compare([(system(first), system(first[1:]))], lambda _: judged)
    with pytest.raises(UserError, match="its seed 1"):
        system(first, other)


def test_shares_and_labels_are_summed_as_their_measures_compute_them() -> None:
    generator = np.random.default_rng(0)
    labels = ("anger", "joy", "fear")
    shares, several = [], []
    for n in range(12):
        true, predicted = (
            dict(zip(labels, map(float, generator.dirichlet(np.ones(3))), strict=True)) for _ in range(2)
        )
        base = {"file": str(n), "speaker": f"s{n % 4}"}
        shares.append({**base, "truth": "joy", "shares": true, "probabilities": predicted})
        truth, called = ([label for label in labels if generator.random() < 0.5] for _ in range(2))
        several.append({**base, "truth": truth, "prediction": called, "probabilities": predicted})
    for target, rows, judged_all in (
        (Distribution(labels), shares, judged_shares(Distribution(labels))),
        (Multilabel(labels), several, judged_marks(Multilabel(labels))),
    ):
        written = {scored.name: scored for scored in target.scored(target.scores(rows))}
        outcomes = system(rows, target=target)
        for judged in judged_all:
            result = estimate([outcomes], judged)
            assert result.value == pytest.approx(written[judged.name].value)
            assert (result.low, result.high) == pytest.approx(written[judged.name].interval)
            if judged.sums and judged.score:
                total = judged.score(judged.sums(rows).sum(axis=0, keepdims=True))
                assert total[0] == pytest.approx(written[judged.name].value)
    assert [judged.name for judged in judged_shares(Distribution(labels)) if judged.sums] == [
        "kl",
        "js",
        "cross_entropy",
    ]
