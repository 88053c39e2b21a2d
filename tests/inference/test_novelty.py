"""Recordings unlike the training clips: how novel they are, and that they get no answer where that is asked for."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from affetto.cli import app
from affetto.errors import UserError
from affetto.inference.backends.padded import PaddedModel
from affetto.inference.backends.shared import load_folders
from affetto.inference.backends.trained import ClassifierPredictor
from affetto.inference.decision import NOVEL
from affetto.inference.loading import load
from affetto.inference.predictor import Predictor
from affetto.models.novelty import NOVELTY, Novelty
from affetto.serving.catalogue import model_of
from affetto.training.train import train
from inference.saved import saved_model
from serving.served import Serving, wav
from training.corpora import RATE_HZ, sound, spec, write_table

TargetRun = Callable[[str], Path]
SILENCE = np.zeros(RATE_HZ, np.float32)
WHISTLE = (0.3 * np.sin(2 * np.pi * 3000 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)


def watching(model: Path, refuse_novel: float = 1.0) -> Predictor:
    predictor = load(model, device="cpu")
    predictor.watch(refuse_novel)
    return predictor


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of three folds, beside its corpus."""
    folder = tmp_path_factory.mktemp("crossed")
    table = write_table(folder / "corpus", parts=False)
    overrides = {"model.layer": "1", "probe.strengths": "[0.01]", "training.epochs": "1"}
    train(spec(table, split="kfold:3", probe=False, overrides=overrides), folder / "run")
    return folder / "run"


def test_held_out_clips_are_as_far_as_the_training_measured(crossed: Path) -> None:
    folds = sorted((crossed / "folds").iterdir())
    distances = []
    for fold in folds:
        files = [json.loads(line)["file"] for line in (fold / "predictions.jsonl").read_text().splitlines()]
        waves = [soundfile.read(crossed.parent / "corpus" / file, dtype="float32")[0] for file in files]
        predictor = watching(fold)
        novelty = Novelty.load(fold / "model")
        assert novelty is not None
        rows = predictor.window_probabilities(waves)
        assert rows.shape == (14, 8) and rows[:, :7].sum(1) == pytest.approx(1)
        assert np.sort(rows[:, 7]) == pytest.approx(novelty.held_out, rel=0.01)
        distances.append(novelty.held_out)
    final = Novelty.load(crossed / "model")
    assert final is not None
    assert final.held_out == pytest.approx(np.sort(np.concatenate(distances)))


def test_whistles_and_silence_are_more_novel_than_clips_of_the_corpus(crossed: Path) -> None:
    predictor = watching(crossed)
    clips = [predictor(sound(emotion, speaker, 1)).novelty for emotion in range(7) for speaker in range(6)]
    assert np.mean(clips) < 0.7
    for strange in (WHISTLE, SILENCE):
        assert predictor(strange).novelty == pytest.approx(42 / 43)


def test_answers_are_those_of_a_model_that_does_not_watch(crossed: Path) -> None:
    plain, predictor = load(crossed, device="cpu"), watching(crossed)
    long = np.tile(sound(2, 1, 0), 20)
    for wave in (sound(1, 0, 0), long, SILENCE):
        answer, watched = plain(wave), predictor(wave)
        assert answer.novelty is None and answer.refused is None and watched.refused is None
        assert watched.probabilities == pytest.approx(answer.probabilities, abs=1e-6)
        assert watched.windows == answer.windows
    rows = predictor.window_probabilities([sound(1, 0, 0), SILENCE])
    assert isinstance(predictor, ClassifierPredictor)
    predictor.classifier.merge()  # cut as on a GPU
    padded = PaddedModel(predictor.classifier, predictor.device, predictor.window_seconds)
    both = padded.begin([sound(1, 0, 0), SILENCE], "both")()
    assert predictor.novelty is not None
    assert predictor.novelty.distances(both[:, 7:]) == pytest.approx(rows[:, 7], rel=1e-3)


