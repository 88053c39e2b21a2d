"""The stages of a run: the clips, the seed and the epochs that each fit gets, and the weights that it starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from affetto.backbones.checkpoints import load_backbone
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.models.pooling import StateSpan
from affetto.splits import Split, make_split
from affetto.training import data, folds, probes, stacking
from affetto.training.build import Builder
from affetto.training.display import Display
from affetto.training.identity import own_fields
from affetto.training.spec import settings
from affetto.training.task import Task
from affetto.training.train import train
from training.corpora import spec, write_table


def test_each_stage_is_fitted_on_its_own_clips_under_the_run_s_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With steps that change nothing epoch 0 is the best, which refit and final model then train for."""
    table = write_table(tmp_path / "corpus", parts=False)
    tasks: list[Task] = []
    asked: list[tuple[int, tuple[str, ...]]] = []
    fit, predict = stacking.fit, folds.predict

    def watched(**parameters: Any) -> Any:
        tasks.append(parameters["task"])
        return fit(**parameters)

    def heard(classifier: Any, prefixes: Any, ids: tuple[str, ...], *arguments: Any) -> Any:
        asked.append((len(tasks), ids))
        return predict(classifier, prefixes, ids, *arguments)

    monkeypatch.setattr(stacking, "fit", watched)
    monkeypatch.setattr(folds, "predict", heard)
    still = {"training.lr": "1e-12", "training.select": "macro_f1"}
    metrics = train(spec(table, split="kfold:3", split_seed=4, seed=7, overrides=still), tmp_path / "run", stack=1)
    manifest = open_corpus("table", table)
    split = make_split(manifest, "kfold:3", seed=4)
    assert split.checksum != make_split(manifest, "kfold:3", seed=0).checksum
    expected: list[tuple[tuple[str, ...], tuple[str, ...] | None, int]] = []
    for fold in split.folds:
        expected += [(fold.train, fold.validation, 2), (fold.train + fold.validation, None, 0)]
    expected.append((tuple(clip.id for clip in manifest.clips), None, 0))
    assert [(task.train, task.validation, task.epochs) for task in tasks] == expected
    # What validates is asked before a model has learned from it: scores and temperature rest on these answers.
    pairs = enumerate(split.folds)
    assert asked == [
        (2 * n + stage, part) for n, fold in pairs for stage, part in ((1, fold.validation), (2, fold.test))
    ]
    assert [fold["best_epoch"] for fold in metrics["folds"]] == [0, 0, 0]
    assert {task.seed for task in tasks} == {7}
    assert len({task.identity for task in tasks}) == len(tasks), "no stage goes on with the checkpoint of another"


@pytest.mark.parametrize("method", ["frozen", "adapter", "lora", "full"])
def test_a_fresh_classifier_is_its_seed_s_whatever_was_trained_before(method: str, tmp_path: Path) -> None:
    table = write_table(tmp_path / "corpus", speakers=3)

    def fresh(seed: int) -> tuple[Builder, dict[str, Tensor]]:
        run = spec(table, method, "paper", "whisper-mini", seed=seed)
        backbone = load_backbone("whisper-mini", random_weights=True)
        builder = Builder(run, data.read(run, lambda _: None), backbone, torch.device("cpu"), Display(quiet=True))
        return builder, builder.fresh().snapshot()

    builder, first = fresh(0)
    with torch.no_grad():
        for parameter in builder.current.trainable().values():
            parameter.add_(1.0)
    again, (_, other) = builder.fresh().snapshot(), fresh(1)
    assert all(torch.equal(again[name], tensor) for name, tensor in first.items())
    assert not torch.equal(other["head.per_clip.0.weight"], first["head.per_clip.0.weight"])


def test_a_method_s_state_lies_above_its_blocks_and_the_probe_s_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write_table(tmp_path / "corpus", speakers=4)
    offered: list[list[int]] = []
    choose = probes.choose

    def watched(*arguments: Any, layers: Any, **more: Any) -> Any:
        offered.append(list(layers))
        return choose(*arguments, layers=layers, **more)

    monkeypatch.setattr(probes, "choose", watched)
    chosen = {"training.first_block": "1", "training.epochs": "1", "probe.strengths": "[0.01]"}
    train(spec(table, "lora", backbone="whisper-mini", overrides=chosen), tmp_path / "run")
    depth = load_backbone("whisper-mini", random_weights=True).depth
    assert offered == [list(range(2, depth + 1)), list(range(depth + 1))]


