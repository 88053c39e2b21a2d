"""Every run of a grid on the corpora that it was not trained on: which model, which clips, and going on."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from affetto.cli import app
from affetto.corpora import prompts as spoken
from affetto.corpora.labels import EMOTIONS
from affetto.corpora.published.emovo import SENTENCES
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.evaluation import crossing
from affetto.evaluation.crossing import cross
from affetto.evaluation.testing import evaluate
from affetto.experiments.grid import read
from affetto.experiments.states import GridFolder
from affetto.inference.predictor import temperature_of
from affetto.models.saved import load_classifier
from affetto.targets.temperature import before_and_after
from affetto.training.runs import RunFolder
from affetto.training.spec import CorpusSpec
from affetto.training.train import train
from training.corpora import RATE_HZ, sound, write_table

CODES = ("rab", "dis", "pau", "gio", "neu", "tri", "sor")
OTHER = "Ieri sera pioveva a dirotto."
GRID = """
axes:
  backbone: whisper-mini
  corpus: [emovo, emozionalmente]
  method: {methods}
  split: {split}
  recipe: paper
  random_weights: true
  training.epochs: 1
  compute.precision: float32
  store.precision: float32
"""


def write_emovo(root: Path) -> Path:
    for speaker, actor in enumerate(("f1", "f2", "m1", "m2")):
        (root / actor).mkdir(parents=True)
        for emotion, code in enumerate(CODES):
            for take, sentence in enumerate(("b1", "b2")):
                wave = sound(emotion, speaker, take, 0.4)
                soundfile.write(root / actor / f"{code}-{actor}-{sentence}.wav", wave, RATE_HZ, subtype="FLOAT")
    return root


def write_emozionalmente(root: Path) -> Path:
    (root / "audio").mkdir(parents=True)
    (root / "metadata").mkdir()
    rows = []
    for speaker in range(4):
        for emotion, label in enumerate(EMOTIONS):
            for take, sentence in enumerate((f"  {SENTENCES['b1'].upper()}. ", OTHER)):
                file = f"{speaker}-{label}-{take}.wav"
                wave = sound(emotion, speaker + 10, take, 0.4 if rows else 4.0)
                if not rows:  # longer than what a run hears of a clip, and another sound from there on
                    wave = np.concatenate([wave, np.random.default_rng(0).uniform(-1, 1, 2 * RATE_HZ)])
                soundfile.write(root / "audio" / file, wave, RATE_HZ, subtype="FLOAT")
                rows.append([file, sentence, "it", f"a{speaker}", label])
    with (root / "metadata/samples.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["file_name", "sentence", "sentence_language", "actor", "emotion_expressed"])
        writer.writerows(rows)
    return root


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("corpora")
    return {
        "emovo": str(write_emovo(root / "emovo")),
        "emozionalmente": str(write_emozionalmente(root / "emozionalmente")),
    }


def run_grid(out: Path, corpora: dict[str, str], split: str, methods: str) -> Path:
    (out.parent / "grid.yaml").write_text(GRID.format(split=split, methods=methods))
    grid = read(out.parent / "grid.yaml")
    folder = GridFolder(out)
    folder.claim(grid)
    for run in grid.runs:
        train(run.spec(corpora), folder.run(run.name).path, device="cpu")
    return out


@pytest.fixture(scope="module")
def one_fold(tmp_path_factory: pytest.TempPathFactory, corpora: dict[str, str]) -> Path:
    return run_grid(tmp_path_factory.mktemp("one") / "grid", corpora, "paper", "[frozen, lora]")


def crossed(grid: Path) -> dict[str, dict[str, Any]]:
    return {
        f"{file.parts[-4]}/{file.parts[-2]}": json.loads(file.read_text())
        for file in sorted(grid.glob("runs/*/crossed/*/metrics.json"))
    }


def test_sentences_are_the_same_whatever_their_dots_and_capitals(corpora: dict[str, str]) -> None:
    emovo, other = (open_corpus(name, Path(path)) for name, path in corpora.items())
    assert spoken.shared(emovo, other) == {"gli operai si alzano presto"}
    renamed = open_corpus("my-emovo", Path(corpora["emovo"]))
    assert renamed.corpus == "my-emovo" and spoken.shared(renamed, other) == {"gli operai si alzano presto"}
    assert spoken.sentence(other.clips[0]) in {"gli operai si alzano presto", "ieri sera pioveva a dirotto"}


def test_each_run_is_tested_on_the_other_corpus_as_evaluate_would(
    one_fold: Path, corpora: dict[str, str], tmp_path: Path
) -> None:
    outcome = cross(one_fold, {}, device="cpu")
    assert (outcome.pairs, outcome.done, outcome.failed) == (4, 4, {})
    found = crossed(one_fold)
    assert len(found) == 4
    for name, metrics in found.items():
        run, corpus = name.split("/")
        assert metrics["trained_on"] != metrics["corpus"] == corpus == metrics["crossed"]
        assert metrics["trained_on"] == run.split("_")[0] and metrics["model"] == "tested"
        tested = (CorpusSpec(name=corpus, path=corpora[corpus]),)
        same = evaluate(one_fold / "runs" / run, tested, device="cpu", out=tmp_path / run)
        assert metrics["test"] == same["test"] and metrics["test"]["n"] == 56
        rows = RunFolder(one_fold / "runs" / run / "crossed" / corpus).read_lines("predictions.jsonl")
        for row, other in zip(rows, RunFolder(tmp_path / run).read_lines("predictions.jsonl"), strict=True):
            assert row.pop("probabilities") == pytest.approx(other.pop("probabilities"), abs=2e-5)
            assert row == other
        assert metrics["identity"] == json.loads((one_fold / "runs" / run / "spec.json").read_text())["identity"]
    assert cross(one_fold, {}, device="cpu").new == 0


def test_shared_sentences_are_left_out_where_asked_for_beside_the_plain_result(
    one_fold: Path, corpora: dict[str, str]
) -> None:
    cross(one_fold, {}, exclude_shared=True, device="cpu")
    unshared = {name: metrics for name, metrics in crossed(one_fold).items() if name.endswith("-unshared")}
    assert len(unshared) == 4
    for name, metrics in unshared.items():
        assert metrics["test"]["n"] == 28
        told = metrics["shared_sentences_left_out"]
        assert told == {"sentences": ["gli operai si alzano presto"], "clips": 28}
        rows = RunFolder(one_fold / "runs" / name.split("/")[0] / "crossed" / name.split("/")[1])
        kept = {row["file"] for row in rows.read_lines("predictions.jsonl")}
        assert all("b2" in file or file.endswith("-1.wav") for file in kept)


def test_shared_sentences_are_known_by_their_words_whatever_the_corpus_is_called(
    one_fold: Path, corpora: dict[str, str], tmp_path: Path
) -> None:
    grid = shutil.copytree(one_fold, tmp_path / "grid")
    for run in {*(grid / "runs").glob("emovo_*"), *(grid / "runs").glob("*_lora_*")}:
        shutil.rmtree(run)
    outcome = cross(grid, {"my-emovo": corpora["emovo"]}, exclude_shared=True, device="cpu")
    assert (outcome.done, outcome.failed) == (1, {})
    ((name, metrics),) = ((n, m) for n, m in crossed(grid).items() if "my-emovo" in n)
    assert name.endswith("/my-emovo-unshared") and metrics["shared_sentences_left_out"]["clips"] == 28
    assert metrics["left_out"]["trained_on_by"] == {"file": 0, "content": 0, "speaker": 0, "speakers": 0}


def test_corpora_without_sentences_are_named_where_shared_ones_are_to_be_left_out(
    one_fold: Path, corpora: dict[str, str], tmp_path: Path
) -> None:
    table = write_table(tmp_path / "silent", speakers=1, parts=False)
    lines: list[str] = []
    cross(one_fold, {"silent": str(table)}, exclude_shared=True, device="cpu", say=lines.append)
    assert lines.count("note: silent has no sentences: shared ones are not left out") == 2


def test_a_run_with_folds_answers_with_every_fold_s_model(tmp_path: Path, corpora: dict[str, str]) -> None:
    grid = run_grid(tmp_path / "grid", corpora, "kfold:3", "frozen")
    cross(grid, {"emovo": corpora["emovo"]}, device="cpu")
    found = crossed(grid)
    assert len(found) == 1  # the run trained on the other corpus
    for name, metrics in found.items():
        run = grid / "runs" / name.split("/")[0]
        assert (metrics["model"], metrics["models"], metrics["test"]["n"]) == ("folds", 3, 3 * 56)
        rows = RunFolder(run / "crossed/emovo").read_lines("predictions.jsonl")
        alone = evaluate(run / "folds/1", (CorpusSpec(name="emovo", path=corpora["emovo"]),), device="cpu")
        first = [row for row in rows if row["fold"] == "1"]
        said = [max(row["probabilities"], key=row["probabilities"].get) == row["truth"] for row in first]
        assert np.mean(said) == pytest.approx(alone["test"]["accuracy"])
        assert {row["fold"] for row in rows} == set("123")
        # Each row is calibrated by the temperature of the model that it is of.
        own = {fold: temperature_of(load_classifier(run / f"folds/{fold}/model")[1]) for fold in "123"}
        assert len(set(own.values())) > 1
        assert metrics["confidence"] == {
            "temperature": None,
            "test": before_and_after(rows, [own[row["fold"]] for row in rows]),
        }

    # Under another name it is the run's own corpus: each fold's model is tested on the clips that are new to it.
    cross(grid, {"mine": corpora["emovo"]}, device="cpu")
    (own,) = (json.loads(file.read_text()) for file in grid.glob("runs/emovo_*/metrics.json"))
    (again,) = (metrics for name, metrics in crossed(grid).items() if name.startswith("emovo_"))
    assert again["test"]["confusion"] == own["test"]["confusion"] and again["test"]["n"] == 56
    assert again["left_out"]["trained_on_by"]["file"] == again["left_out"]["trained_on"] == 2 * 56


def test_a_corpus_that_only_joined_trainings_is_tested_where_it_is_named(
    one_fold: Path, corpora: dict[str, str], tmp_path: Path
) -> None:
    grid = shutil.copytree(one_fold, tmp_path / "grid")
    for run in (grid / "runs").glob("emovo_*"):
        content = json.loads((run / "spec.json").read_text())
        content["spec"]["auxiliary"] = [{"name": "more", "path": str(tmp_path / "more")}]
        (run / "spec.json").write_text(json.dumps(content))
    assert set(crossing.tested_corpora(grid)) == set(corpora)
    outcome = cross(grid, {}, device="cpu")
    assert (outcome.pairs, outcome.failed) == (4, {})
    outcome = cross(grid, {"more": corpora["emovo"]}, device="cpu")
    assert (outcome.pairs, outcome.failed) == (2, {}), "the runs that have not learned from it"


def test_a_corpus_is_read_as_the_grid_reads_it(
    one_fold: Path, corpora: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its labels and options; those of the call go before the grid's, and other corpora have none of it."""
    grid = shutil.copytree(one_fold, tmp_path / "grid")
    plan = json.loads((grid / "grid.json").read_text())
    for run in plan["runs"]:
        is_own = run["corpus"] == "emovo"
        run["labels"] = {"fear": "drop"} | ({"emovo:joy": "surprise"} if is_own else {})
        run |= {"options": {"emovo": {"first": "1", "second": "2"}}} if is_own else {}
    plan["runs"].append({"run": "not_begun", "labels": {"demos:joy": "drop"}})
    (grid / "grid.json").write_text(json.dumps(plan))
    options, maps = {}, {}
    read_clips, open_one = crossing.read_test_clips, crossing.open_corpus

    def watched(specs: tuple[CorpusSpec, ...], labels: dict[str, str], **switches: Any) -> Any:
        options[specs[0].name] = specs[0].options
        return read_clips((specs[0].model_copy(update={"options": {}}),), labels, **switches)

    def opened(name: str, path: Path, *, label_map: dict[str, str], **switches: Any) -> Any:
        maps[name] = label_map
        return open_one(name, path, label_map=label_map, **switches)

    monkeypatch.setattr(crossing, "read_test_clips", watched)
    monkeypatch.setattr(crossing, "open_corpus", opened)
    outcome = cross(grid, {}, device="cpu", options={"emovo": {"second": "3"}})
    assert (outcome.new, outcome.failed) == (4, {})
    assert options == {"emovo": {"first": "1", "second": "3"}, "emozionalmente": {}}
    labels = {
        corpus: {
            json.loads(row)["truth"]
            for file in grid.glob(f"runs/*/crossed/{corpus}/predictions.jsonl")
            for row in file.open()
        }
        for corpus in corpora
    }
    assert labels["emozionalmente"] == set(EMOTIONS) - {"fear"} == labels["emovo"] | {"joy"}
    cross(grid, {}, device="cpu", exclude_shared=True)
    assert maps == {"emovo": {"fear": "drop", "joy": "surprise"}, "emozionalmente": {"fear": "drop"}}
    outcome = cross(grid, {}, device="cpu", labels={"emovo:joy": "joy"}, options={"emovo": {"second": "3"}})
    assert outcome.new == 2, "the tests on emovo, whose clips have other labels"
    with pytest.raises(UserError, match="unknown corpus in --label emov:joy=joy: 'emov'"):
        cross(grid, {}, device="cpu", labels={"emov:joy": "joy"})