@pytest.mark.parametrize("name", ["classes", "multilabel", "joint", "dimensions"])
def test_a_refused_recording_has_probabilities_alone(name: str, target_run: TargetRun, tmp_path: Path) -> None:
    run, out = target_run(name), tmp_path / "labels.csv"
    soundfile.write(tmp_path / "silence.wav", SILENCE, RATE_HZ, subtype="FLOAT")
    soundfile.write(tmp_path / "clip.wav", sound(1, 0, 0), RATE_HZ, subtype="FLOAT")
    answer = watching(run, 0.5)(SILENCE)
    assert (answer.refused, answer.emotion, answer.dimensions, answer.intervals) == (NOVEL, None, {}, {})
    assert not answer.labels and not answer.abstained and answer.probabilities.keys() == set(load(run).labels)

    def predict(*words: str) -> str:
        files = [str(tmp_path / "silence.wav"), str(tmp_path / "clip.wav")]
        sets = ["--coverage", "0.5"] if name in ("classes", "joint") else []
        arguments = ["predict", str(run), *files, "--device", "cpu", "--quiet", "--refuse-novel", "0.87", *sets, *words]
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, done.output
        return done.stdout

    rows = [json.loads(line) for line in predict("--format", "jsonl").splitlines()]
    assert rows[0]["refused"] == NOVEL and "refused" not in rows[1] and rows[1]["novelty"] < 0.87
    assert not {"set", "dimensions", "intervals", "abstained"} & rows[0].keys()
    assert ("dimensions" in rows[1]) == (name in ("joint", "dimensions"))
    assert ("set" in rows[1]) == (name in ("classes", "joint"))
    predict("--out", str(out))
    cells = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [row["refused"] for row in cells] == [NOVEL, ""]
    assert float(cells[0]["novelty"]) == pytest.approx(rows[0]["novelty"], abs=1e-6)
    before = out.read_text()
    predict("--out", str(out), "--resume")
    assert out.read_text() == before
    table = predict()
    assert NOVEL in table and "novelty" in table


def test_a_model_in_whole_numbers_has_no_novelty(crossed: Path) -> None:
    quantised = load(crossed, device="cpu", precision="int8")
    assert model_of("a", quantised).watched is None
    with pytest.raises(UserError, match="in int8, which moves its states"):
        quantised.watch()
    together = load_folders(
        {name: crossed / "folds" / name / "model" for name in ("1", "2")}, device="cpu", backbone=None, precision="int8"
    )
    assert [member.novelty for member in together.values()] == [None, None]


def test_a_model_without_statistics_says_so(tmp_path: Path) -> None:
    early = load(saved_model(tmp_path / "early", "whisper-mini", "frozen"), device="cpu")
    with pytest.raises(UserError, match="this model has no statistics of its training clips"):
        early.watch()
    novelty = Novelty.fit(np.random.default_rng(0).normal(size=(40, 6)), np.zeros(40, dtype=np.int64))
    assert novelty is not None
    early.novelty = replace(novelty, held_out=np.arange(20, dtype=np.float64))
    for share in (0.9, 1.0):
        early.watch(share)
    with pytest.raises(UserError, match=r"0\.99 refuses nothing: .* 20 held-out clips, .* 0\.952"):
        early.watch(0.99)
    novelty.save(tmp_path / "early")
    with pytest.raises(UserError, match=rf"{NOVELTY}: of another model"):
        load(tmp_path / "early", device="cpu")


def test_a_server_refuses_what_a_request_asks_it_to(target_run: TargetRun, tmp_path: Path) -> None:
    early = load(saved_model(tmp_path / "early", "whisper-mini", "frozen"), device="cpu")
    with Serving({"classes": load(target_run("classes"), device="cpu"), "early": early}) as url:

        def ask(query: dict[str, str], form: dict[str, str]) -> httpx.Response:
            return httpx.post(f"{url}/v1/predict", params=query, data=form, files={"file": wav(SILENCE)}, timeout=60)

        plain, offline = ask({}, {}).json(), watching(target_run("classes"))(SILENCE)
        assert "novelty" not in plain and plain["emotion"]
        told = ask({"refuse_novel": "1"}, {}).json()
        assert told["novelty"] == pytest.approx(offline.novelty) and told["emotion"] == plain["emotion"]
        for answer in (ask({"refuse_novel": "0.5"}, {}).json(), ask({}, {"refuse_novel": "0.5"}).json()):
            assert answer["refused"] == NOVEL and answer["emotion"] is None
            assert answer["probabilities"] == pytest.approx(plain["probabilities"], abs=1e-5)
        refused = ask({"model": "early", "refuse_novel": "0.5"}, {})
        assert refused.status_code == 422 and refused.json()["message"].startswith("refuse_novel: the model 'early': ")
