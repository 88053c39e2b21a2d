"""What a run computes, by hand."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.families.registry import FAMILIES
from affetto.corpora.registry import CORPORA
from affetto.experiments.estimate import OVERHEAD_SECONDS, PROBE_RATE, estimates
from affetto.experiments.grid import read
from affetto.experiments.named import grid_file
from affetto.experiments.states import GridFolder
from affetto.experiments.work import PROBE_ITERATIONS, folds, operations, passes, probe_operations
from affetto.models.parallel import threads
from affetto.training.spec import settings

BASE = FAMILIES["wav2vec2"].operations(BACKBONES["wav2vec2-base"].config, 4.0)
HEAD = 2 * BASE.frames * (768 * 256 + 2 * 256 * 256)


@pytest.fixture(scope="module")
def paper():
    return {
        run["method"]: run
        for run in read(grid_file(Path("paper"))).runs
        if (run["backbone"], run["corpus"], run["seed"]) == ("wav2vec2-base", "emovo", 0)
    }


def test_a_run_of_the_paper_s(paper):
    trained, judged = 30 * 0.8 * 588, (30 * 0.1 + 0.2) * 588
    blocks = 12 * BASE.block
    frozen, lora = operations(paper["frozen"], stored=False), operations(paper["lora"], stored=False)
    assert frozen == pytest.approx(588 * BASE.forward + trained * 3 * HEAD + judged * HEAD)
    assert lora == pytest.approx(588 * BASE.forward + trained * (2 * blocks + 3 * HEAD) + judged * (blocks + HEAD))
    assert operations(paper["lora"], stored=True) == pytest.approx(lora - 588 * BASE.forward)


def test_folds_and_a_refit_are_counted_and_what_is_unknown_stays_so(paper):
    def alike(run, split, **chosen):
        resolved = settings("paper", chosen, method=run["method"])
        return replace(run, values={**run.values, "split": split}, settings=resolved)

    lora = paper["lora"]
    blocks = 12 * BASE.block + HEAD
    each, judging = 2 * 12 * BASE.block + 3 * HEAD, blocks
    loso = operations(alike(lora, "loso"), stored=True)
    by_hand = 6 * 588 * (30 * 4 / 6 * each + (30 / 6 + 2 / 6) * judging)
    assert loso == pytest.approx(by_hand)
    refitted = operations(alike(lora, "loso", **{"training.refit": "true"}), stored=True)
    assert refitted == pytest.approx(by_hand + 6 * 588 * 30 * 5 / 6 * each)
    assert operations(alike(lora, "kfold:3"), stored=True) == pytest.approx(
        3 * 588 * (30 / 3 * each + (30 / 3 + 2 / 3) * judging)
    )
    for corpus, count in {"ravdess": 6, "emodb": 10, "ased": 5, "emovo": 1, "emovo+emodb": 1}.items():
        assert folds(replace(lora, values={**lora.values, "corpus": corpus, "split": None})) == count
    assert operations(alike(lora, "loso", **{"audio.seconds": "null"}), stored=True) is None
    assert operations(replace(lora, values={**lora.values, "corpus": "mine"}), stored=True) is None
    assert operations(replace(lora, values={**lora.values, "backbone": "./mine"}), stored=True) is None


def test_the_shapes_of_a_checkpoint_folder_are_those_of_its_configuration(paper, tmp_path):
    def on(backbone, **values):
        return replace(paper["lora"], values={**paper["lora"].values, "backbone": str(backbone), **values})

    config = {"model_type": "wav2vec2", **BACKBONES["wav2vec2-large"].config}
    (tmp_path / "config.json").write_text(json.dumps(config))
    large, drawn = on("wav2vec2-large"), on("wav2vec2-large", random_weights=True)
    assert operations(on(tmp_path), stored=False) == operations(large, stored=False) > 0
    assert probe_operations(on(tmp_path)) == probe_operations(large) > 0
    assert operations(drawn, stored=False) == operations(large, stored=False)
    for broken in ('{"model_type": "bert"}', "[]", "{", '{"model_type": "whisper", "d_model": "many"}'):
        (tmp_path / "config.json").write_text(broken)
        assert operations(on(tmp_path), stored=False) is None and probe_operations(on(tmp_path)) == 0
    (tmp_path / "config.json").unlink()
    assert operations(on(tmp_path), stored=False) is None


def test_a_folder_is_taken_before_a_key_and_random_weights_take_the_key(paper, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wav2vec2-base").mkdir()
    config = {"model_type": "wav2vec2", **BACKBONES["wav2vec2-large"].config}
    (tmp_path / "wav2vec2-base" / "config.json").write_text(json.dumps(config))
    run = paper["frozen"]
    drawn = replace(run, values={**run.values, "random_weights": True})
    assert operations(run, stored=False) > 2 * operations(drawn, stored=False)


def test_an_estimate_without_a_finished_run_is_reckoned_by_the_rate(paper, tmp_path):
    runs, folder = list(paper.values()), GridFolder(tmp_path)
    assert all(estimate.seconds is None for estimate in estimates(folder, runs).values())
    reckoned = estimates(folder, runs, lambda precision: 1e11)
    for run in runs:
        estimate = reckoned[run.name]
        assert estimate.operations is not None and estimate.basis == 0 and estimate.size_bytes is None
        choosing = probe_operations(run) / (PROBE_RATE * threads())
        assert estimate.seconds == pytest.approx(OVERHEAD_SECONDS + choosing + estimate.operations / 1e11, abs=0.06)
        assert "reckoned" in estimate.to_json()["estimate_basis"]


def test_probes_are_counted_by_their_fits(paper):
    def probes(method, split="loso", **changed):
        run = paper["frozen"]
        values = {**run.values, "method": method, "split": split, "auxiliary": changed.pop("auxiliary", "")}
        return probe_operations(replace(run, values=values, settings=settings("recommended", changed, method=method)))

    fit = 4 * 2 * 768 * 7 * PROBE_ITERATIONS
    # All 13 states are tried under one strength, and twelve at the most (three groups of four) under all five.
    assert probes("frozen") == pytest.approx(6 * 5 * (13 + 12 * 4) * fit * 588 * 5 / 6 * 4 / 5)
    assert probes("probe", "kfold:3") == pytest.approx(3 * 4 * (13 + 12 * 4) * fit * 588 * 2 / 3 * 3 / 4)
    assert probes("frozen", **{"model.states": "1"}) == pytest.approx(probes("frozen") * (13 + 3 * 4) / (13 + 12 * 4))
    assert probes("lora") == pytest.approx(2 * probes("frozen"))
    assert probes("frozen", auxiliary="ravdess") / probes("frozen") == pytest.approx(1 + 1248 / 392)
    assert probes("frozen", auxiliary="nemo") / probes("frozen") == pytest.approx(1 + 2000 / 392)
    assert probes("frozen", auxiliary="table") == 0
    assert probe_operations(paper["lora"]) == pytest.approx(5 * (13 + 12 * 4) * fit * 588 * 0.9 * 4 / 5)


def test_clips_that_join_the_training_are_prepared_and_trained_on_and_never_judged(paper):
    lora = paper["lora"]
    joined = replace(lora, values={**lora.values, "auxiliary": "emodb"})
    more = CORPORA["emodb"].clips
    step = 2 * 12 * BASE.block + 3 * HEAD
    assert operations(joined, stored=True) == pytest.approx(operations(lora, stored=True) + 30 * more * step)
    prepared = operations(joined, stored=False) - operations(joined, stored=True)
    assert prepared == pytest.approx((588 + more) * BASE.forward)
    unknown = replace(lora, values={**lora.values, "auxiliary": "table"})
    assert operations(unknown, stored=True) is None


def test_stored_copies_are_prepared_and_trained_on_and_never_judged(paper):
    lora = paper["lora"]
    augment = lora.settings.augment.model_copy(update={"copies": ("speed:0.9", "speed:1.1")})
    copied = replace(lora, settings=lora.settings.model_copy(update={"augment": augment}))
    before, after = passes(lora, 588), passes(copied, 588)
    assert after.trained == pytest.approx(3 * before.trained) and after.judged == before.judged
    prepared = operations(copied, stored=False) - operations(copied, stored=True)
    assert prepared == pytest.approx(3 * 588 * BASE.forward)


def test_fewer_speakers_are_fewer_clips_to_learn_from_and_as_many_to_test(paper):
    """RAVDESS has 24 speakers: of the 16 that a fold of three does not test, 4 are a quarter."""
    ravdess = replace(paper["lora"], values={**paper["lora"].values, "corpus": "ravdess", "split": "kfold:3"})

    def asked(speakers):
        return replace(ravdess, settings=settings("paper", {"training.speakers": str(speakers)}, method="lora"))

    whole, few = passes(asked(0), 1200), passes(asked(4), 1200)
    assert few.trained == pytest.approx(whole.trained / 4)
    tested = 3 * 1200 / 3
    assert few.judged - tested == pytest.approx((whole.judged - tested) / 4)
    assert passes(asked(16), 1200) == whole == passes(asked(99), 1200), "a number that is refused later is no more"


def test_heads_that_have_not_heard_the_speaker_take_a_pass_over_the_training_clips(paper):
    lora = paper["lora"]
    plain, crossed = (
        passes(replace(lora, settings=settings("recommended", {"training.cross_fit": groups}, method="lora")), 588)
        for groups in ("0", "4")
    )
    assert crossed.trained == plain.trained
    assert crossed.judged == pytest.approx(plain.judged + plain.trained)
