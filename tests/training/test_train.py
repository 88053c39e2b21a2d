"""Whole runs: what they write, that test clips stay unseen, that a run is what its spec says."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from sklearn.preprocessing import StandardScaler

from affetto.corpora.labels import EMOTIONS
from affetto.corpora.manifest import Clip
from affetto.errors import UserError
from affetto.evaluation.testing import evaluate
from affetto.inference.loading import load
from affetto.measures.probability import expected_calibration_error
from affetto.models.device import KINDS
from affetto.models.novelty import NOVELTY
from affetto.targets.temperature import calibrated, fit_temperature
from affetto.training import loop, probes
from affetto.training.fold_means import median_epochs
from affetto.training.folds import known_of
from affetto.training.selection import whole_speakers
from affetto.training.spec import CorpusSpec
from affetto.training.train import train
from training.corpora import spec, timeless, write_table

METHODS = ("probe", "frozen", "adapter", "lora", "full")
SCORES = {"macro_f1", "uar", "weighted_f1", "accuracy", "per_class", "per_speaker", "n", "interval"}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("corpus"))


def lines(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def weights(run: Path) -> dict[str, np.ndarray]:
    """Tensors of a run's model, but for the distances of tested clips, in whose terms novelty is told."""
    return {
        f"{file.name}/{name}": tensor.numpy()
        for file in sorted((run / "model").rglob("*.safetensors"))
        for name, tensor in load_file(file).items()
        if (file.name, name) != (NOVELTY, "held_out")
    }


def same_weights(a: Path, b: Path) -> bool:
    one, other = weights(a), weights(b)
    assert one.keys() == other.keys() and one
    return all(np.array_equal(one[name], other[name]) for name in one)


# What a run writes -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folded(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three folds, with a final model; for reading only."""
    out = tmp_path_factory.mktemp("folded") / "run"
    train(spec(table, split="kfold:3"), out)
    return out


