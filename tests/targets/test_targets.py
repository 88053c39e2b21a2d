"""Targets without a run: truth, probes, thresholds, groups of a split, intervals, and their files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from affetto.corpora.annotations import Range, Rating
from affetto.corpora.manifest import Clip, Manifest, merge
from affetto.errors import UserError
from affetto.targets.classes import Classes
from affetto.targets.conformal import conformal, half_width
from affetto.targets.dimensions import LOSSES, Dimensions, Interval
from affetto.targets.distribution import Distribution
from affetto.targets.joint import OF_LABELS, Joint
from affetto.targets.linear import logistic, of_shares, ridge
from affetto.targets.multilabel import Multilabel
from affetto.targets.registry import blueprint_of, choose_target, target_of
from affetto.targets.target import Target, TargetSettings
from affetto.training.sections import TargetSection
from targets.test_losses import EVERY

RANDOM = np.random.default_rng(5)


def clip(name: str, emotion: str = "joy", **fields: Any) -> Clip:
    return Clip(file=f"{name}.wav", emotion=emotion, speaker=name[0], corpus="box", **fields)


def manifest(*clips: Clip, **fields: Any) -> Manifest:
    return Manifest(corpus="box", root=Path(), clips=clips, **fields)


@pytest.mark.parametrize("name", EVERY)
def test_a_blueprint_makes_the_target_again(name: str) -> None:
    blueprint = json.loads(json.dumps(blueprint_of(EVERY[name])))
    assert target_of(blueprint) == EVERY[name]
    assert ("target" in blueprint) == (name != "classes")


def test_truth_is_encoded_by_the_clip_s_annotations() -> None:
    ratings = (Rating("r", ("joy",)), Rating("s", ("joy",)), Rating("t", ("anger",)))
    rated = clip("a", labels=("anger", "joy"), ratings=ratings, dimensions=(("arousal", 4.0), ("valence", 2.5)))
    labels = ("anger", "joy", "sadness")
    assert Classes(labels).encode(rated) == 1
    assert Distribution(labels).encode(rated).tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    assert Multilabel(labels).encode(rated).tolist() == [1, 1, 0]
    assert Multilabel(labels).encode(clip("b", "sadness")).tolist() == [0, 0, 1]
    plane = Dimensions(("arousal", "valence"), (Interval(1, 5), Interval(0, 10)))
    assert plane.encode(rated).tolist() == pytest.approx([0.5, -0.5])
    assert Joint(Classes(labels), plane).encode(rated).tolist() == pytest.approx([1, 0.5, -0.5])


def test_a_ridge_is_scikit_learn_s_and_either_system_gives_it() -> None:
    from sklearn.linear_model import Ridge

    for clips, width in ((40, 6), (6, 40)):
        x, y = RANDOM.standard_normal((clips, width)), RANDOM.standard_normal((clips, 2)) * [1, 30] + [0, 7]
        found = ridge(x, y, 0.05)
        for column in range(2):
            model = Ridge(alpha=1 / 0.05).fit(x, y[:, column])
            assert np.allclose(found.weight[column], model.coef_, atol=1e-8)
            assert found.bias[column] == pytest.approx(model.intercept_)


def test_shares_of_whole_clips_are_classes_and_halves_are_two_clips() -> None:
    x, index = RANDOM.standard_normal((60, 4)), RANDOM.integers(0, 3, 60)
    hard = logistic(x, index, 0.5, outputs=3, weighted=True)
    soft = of_shares(x, np.eye(3)[index], 0.5, weighted=True)
    assert np.allclose(hard.weight, soft.weight, atol=2e-3) and np.allclose(hard.bias, soft.bias, atol=2e-3)
    half = np.eye(3)[index] / 2 + np.eye(3)[(index + 1) % 3] / 2
    twice = logistic(
        np.repeat(x, 2, axis=0),
        np.stack([index, (index + 1) % 3], 1).ravel(),
        0.5,
        outputs=3,
        weighted=False,
        clip_weights=np.full(120, 0.5),
    )
    assert np.allclose(of_shares(x, half, 0.5, weighted=False).weight, twice.weight, atol=2e-3)


def test_thresholds_are_tuned_by_label_on_the_rows_they_are_shown() -> None:
    target = Multilabel(("a", "b"))
    rows = [
        {"truth": ["a"], "probabilities": {"a": 0.3, "b": 0.6}},
        {"truth": ["a", "b"], "probabilities": {"a": 0.4, "b": 0.9}},
        {"truth": ["b"], "probabilities": {"a": 0.1, "b": 0.8}},
    ]
    limits = target.decision(rows)
    assert 0.1 < limits["a"] <= 0.3 and 0.6 < limits["b"] <= 0.8
    assert target.fields(np.array([0.35, 0.5]), limits)["prediction"] == ["a"]
    assert Multilabel(("a", "b"), "1/K").decision(rows) == {"a": 0.5, "b": 0.5}
    assert Multilabel(("a", "b"), 0.2).fields(np.array([0.35, 0.1]))["prediction"] == ["a"]


def test_a_split_keeps_thirds_of_two_dimensions_in_proportion() -> None:
    clips = [
        clip(f"{n}", dimensions=(("arousal", float(n)), ("dominance", 0.0), ("valence", float(-n)))) for n in range(9)
    ]
    names = ("arousal", "valence")
    groups = Dimensions(names, (Interval(0, 9), Interval(-9, 0))).strata(clips)
    assert groups is not None and groups[0] == "arousal low, valence high" and groups[8] == "arousal high, valence low"
    assert len(set(groups)) == 3


def test_an_interval_holds_its_share_and_is_tested_on_other_speakers() -> None:
    assert half_width(np.arange(1.0, 6.0)) == 5.0, "too few clips: the largest error"
    assert half_width(np.arange(1.0, 101.0)) == 91.0
    rows = [{"speaker": "v", "truth": {"x": 0.0}, "prediction": {"x": float(n)}} for n in range(1, 20)]
    tested = [
        {"speaker": s, "truth": {"x": 0.0}, "prediction": {"x": error}} for s, error in (("s", 18.0), ("t", 19.0))
    ]
    found = conformal([{"validation": rows, "test": tested}], ["x"])["conformal"]
    assert found["level"] == 0.9
    assert found["dimensions"]["x"] == {"half_width": 18.0, "coverage": 0.5, "per_speaker": {"s": 1.0, "t": 0.0}}


NUMBERS = {"dimensions": {"arousal": Range(1, 5)}}


@pytest.mark.parametrize(
    ("kind", "clips", "fields", "words"),
    [
        (Dimensions, [clip("a", dimensions=(("arousal", 2.0),)), clip("b")], NUMBERS, "1 of 2 clips have no arousal"),
        (
            Distribution,
            [clip("a", ratings=(Rating("r", ("joy",)),)), clip("b", "fear")],
            {},
            "1 of 2 clips have no ratings",
        ),
        (
            Distribution,
            [clip(n, e, ratings=(Rating("r", (e,)),)) for n, e in (("a", "joy"), ("b", "fear"))],
            {},
            "every clip has one rating",
        ),
        (
            Distribution,
            [
                clip("a", ratings=(Rating("r", ("anger",)), Rating("s", ("anger",)))),
                clip("b", "fear", ratings=(Rating("r", ("fear",)), Rating("s", ("joy",)))),
            ],
            {},
            r"clip a\.wav: no rating names one of fear, joy",
        ),
        (Multilabel, [clip("a"), clip("b", "")], {}, "1 of 2 clips have no label"),
        (Classes, [clip("a"), clip("b")], {}, "all 2 clips show 'joy'"),
    ],
)
def test_clips_that_lack_something_are_named(
    kind: type[Target], clips: list[Clip], fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        kind.of_clips(manifest(*clips, **fields), TargetSettings())


def test_corpora_with_other_ranges_cannot_be_trained_together() -> None:
    numbers = (("arousal", 2.0),)
    first = manifest(clip("a", dimensions=numbers), dimensions={"arousal": Range(1, 5)})
    second = Manifest("bag", Path(), (clip("b", dimensions=numbers),), dimensions={"arousal": Range(1, 7)})
    with pytest.raises(UserError, match="do not share arousal with one range"):
        Dimensions.of_clips(merge([first, second]), TargetSettings())


def test_the_first_target_that_the_clips_have_is_taken_and_others_are_named() -> None:
    numbers = (("arousal", 2.0),)
    both = manifest(clip("a", dimensions=numbers), clip("b", "fear", dimensions=numbers), **NUMBERS)
    notes: list[str] = []
    assert choose_target(None, both, TargetSettings(), notes.append).name == "classes"
    assert notes == ["note: the target is classes; these clips also have what --target dimensions, joint needs"]
    bare = manifest(clip("a", "", dimensions=numbers), **NUMBERS)
    assert choose_target(None, bare, TargetSettings(), notes.append).name == "dimensions"
    with pytest.raises(UserError, match="clips have no emotion"):
        choose_target(None, manifest(clip("a", "")), TargetSettings(), notes.append)


def test_the_raters_deviation_is_written_where_two_or_more_rated_every_dimension() -> None:
    target = Dimensions(("arousal", "valence"), (Interval(1, 5), Interval(1, 5)))
    values = (("arousal", 3.0), ("valence", 3.0))
    ratings = tuple(Rating(str(n), (), (("arousal", n), ("valence", 3.0))) for n in (1.0, 3.0, 5.0))
    rated = clip("a", ratings=ratings, dimensions=values)
    deviation = {"arousal": 2.0, "valence": 0.0}  # (4 + 0 + 4) / 2 = 2²
    assert target.truth_fields(rated) == {"truth": dict(values), "deviation": deviation, "emotion": "joy"}
    few = clip("a", emotion="", ratings=(ratings[0], Rating("9", (), (("arousal", 2.0),))), dimensions=values)
    assert set(target.truth_fields(few)) == {"truth"}
    assert Joint(Classes(("joy", "fear")), target).truth_fields(rated)["deviation"] == deviation


def test_the_settings_of_a_run_are_those_that_targets_take() -> None:
    assert TargetSection().model_dump() == vars(TargetSettings())
    choices = {name: info.annotation for name, info in TargetSection.model_fields.items()}
    assert set(get_args(choices["dimension_loss"])) == LOSSES.keys()
    assert set(get_args(choices["joint"])) == OF_LABELS.keys()
