"""Changed copies of clips: they train beside their clip, count as one with it, and are judged nowhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from affetto.audio.changes import Change
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.models.prefix import Source
from affetto.targets.classes import Classes
from affetto.targets.distribution import Distribution
from affetto.training import data, stacking
from affetto.training.copies import Copies
from affetto.training.selection import Probe, choose
from affetto.training.spec import CorpusSpec, acting, settings
from affetto.training.task import Task
from affetto.training.train import train
from training.corpora import spec, timeless, write_table
from training.test_joint import assert_same_run
from training.test_train import lines

LABELS = ("anger", "joy")
SLOWER = {"augment.copies": "0.8"}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("tested"), speakers=4)


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Task]:
    """Tasks of the fits of a run."""
    collected: list[Task] = []
    fit = stacking.fit

    def watched(**parameters: Any) -> Any:
        collected.append(parameters["task"])
        return fit(**parameters)

    monkeypatch.setattr(stacking, "fit", watched)
    return collected


def test_copies_join_the_training_part_of_each_fit_and_no_other_part(
    table: Path, tmp_path: Path, tasks: list[Task]
) -> None:
    overrides = {"augment.copies": "[0.8, 1.25]"}
    metrics = train(spec(table, split="kfold:3", overrides=overrides), tmp_path / "run", stack=1)
    ids = {clip.id for clip in open_corpus("table", table).clips}
    assert len(tasks) == 7
    for task in tasks:
        clips = task.originals
        assert set(clips) <= ids and len(task.train) == 3 * len(clips)
        assert set(task.train[len(clips) :]) == {f"{clip} [speed:{a}]" for clip in clips for a in ("0.8", "1.25")}
        assert set(task.validation or ()) <= ids - set(clips)
        assert all(task.factors[clip] == pytest.approx(1 / 3) for clip in task.train)
    for file in ("predictions.jsonl", "validation_predictions.jsonl", "probe_predictions.jsonl"):
        assert len(lines(tmp_path / "run" / file)) == len(ids)
    assert len(lines(tmp_path / "run" / "trained_on.jsonl")) == len(ids)
    assert metrics["clips"] == len(ids)
    assert metrics["changed_copies"] == {"changes": ["speed:0.8", "speed:1.25"], "clips": 28, "copies": 56}


def test_clips_of_the_test_part_alone_have_no_copies(table: Path, tmp_path: Path, tasks: list[Task]) -> None:
    metrics = train(spec(table, overrides=SLOWER, probe=False), tmp_path / "run")
    assert metrics["changed_copies"] == {"changes": ["speed:0.8"], "clips": 21, "copies": 21}
    assert [len(task.train) for task in tasks] == [28, 42]


def test_clips_that_no_fold_and_no_final_model_learns_from_have_no_copies(tmp_path: Path) -> None:
    table = write_table(tmp_path, speakers=6)
    few = spec(table, method="probe", overrides=SLOWER | {"training.speakers": "2"}, split="kfold:3")
    read = data.read(few, lambda _: None)
    learned = {clip for fold in read.split.folds for clip in (*fold.train, *fold.validation)}
    assert set(read.copies.clips.values()) == learned < {clip.id for clip in read.manifest.clips}


@pytest.mark.parametrize("method", ["probe", "frozen"])
def test_copies_that_are_their_clips_change_nothing(
    method: str, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State, strength, weights, constants and steps of full batches are then those of the clips alone."""
    monkeypatch.setattr(Change, "apply", lambda _change, samples: samples)
    full = {"training.batch_size": "1000", "training.select": "last", "model.head_dropout": "0"}
    overrides = {"store.precision": "float32"} | (full if method == "frozen" else {})
    alone = train(spec(table, method, overrides=overrides, probe=False), tmp_path / "alone")
    both = train(spec(table, method, overrides=overrides | SLOWER, probe=False), tmp_path / "both")
    assert both["choice"] == pytest.approx(alone["choice"])
    for ours, expected in zip(
        lines(tmp_path / "both" / "predictions.jsonl"), lines(tmp_path / "alone" / "predictions.jsonl"), strict=True
    ):
        assert list(ours["probabilities"].values()) == pytest.approx(list(expected["probabilities"].values()), abs=3e-4)