@pytest.mark.parametrize(
    ("recipe", "precision", "tolerance"), [("paper", "float32", 2e-5), ("recommended", "float16", 4e-3)]
)
@pytest.mark.parametrize("method", METHODS)
def test_a_run_writes_what_it_says_and_predicts_what_it_has_written(
    method: str, recipe: str, precision: str, tolerance: float, table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    metrics = train(spec(table, method, recipe, overrides={"store.precision": precision}), out)
    assert metrics == json.loads((out / "metrics.json").read_text())
    for part in ("test", "validation"):
        assert metrics[part].keys() >= SCORES and metrics[part]["n"] == 7
    assert ("probe" in metrics) == (method != "probe")
    for key in ("trainable_parameters", "backbone_parameters", "wall_seconds", "split_checksum", "best_epoch"):
        assert key in metrics
    rows = lines(out / "predictions.jsonl")
    assert [row["speaker"] for row in rows] == ["s5"] * 7
    assert {row["speaker"] for row in lines(out / "validation_predictions.jsonl")} == {"s4"}
    for row in rows:
        assert row.keys() == {"file", "speaker", "truth", "probabilities"}
        assert list(row["probabilities"]) == list(EMOTIONS)
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert not (out / "checkpoint.safetensors").exists() and not (out / ".lock").exists()
    assert max(file.stat().st_mtime_ns for file in out.rglob("*")) == (out / "metrics.json").stat().st_mtime_ns
    predictor = load(out)
    predictor.temperature = 1.0  # the predictions of a run are not calibrated
    results = list(predictor.stream([table.parent / row["file"] for row in rows]))
    for row, result in zip(rows, results, strict=True):
        assert list(result.probabilities.values()) == pytest.approx(list(row["probabilities"].values()), abs=tolerance)
    alone = predictor(table.parent / rows[0]["file"])
    assert list(alone.probabilities.values()) == pytest.approx(list(results[0].probabilities.values()), abs=1e-5)
    wave, _ = soundfile.read(table.parent / rows[0]["file"], dtype="float32")
    assert predictor(wave).probabilities == pytest.approx(alone.probabilities, abs=1e-6)


@pytest.mark.parametrize(("recipe", "epoch"), [("recommended", 2), ("paper", 1)])
def test_the_recommended_recipe_tests_its_last_epoch(
    recipe: str, epoch: int, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores fall from epoch to epoch, so that validation would choose the first."""
    calls = itertools.count()

    def falling(*_: object, **_named: object) -> dict[str, float]:
        return {"macro_f1": 1 - next(calls) / 10, "uar": 0.5, "loss": 1.0}

    monkeypatch.setattr(loop, "validation_scores", falling)
    assert train(spec(table, recipe=recipe), tmp_path / "run")["best_epoch"] == epoch


def test_metrics_are_those_of_scikit_learn_on_the_predictions(folded: Path) -> None:
    metrics = json.loads((folded / "metrics.json").read_text())
    for file, scored in (("predictions.jsonl", metrics["test"]), ("probe_predictions.jsonl", metrics["probe"]["test"])):
        rows = lines(folded / file)
        truth = [row["truth"] for row in rows]
        predicted = [max(row["probabilities"], key=row["probabilities"].get) for row in rows]
        assert len(rows) == 42 and len({row["file"] for row in rows}) == 42
        assert scored["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
        assert scored["weighted_f1"] == pytest.approx(f1_score(truth, predicted, average="weighted"))
        assert scored["uar"] == pytest.approx(balanced_accuracy_score(truth, predicted))
        assert scored["accuracy"] == pytest.approx(accuracy_score(truth, predicted))


def test_a_run_with_folds_pools_them_and_ends_with_an_untested_model(folded: Path) -> None:
    metrics = json.loads((folded / "metrics.json").read_text())
    names = [fold["name"] for fold in metrics["folds"]]
    assert len(names) == 3 and metrics["test"]["n"] == 42
    mean = np.mean([fold["test"]["macro_f1"] for fold in metrics["folds"]])
    assert metrics["mean_of_folds"]["macro_f1"] == pytest.approx(mean)
    spread = np.std([fold["test"]["uar"] for fold in metrics["folds"]], ddof=1)
    assert metrics["mean_of_folds"]["standard_deviation"]["uar"] == pytest.approx(spread) and spread > 0
    assert metrics["final"]["epochs"] == sorted(fold["best_epoch"] for fold in metrics["folds"])[1]
    assert metrics["final"]["tested"] is False
    assert json.loads((folded / "model/affetto.json").read_text())["trained_on"] == "final"
    assert {row["speaker"] for row in lines(folded / "trained_on.jsonl")} == {f"s{k}" for k in range(6)}
    for name in names:  # whom a fold tests, it has not seen
        seen = {row["speaker"] for row in lines(folded / f"folds/{name}/trained_on.jsonl")}
        tested = {row["speaker"] for row in lines(folded / f"folds/{name}/predictions.jsonl")}
        assert len(tested) == 2 and seen == {f"s{k}" for k in range(6)} - tested


def test_without_a_final_model_predict_says_where_the_folds_are(table: Path, tmp_path: Path) -> None:
    quick = {"model.layer": "1", "probe.inner_folds": "2", "probe.strengths": "[0.01]"}
    metrics = train(spec(table, "probe", split="kfold:3", final=False, overrides=quick), tmp_path / "run")
    assert metrics["final"]["trained"] is False
    names = [fold["name"] for fold in metrics["folds"]]
    with pytest.raises(UserError, match=rf"no final model.*{', '.join(names)}"):
        load(tmp_path / "run")
    assert load(tmp_path / f"run/folds/{names[0]}").labels == EMOTIONS


def test_the_final_model_is_trained_for_the_median_of_the_best_epochs() -> None:
    assert [median_epochs(best, 0) for best in ([3, 1, 9], [2, 3], [0, 0, 4])] == [3, 3, 0]
    assert median_epochs([0, 0, 4], 1) == 1


# Honesty -----------------------------------------------------------------------------------------


SAME = ("audio/s5-joy-0.wav", "audio/s5-neutrality-0.wav")
"""Clips of the tested speaker that stay as they are where her others change."""


@pytest.mark.parametrize(("method", "recipe"), [("probe", "recommended"), ("frozen", "paper"), ("lora", "recommended")])
@pytest.mark.slow
def test_what_is_learned_does_not_depend_on_the_test_clips(method: str, recipe: str, tmp_path: Path) -> None:
    """Other labels and other sounds of the tested speaker: the model is the same, bit for bit, and so is the probe."""
    plain = write_table(tmp_path / "plain")
    changed = write_table(tmp_path / "changed")
    header, *rows = changed.read_text().splitlines()
    tested = [row.split(",") for row in rows if row.endswith("test") and row.split(",")[0] not in SAME]
    emotions = [emotion for _, emotion, *_ in tested]
    moved = [",".join([file, new, *rest]) for (file, _, *rest), new in zip(tested, reversed(emotions), strict=True)]
    others = [row for row in rows if row.split(",") not in tested]
    changed.write_text("\n".join([header, *others, *moved]) + "\n")
    for file in (name for name, *_ in tested):
        noise = np.random.default_rng(len(file)).standard_normal(9000) * 0.1
        soundfile.write(tmp_path / "changed" / file, noise.astype(np.float32), 16_000, subtype="FLOAT")
    a = train(spec(plain, method, recipe), tmp_path / "a")
    b = train(spec(changed, method, recipe), tmp_path / "b")
    assert same_weights(tmp_path / "a", tmp_path / "b")
    assert a["validation"] == b["validation"] and a["best_epoch"] == b["best_epoch"]
    for file in ("predictions.jsonl", *(["probe_predictions.jsonl"] if "probe" in a else [])):
        before, after = ({row["file"]: row for row in lines(tmp_path / run / file)} for run in "ab")
        assert all(before[name] == after[name] for name in SAME), file
        # The counterpart: what was changed is what was tested.
        assert all(before[name]["probabilities"] != after[name]["probabilities"] for name, *_ in tested), file


def test_what_is_learned_does_depend_on_the_validation_clips_after_the_refit(tmp_path: Path) -> None:
    """The counterpart, without which the test above might show nothing."""
    plain, changed = write_table(tmp_path / "plain"), write_table(tmp_path / "changed")
    for file in (tmp_path / "changed/audio").glob("s4-*"):
        noise = np.random.default_rng(len(file.name)).standard_normal(9000) * 0.1
        soundfile.write(file, noise.astype(np.float32), 16_000, subtype="FLOAT")
    train(spec(plain), tmp_path / "a")
    train(spec(changed), tmp_path / "b")
    assert not same_weights(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("balanced", [True, False])
def test_the_probe_is_logistic_regression_on_standardised_statistics(
    balanced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On all clips, at a C that is as strong as the one that was chosen on the clips of three speakers."""
    table = write_table(tmp_path / "corpus")
    rare = [f"audio/s{speaker}-joy-0.wav" for speaker in (0, 1, 2)]
    table.write_text("\n".join(row for row in table.read_text().splitlines() if row.split(",")[0] not in rare) + "\n")
    monkeypatch.setattr(probes, "whole_speakers", lambda speakers: whole_speakers(speakers, 20))
    run = tmp_path / "run"
    chosen = {"store.precision": "float32", "training.class_weights": str(balanced).lower()}
    metrics = train(spec(table, "probe", overrides=chosen), run)
    layer, strength = metrics["choice"]["layer"], metrics["choice"]["strength"] * metrics["choice"]["share"]
    assert 18 <= round(metrics["choice"]["share"] * 32) <= 20
    predictor = load(run)
    backbone = predictor.classifier.backbone

    def statistics(file: str) -> np.ndarray:
        import torch

        wave, _ = soundfile.read(table.parent / file, dtype="float32")
        with torch.no_grad():
            hidden = backbone.embed(backbone.features(backbone.prepare(wave))[None], None)
            context = backbone.context(None, hidden.shape[1])
            for i in range(layer):
                hidden = backbone.block(i, hidden, context)
            state = (backbone.finish(hidden) if layer == backbone.depth else hidden)[0].double().numpy()
        return np.concatenate([state.mean(0), state.std(0)])

    rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
    known = [row for row in rows if row[3] != "test"]
    scaler = StandardScaler().fit(np.stack([statistics(row[0]) for row in known]))
    weights = "balanced" if balanced else None
    model = LogisticRegression(C=strength, max_iter=2000, tol=1e-6, class_weight=weights)
    model.fit(scaler.transform(np.stack([statistics(row[0]) for row in known])), [row[1] for row in known])
    for row in lines(run / "predictions.jsonl"):
        expected = model.predict_proba(scaler.transform(statistics(row["file"])[None]))[0]
        assert list(row["probabilities"].values()) == pytest.approx(list(expected), abs=5e-3)


# Identity ----------------------------------------------------------------------------------------


def test_the_same_spec_gives_the_same_metrics(table: Path, tmp_path: Path) -> None:
    first = train(spec(table, "lora"), tmp_path / "a")
    second = train(spec(table, "lora"), tmp_path / "b")
    assert timeless(first) == timeless(second)
    assert same_weights(tmp_path / "a", tmp_path / "b")


def test_a_finished_run_is_not_run_again_and_another_one_is_refused(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = train(spec(table), out)
    stamps = {file: file.stat().st_mtime_ns for file in out.rglob("*")}
    assert train(spec(table), out) == first
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*")} == stamps
    with pytest.raises(UserError, match=r"holds another run .*seed 0.*give another --out"):
        train(spec(table, seed=1), out)
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*")} == stamps


def test_identity_covers_what_matters_and_nothing_else(table: Path, tmp_path: Path) -> None:
    facts = {"audio": "x"}
    identity = spec(table).identity(facts)
    for same in (spec(table, skip_bad=True), spec(tmp_path / "elsewhere.csv")):
        assert same.identity(facts) == identity
    others = [
        spec(table, seed=1),
        spec(table, "lora"),
        spec(table, split="loso"),
        spec(table, split_seed=1),
        spec(table, weights_seed=1),
        spec(table, overrides={"training.lr": "1e-3"}),
        spec(table, overrides={"audio.seconds": "3"}),
        spec(table, overrides={"store.precision": "float32"}),
        spec(table, "frozen", "paper"),
    ]
    identities = {other.identity(facts) for other in others}
    assert len(identities) == len(others) and identity not in identities
    assert spec(table).identity({"audio": "y"}) != identity


# Use ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("several", [False, True])
def test_confidence_is_fitted_on_validation_speakers_and_goes_with_the_model(
    several: bool, table: Path, folded: Path, tmp_path: Path
) -> None:
    if several:
        shutil.copytree(folded, tmp_path / "run")
    else:
        train(spec(table), tmp_path / "run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    told, labels = metrics["confidence"], metrics["test"]["labels"]
    validation, tested = (lines(tmp_path / "run" / f"{part}predictions.jsonl") for part in ("validation_", ""))

    def arrays(rows):
        return np.array([list(row["probabilities"].values()) for row in rows]), [labels.index(r["truth"]) for r in rows]

    speakers = len({row["speaker"] for row in validation})
    assert told["likeliest"] == fit_temperature(*arrays(validation)) != 1
    assert told["temperature"] == pytest.approx(told["likeliest"] ** (speakers / (speakers + 3)), abs=1e-4)
    assert (told["clips"], told["speakers"]) == (len(validation), speakers)
    # Every number can be recomputed from the predictions, which are as the model gives them.
    assert told["test"]["ece"]["before"] == pytest.approx(expected_calibration_error(*arrays(tested)))
    by_fold = {fold["name"]: fold["confidence"]["temperature"] for fold in metrics.get("folds", [])}
    after = [
        calibrated(values, by_fold.get(row.get("fold"), told["temperature"]))
        for row, values in zip(tested, arrays(tested)[0], strict=True)
    ]
    assert told["test"]["ece"]["after"] == pytest.approx(expected_calibration_error(np.array(after), arrays(tested)[1]))
    assert told["validation"]["log_loss"]["after"] < told["validation"]["log_loss"]["before"]
    predictor = load(tmp_path / "run")
    carried = {name: value for name, value in predictor.card["confidence"].items() if name != "sets"}
    assert predictor.temperature == told["temperature"] and carried == told
    for name, temperature in by_fold.items():
        assert load(tmp_path / "run" / "folds" / name / "model").temperature == temperature
    found = predictor(table.parent / tested[0]["file"])
    card = tmp_path / "run" / "model" / "affetto.json"
    content = json.loads(card.read_text())
    del content["confidence"]  # a model saved before there was one
    card.write_text(json.dumps(content))
    plain = load(tmp_path / "run")(table.parent / tested[0]["file"])
    expected = calibrated(np.array(list(plain.probabilities.values())), told["temperature"])
    assert list(found.probabilities.values()) == pytest.approx(expected.tolist()) and found.emotion == plain.emotion


def test_evaluation_gives_the_test_s_scores_on_the_clips_it_has_not_seen(table: Path, tmp_path: Path) -> None:
    metrics = train(spec(table, "lora", overrides={"store.precision": "float32"}), tmp_path / "run")
    told: list[str] = []
    again = evaluate(
        tmp_path / "run", (CorpusSpec(name="table", path=str(table)),), out=tmp_path / "tested", say=told.append
    )
    for measure in ("macro_f1", "uar", "accuracy", "confusion"):
        assert again["test"][measure] == metrics["test"][measure]
    assert again["left_out"]["trained_on"] == 35 and any("35 clips" in line for line in told)
    contents = [row["content"]["samples"] for row in lines(tmp_path / "run/trained_on.jsonl")]
    assert len(set(contents)) == 35 and metrics["copies_left_out"] == 0
    # As the model gives them, without the temperature that predictions have.
    assert metrics["confidence"]["temperature"] != 1
    rows, before = lines(tmp_path / "tested/predictions.jsonl"), lines(tmp_path / "run/predictions.jsonl")
    for row, other in zip(rows, before, strict=True):
        assert row["file"] == other["file"]
        assert row["probabilities"] == pytest.approx(other["probabilities"], abs=2e-5)
    both = evaluate(tmp_path / "run", (CorpusSpec(name="table", path=str(table)),), include_seen=True)
    assert both["test"]["n"] == 42 and both["include_seen"]


def test_copies_under_two_speakers_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    table = write_table(tmp_path, takes=2)
    for original, copy in (("s0-joy-0", "s5-joy-0"), ("s1-fear-1", "s4-fear-0")):
        samples, rate_hz = soundfile.read(tmp_path / f"audio/{original}.wav", dtype="float32")
        soundfile.write(tmp_path / f"audio/{copy}.wav", np.stack([samples] * 2, axis=1), rate_hz, subtype="FLOAT")
    with pytest.raises(UserError, match=r"2 recordings are listed under two speakers.*--allow-duplicates"):
        train(spec(table, "probe"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    metrics = train(spec(table, "probe", allow_duplicates=True), tmp_path / "run")
    assert metrics["copies_left_out"] == 2 and metrics["test"]["n"] == 13
    (fold,) = json.loads((tmp_path / "run/split.json").read_text())["audit"]["folds"]
    assert fold["copies_left_out"] == {"train": 0, "validation": 1, "test": 1}
    assert "s5-joy-0" not in (tmp_path / "run/predictions.jsonl").read_text()


def test_evaluation_maps_labels_and_names_what_it_leaves_out(table: Path, tmp_path: Path) -> None:
    train(spec(table), tmp_path / "run")
    other = write_table(tmp_path / "other", speakers=2)
    text = other.read_text().replace(",fear,", ",calm,").replace(",joy,", ",bliss,").replace("audio/s0", "audio/s0")
    other.write_text(text)
    for file in (tmp_path / "other/audio").glob("*.wav"):  # other sounds than those trained on
        wave, rate = soundfile.read(file, dtype="float32")
        soundfile.write(file, wave[: len(wave) // 2], rate, subtype="FLOAT")
    told: list[str] = []
    corpora = (CorpusSpec(name="other", path=str(other)),)
    result = evaluate(tmp_path / "run", corpora, labels={"calm": "peace", "bliss": "joy"}, say=told.append)
    assert result["left_out"]["unknown_emotions"] == {"peace": 2}
    assert any("peace (2)" in line and "--label" in line for line in told)
    assert result["test"]["n"] == 12 and result["test"]["per_class"]["joy"]["n"] == 2
    with pytest.raises(UserError, match="unknown emotion 'calm'"):
        evaluate(tmp_path / "run", corpora)


def test_two_corpora_train_one_model(tmp_path: Path) -> None:
    one, other = write_table(tmp_path / "one", parts=False), write_table(tmp_path / "two", 4, parts=False)
    for file in (tmp_path / "two/audio").glob("*.wav"):
        wave, rate = soundfile.read(file, dtype="float32")
        soundfile.write(file, wave[::-1].copy(), rate, subtype="FLOAT")
    base = spec(one, split="kfold:3", final=False)
    both = base.model_copy(
        update={"corpora": (CorpusSpec(name="a", path=str(one)), CorpusSpec(name="b", path=str(other)))}
    )
    metrics = train(both, tmp_path / "run")
    assert metrics["corpus"] == "a+b" and metrics["test"]["n"] == 70
    assert {row["corpus"] for row in lines(tmp_path / "run/predictions.jsonl")} == {"a", "b"}
    assert {"a:s0", "b:s0"} <= metrics["test"]["per_speaker"].keys()


def test_a_prediction_has_gender_sentence_and_ratings_where_the_corpus_does() -> None:
    told = Clip("a.wav", "joy", "f1", "c", "female", "p", extra=(("raters", "joy|fear|joy"), ("raters_agree", "2")))
    assert known_of(told) == {"gender": "female", "prompt": "p", "ratings": {"joy": 2, "fear": 1}}
    assert known_of(Clip("a.wav", "joy", "f1")) == {}


# Padded batches below the cut ---------------------------------------------------------------------


@pytest.mark.parametrize(("method", "augment"), [("frozen", {}), ("lora", {"augment.noise_snr_db": "20"})])
def test_a_device_that_takes_padded_batches_trains_to_the_same_predictions(
    method: str, augment: dict[str, str], table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_spec = spec(table, method, overrides={"store.precision": "float32"} | augment)
    probabilities = []
    for side_by_side in (True, False):
        monkeypatch.setenv("AFFETTO_CACHE", str(tmp_path / f"cache-{side_by_side}"))
        monkeypatch.setitem(KINDS, "cpu", replace(KINDS["cpu"], clips_side_by_side=side_by_side))
        out = tmp_path / f"run-{side_by_side}"
        train(run_spec, out)
        rows = lines(out / "predictions.jsonl")
        probabilities.append(np.array([list(row["probabilities"].values()) for row in rows]))
    assert np.abs(probabilities[0] - probabilities[1]).max() < 1e-4