def test_another_state_is_another_classifier(tmp_path: Path) -> None:
    run = spec(write_table(tmp_path / "corpus", speakers=3), backbone="whisper-mini")
    backbone = load_backbone("whisper-mini", random_weights=True)
    builder = Builder(run, data.read(run, lambda _: None), backbone, torch.device("cpu"), Display(quiet=True))
    assert [builder.fresh(StateSpan(layer)).pooling.last for layer in (1, 1, 2, 0)] == [1, 1, 2, 0]


def test_a_fold_lies_in_a_folder_of_its_own_whatever_its_speaker_is_called(tmp_path: Path) -> None:
    names = {"s0": "..", "s1": "Ses01/F", "s2": "Ses01%2FF"}
    table = write_table(tmp_path / "corpus", speakers=3, parts=False)
    text = table.read_text()
    for plain, name in names.items():
        text = text.replace(f",{plain}\n", f",{name}\n")
    table.write_text(text)
    quick = {"model.layer": "1", "probe.inner_folds": "2", "probe.strengths": "[0.01]"}
    wanted = spec(table, "probe", backbone="whisper-mini", split="loso", final=False, overrides=quick)
    metrics = train(wanted, tmp_path / "out" / "run")
    assert sorted(fold["name"] for fold in metrics["folds"]) == sorted(names.values()) and metrics["test"]["n"] == 21
    models = {file.parent.parent.name for file in (tmp_path / "out" / "run" / "folds").glob("*/model/affetto.json")}
    assert models == {"%2E.", "Ses01%2FF", "Ses01%252FF"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["run"]
    assert not (tmp_path / "out" / "run" / "fold.json").exists()


@pytest.mark.parametrize("problem", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError()])
def test_a_fit_without_memory_says_what_to_do(
    problem: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: Any) -> Any:
        raise problem

    monkeypatch.setattr(stacking, "fit", full)
    with pytest.raises(UserError, match=r"^out of memory: .*--stack.*training\.batch_size"):
        train(spec(write_table(tmp_path / "corpus")), tmp_path / "run")


def test_a_run_on_fewer_speakers_learns_from_those_alone_and_makes_no_final_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probe beside the method and every choice hear no more than the method; all clips are tested."""
    table = write_table(tmp_path / "corpus", parts=False)
    solved: set[str] = set()
    fit = probes.Probes.fit

    def heard(self: Any, ids: tuple[str, ...], *arguments: Any) -> Any:
        solved.update(ids)
        return fit(self, ids, *arguments)

    monkeypatch.setattr(probes.Probes, "fit", heard)
    few = spec(table, split="kfold:3", seed=3, overrides={"training.speakers": "2", "training.epochs": "1"})
    metrics = train(few, tmp_path / "run")
    split = Split.load(tmp_path / "run" / "split.json")
    manifest = open_corpus("table", table)
    assert split.checksum == make_split(manifest, "kfold:3", speakers=2, speakers_seed=3).checksum
    assert {clip for fold in split.folds for clip in fold.test} == {clip.id for clip in manifest.clips}
    assert solved == {clip for fold in split.folds for clip in (*fold.train, *fold.validation)}
    assert metrics["final"] == {"trained": False, "note": "left out, since training.speakers is set"}
    assert not (tmp_path / "run" / "model").exists() and (tmp_path / "run" / "folds" / "1" / "model").is_dir()
    assert split.notes[0] == "training.speakers=2: a fold learns from 2 speakers, 14 clips; the tested clips stay"


def test_the_number_of_speakers_acts_on_every_method_and_is_in_the_identity_where_it_is_set() -> None:
    for method in ("probe", "lora"):
        few = settings(overrides={"training.speakers": "4"}, method=method)
        assert own_fields(few, method)["training"]["speakers"] == 4
        assert "speakers" not in own_fields(settings(method=method), method)["training"], "identities of before stand"
    with pytest.raises(UserError, match=r"training\.speakers=1: one speaker trains and another one validates: 2 or mo"):
        settings(overrides={"training.speakers": "1"}, method="probe")