def test_copies_of_auxiliary_clips_are_made_where_they_are_asked_for(
    table: Path, tmp_path: Path, tasks: list[Task]
) -> None:
    more = CorpusSpec(name="more", path=str(write_table(tmp_path / "more", speakers=2, first=20, parts=False)))
    apart = SLOWER | {"auxiliary.standardise": "corpus", "auxiliary.weight": "0.5"}
    train(spec(table, overrides=apart, auxiliary=(more,), probe=False), tmp_path / "without")
    apart |= {"augment.copies_auxiliary": "true"}
    metrics = train(spec(table, overrides=apart, auxiliary=(more,), probe=False), tmp_path / "with")
    assert [len(task.train) for task in tasks] == [28 + 14, 42 + 14, 28 + 28, 42 + 28]
    assert metrics["changed_copies"]["clips"] == 21 + 14
    foreign = [clip for clip in tasks[3].train if clip.startswith("more:")]
    assert [tasks[1].factors[clip] for clip in foreign if clip in tasks[1].train] == [0.5] * 14
    assert [tasks[3].factors[clip] for clip in foreign] == [0.25] * 28
    assert set(foreign) == set(tasks[3].standardised_apart)


def test_class_weights_count_clips_and_not_their_copies(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    loss = Classes.loss

    def watched(target: Classes, truth: torch.Tensor, options: Any, factors: torch.Tensor) -> Any:
        counted.append(len(truth))
        assert torch.allclose(factors, torch.ones(len(truth)))
        return loss(target, truth, options, factors)

    monkeypatch.setattr(Classes, "loss", watched)
    train(spec(table, overrides=SLOWER, probe=False), tmp_path / "run")
    assert counted == [14, 21]


def test_the_balanced_sampler_draws_clips_and_copies_of_a_class_alike(
    table: Path, tmp_path: Path, tasks: list[Task]
) -> None:
    more = CorpusSpec(name="more", path=str(write_table(tmp_path / "more", speakers=2, first=20, parts=False)))
    evenly = SLOWER | {"training.sampler": "balanced", "auxiliary.weight": "0.5"}
    train(spec(table, overrides=evenly, auxiliary=(more,), probe=False), tmp_path / "run")
    task = tasks[0]
    assert len(task.strata) == len(task.train) == 28 + 14 and len(set(task.strata.values())) == 14
    assert {clip: factor for clip, factor in task.factors.items() if factor != 1.0} == dict.fromkeys(
        [clip for clip in task.train if clip.startswith("more:")], 0.5
    )


@pytest.mark.parametrize("soft", [False, True])
def test_the_probe_weighs_a_clip_and_its_copies_as_one_clip(soft: bool) -> None:
    random = np.random.default_rng(0)
    features, classes = random.normal(size=(30, 4)), np.arange(30) % 5 // 4
    truth = np.eye(2)[classes] * 0.8 + 0.1 if soft else classes
    target = Distribution(LABELS) if soft else Classes(LABELS)
    alone = Probe.fit(features, truth, 0.1, target=target)
    copied = np.flatnonzero(classes == 0)[::2]  # these clips have two copies
    rows = np.concatenate([np.arange(30), copied, copied])
    weights = np.where(np.isin(rows, copied), 1 / 3, 1.0)
    both = Probe.fit(features[rows], truth[rows], 0.1, target=target, clip_weights=weights, owners=rows)
    assert both.centre == pytest.approx(alone.centre) and both.scale == pytest.approx(alone.scale)
    assert both.weight == pytest.approx(alone.weight, abs=2e-3)


def test_inner_folds_never_split_a_clip_from_its_copies() -> None:
    truth, speakers = np.arange(16) % 2, [f"s{n // 4}" for n in range(16)]
    owners = np.array([*range(20), *range(20)])  # four auxiliary clips; each clip has a copy
    features = owners[:, None] + np.array([[0.0, 1.0]])
    fits: list[set[int]] = []

    class Watched(Classes):
        def solve(self, features: Any, truth: Any, *arguments: Any, **more: Any) -> Any:
            fits.append(set(more["originals"].nonzero()[0]))
            assert len(truth) == 2 * len(fits[-1]) == 2 * 16
            return super().solve(features, truth, *arguments, **more)

        def probe_score(self, outputs: Any, truth: Any) -> float:
            assert len(outputs) == len(truth) == 16
            return super().probe_score(outputs, truth)

    together = np.concatenate([truth, truth[:4], truth, truth[:4]])
    options = {"target": Watched(LABELS), "clip_weights": np.full(40, 0.5), "owners": owners}
    choose(lambda layer: features, together, speakers, layers=[0], strengths=[0.1], folds=4, **options)
    assert len(fits) == 4


def test_folds_that_are_fitted_together_have_the_numbers_of_folds_fitted_alone(table: Path, tmp_path: Path) -> None:
    run = spec(table, "lora", split="kfold:3", overrides=SLOWER | {"store.precision": "float32"}, probe=False)
    expected = train(run, tmp_path / "alone", stack=1)
    train(run, tmp_path / "together", stack=3)
    assert_same_run(tmp_path / "together", tmp_path / "alone")
    assert timeless(train(run, tmp_path / "alone")) == timeless(expected)


def test_a_copy_is_changed_before_it_is_cropped_and_has_an_address_of_its_own(table: Path) -> None:
    corpus = open_corpus("table", table)
    source = Source(corpus.path(corpus.clips[0]))
    slower = replace(source, change=Change.parse("0.5"))
    plain = source.load(None)
    assert len(slower.load(None)) == 2 * len(plain) and len(slower.load(0.3)) == 4800
    assert np.abs(slower.load(0.3) - slower.load(None)[:4800]).max() < 1e-3
    assert len({source.digest(), slower.digest(), replace(source, change=Change.parse("0.6")).digest()}) == 3
    assert slower.digest() == slower.change.address(source.digest())  # type: ignore[union-attr]


def test_an_unusable_copy_is_left_out_alone() -> None:
    sources, changes = {"a": Source(Path("a.wav")), "b": Source(Path("b.wav"))}, (Change.parse("2"),)
    copies = Copies.make(
        changes, ["a", "b"], sources=sources, digests={"a": "1", "b": "2"}, left_out={"a [speed:2]": "too short"}
    )
    assert copies.of(["a", "b"]) == ("b [speed:2]",) and copies.shared({}) == {"b": 0.5, "b [speed:2]": 0.5}


def test_copies_are_in_the_identity_and_none_of_them_is_not(table: Path) -> None:
    facts = {"manifest": "m", "split": "s"}
    identities = [spec(table, overrides=o).identity(facts) for o in ({}, {"augment.copies": ""}, SLOWER)]
    assert identities[0] == identities[1] != identities[2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sped:0.9", r"augment\.copies='sped:0\.9'.*unknown change 'sped': did you mean 'speed'\?"),
        ("speed:fast", r"'speed:fast' has no number.*speed goes from 0\.5 to 2"),
        ("[0.9, 3]", r"'3' is out of range: speed goes from 0\.5 to 2"),
        ("nan", r"'nan' is out of range"),
        ("1", r"'1' changes nothing"),
        ("0.9,speed:0.90", r"'speed:0\.9' is written twice"),
    ],
)
def test_a_change_that_there_is_not_is_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings("recommended", {"augment.copies": text}, method="probe")


@pytest.mark.parametrize("text", ["0.9,1.1", "[0.9, 1.1]", '["speed:0.9", 1.1]', "[speed:0.9, speed:1.1]"])
def test_changes_are_written_as_a_list_or_with_commas(text: str) -> None:
    assert settings("recommended", {"augment.copies": text}).augment.copies == ("speed:0.9", "speed:1.1")


def test_copies_of_auxiliary_clips_need_both() -> None:
    overrides = {"augment.copies_auxiliary": "true"}
    assert acting("recommended", overrides | SLOWER, method="probe") == overrides | SLOWER
    assert acting("recommended", overrides | SLOWER, method="probe", has_auxiliary=False) == SLOWER
    with pytest.raises(UserError, match=r"copies_auxiliary=true has no effect.*augment\.copies, and corpora"):
        settings("recommended", overrides, method="probe")