def test_a_corpus_that_has_changed_is_tested_anew_and_a_failure_stops_nothing_else(
    one_fold: Path, corpora: dict[str, str], tmp_path: Path
) -> None:
    grid = shutil.copytree(one_fold, tmp_path / "grid")
    cross(grid, {}, device="cpu")
    changed = shutil.copytree(corpora["emovo"], tmp_path / "emovo")
    soundfile.write(changed / "f1/rab-f1-b1.wav", sound(0, 99, 9, 0.4), RATE_HZ)
    run = next((grid / "runs").glob("emozionalmente_*_lora_*"))
    shutil.rmtree(run / "model")
    told: list[str] = []
    outcome = cross(grid, {"emovo": str(changed)}, device="cpu", tell=lambda *what: told.append(what[2]))
    assert (outcome.pairs, outcome.new) == (2, 1)
    assert list(outcome.failed) == [f"{run.name} on emovo"] and "has no model" in "".join(told)


def test_a_corpus_that_cannot_be_used_is_read_once_and_fails_its_tests_alone(
    one_fold: Path, corpora: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = shutil.copytree(one_fold, tmp_path / "grid")
    bad = shutil.copytree(corpora["emovo"], tmp_path / "emovo")
    (bad / "f1/rab-f1-b1.wav").write_bytes(b"no sound")
    read, heard = [], crossing.read_test_clips
    monkeypatch.setattr(crossing, "read_test_clips", lambda *a, **k: (read.append(1), heard(*a, **k))[1])
    outcome = cross(grid, {"emovo": str(bad)}, device="cpu")
    assert len(outcome.failed) == outcome.pairs == 2 and len(read) == 1
    assert all("rab-f1-b1.wav" in told for told in outcome.failed.values())


def test_the_command_tells_what_it_does_and_what_cannot_be(
    one_fold: Path, corpora: dict[str, str], tmp_path: Path
) -> None:
    made = CliRunner().invoke(app, ["grid", "cross", str(one_fold), "--json", "--device", "cpu"])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["done"] == 4
    (tmp_path / "grid.json").write_text("{}")
    with pytest.raises(UserError, match=r"grid.json: not the plan of a grid; remove it"):
        cross(tmp_path, {})
    (tmp_path / "grid.json").write_text('{"name": "x", "runs": []}')
    with pytest.raises(UserError, match=r"no run of the grid in .* is done yet"):
        cross(tmp_path, {})
    shutil.copytree(one_fold, tmp_path / "copy")
    for run in (tmp_path / "copy/runs").glob("emozionalmente_*"):
        shutil.rmtree(run)
    with pytest.raises(UserError, match="trained on emovo; give a corpus to test on: --corpus NAME=PATH"):
        cross(tmp_path / "copy", {})
