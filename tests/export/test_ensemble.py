"""One model from several: means of members, one copy of a shared backbone, what they were trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.evaluation.seen import trained_on
from affetto.evaluation.testing import evaluate
from affetto.export.ensemble import build_ensemble
from affetto.export.source import trained_predictor
from affetto.export.upload import export_hub
from affetto.inference.loading import load
from affetto.inference.shared_weights import load_together, shared_bytes
from affetto.models.saved import CARD
from affetto.serving.catalogue import Catalogue
from affetto.targets.classes import Classes
from affetto.targets.dimensions import Dimensions, Interval
from affetto.targets.joint import Joint
from affetto.targets.multilabel import Multilabel
from affetto.training.train import train
from inference.saved import saved_model
from models.systems import clips
from training.corpora import spec, write_table

KEYS = ("whisper-mini", "wav2vec2-mini")


def member(folder: Path, key: str = KEYS[0], method: str = "lora", *, facts: dict | None = None, **options) -> Path:
    """A model's folder with other numbers in its card, and a list of clips that names its speaker."""
    saved_model(folder, key, method, **options)
    card = json.loads((folder / CARD).read_text()) | (facts or {})
    (folder / CARD).write_text(json.dumps(card))
    row = {"clip": f"{folder.name}.wav", "corpus": card["corpus"], "speaker": folder.name, "audio": folder.name}
    (folder / "trained_on.jsonl").write_text(json.dumps(row) + "\n")
    return folder


@pytest.fixture(scope="module")
def members(tmp_path_factory) -> list[Path]:
    """Two members on one backbone, one on another, each with a temperature and a window of its own."""
    root = tmp_path_factory.mktemp("members")
    facts = [
        {"confidence": {"temperature": 0.5}, "corpus": "emovo", "licence": "A"},
        {"confidence": {"temperature": 3.0}, "corpus": "demos+emovo", "licence": "B", "synthetic": False},
        {"confidence": {"temperature": 1.0}, "corpus": "emovo", "licence": "A"},
    ]
    return [
        member(root / "anna", method="lora", facts=facts[0]),
        member(root / "bea", method="adapter", facts=facts[1], seconds=1.0),
        member(root / "carla", KEYS[1], "frozen", facts=facts[2], seconds=None),
    ]


@pytest.fixture(scope="module")
def ensemble(members, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("ensemble") / "out"
    build_ensemble(members, out)
    return out


def test_probabilities_are_the_mean_of_the_members_each_at_its_temperature(members, ensemble):
    waves = clips(0.5, 0.9)
    alone = [load(folder, device="cpu").classify(waves) for folder in members]
    together = load(ensemble, device="cpu")
    for number, answer in enumerate(together.classify(waves)):
        mean = np.mean([list(answers[number].probabilities.values()) for answers in alone], axis=0)
        assert list(answer.probabilities.values()) == pytest.approx(mean, abs=2e-6)
    assert together.window_seconds == 1.0
    (long,) = together.classify(clips(2.5))
    assert long.windows == 4 and long.seconds_heard == 2.5


def test_members_on_one_backbone_share_it_in_memory(ensemble):
    first, second, third = load(ensemble, device="cpu").members
    backbone = first.classifier.backbone
    own = sum(p.nbytes for name, p in backbone.named_parameters() if "lora_" not in name)
    assert shared_bytes(first, second) >= own
    assert not shared_bytes(first, third)


def test_frozen_states_that_members_share_are_computed_once(tmp_path, monkeypatch):
    folders = [
        member(tmp_path / "anna", method="frozen"),
        member(tmp_path / "bea", method="probe"),
        member(tmp_path / "carla", method="frozen", pooling="layer", layer=1),
    ]
    (wave,) = clips(0.5)
    alone = [list(load(folder, device="cpu")(wave).probabilities.values()) for folder in folders]
    build_ensemble(folders, tmp_path / "out")
    together = load(tmp_path / "out", device="cpu")
    backbone = together.members[0].classifier.backbone
    passes: list[int] = []
    features = backbone.features
    monkeypatch.setattr(backbone, "features", lambda prepared: passes.append(1) or features(prepared))
    assert list(together(wave).probabilities.values()) == pytest.approx(np.mean(alone, axis=0), abs=2e-6)
    assert len(passes) == 2  # of the mean of all states, and of state 1


def test_an_ensemble_is_served_beside_other_models(members, ensemble):
    together = load_together({"ensemble": ensemble, "anna": members[0]}, device="cpu")
    assert list(together) == ["ensemble", "anna"]
    (answer,) = together["ensemble"].classify(clips(0.5))
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert [model.method for model in Catalogue(together).describe()] == ["ensemble of 3 models", "lora"]


def test_the_card_unites_members_and_has_no_score(members, ensemble):
    card = json.loads((ensemble / "ensemble.json").read_text())
    assert card["corpus"] == "emovo+demos" and card["licence"] == "A; B"
    assert card["synthetic"] is True and card["tested"] is False
    assert [fact["name"] for fact in card["members"]] == ["anna", "bea", "carla"]
    assert str(members[0].parent) not in json.dumps(card)
    assert len({fact["digest"] for fact in card["members"]}) == 3
    assert not {"test", "validation", "temperature"} & {*card, *card["confidence"]}


def test_dimensions_and_thresholds_are_means_and_intervals_are_left_out(tmp_path):
    numbers = Dimensions(("arousal",), (Interval(1, 5),))
    conformal = {"level": 0.9, "dimensions": {"arousal": {"half_width": 0.5}}}
    facts = [{"confidence": {"temperature": t, "conformal": conformal}} for t in (0.5, 2.0)]
    joint = [
        member(tmp_path / f"joint{n}", KEYS[n], target=Joint(Classes(("anger", "joy")), numbers), facts=facts[n])
        for n in range(2)
    ]
    build_ensemble(joint, tmp_path / "joint")
    (wave,) = clips(0.5)
    alone = [load(folder, device="cpu")(wave) for folder in joint]
    assert all(answer.intervals for answer in alone)
    answer = load(tmp_path / "joint", device="cpu")(wave)
    assert answer.dimensions["arousal"] == pytest.approx(np.mean([each.dimensions["arousal"] for each in alone]))
    assert answer.probabilities["joy"] == pytest.approx(np.mean([each.probabilities["joy"] for each in alone]))
    assert answer.intervals == {}
    marks = Multilabel(("anger", "joy"), 0.5)
    facts = [{"confidence": {"thresholds": {"anger": t, "joy": 0.5}}} for t in (0.2, 0.4)]
    several = [member(tmp_path / f"marks{n}", target=marks, facts=facts[n]) for n in range(2)]
    card = build_ensemble(several, tmp_path / "marks")
    assert card["confidence"]["thresholds"] == pytest.approx({"anger": 0.3, "joy": 0.5})
    refused(
        [joint[0], several[0]], tmp_path / "out", "predicts several labels, .*joint0 classes and dimensions: .* one"
    )


def test_clips_of_every_member_count_as_trained_on(ensemble):
    seen = trained_on(ensemble)
    assert seen.is_known
    assert seen.files == {"anna", "bea", "carla"}
    assert seen.people == {("emovo", "anna"), ("demos+emovo", "bea"), ("emovo", "carla")}


def test_a_test_leaves_out_what_any_member_was_trained_on(tmp_path):
    runs = []
    for first in (0, 3):  # each trains and validates on two speakers, and tests on a third
        table = write_table(tmp_path / f"corpus{first}", speakers=3, first=first)
        runs.append(tmp_path / f"run{first}")
        train(spec(table, "probe"), runs[-1])
    build_ensemble(runs, tmp_path / "out")
    everybody = write_table(tmp_path / "everybody", speakers=7, parts=False)
    metrics = evaluate(tmp_path / "out", everybody)
    assert metrics["left_out"]["trained_on"] == 4 * 7
    assert metrics["left_out"]["trained_on_by"]["speakers"] == 4
    assert metrics["test"]["n"] == 3 * 7 and "speeds" not in metrics
    faster = evaluate(tmp_path / "out", everybody, speeds=[1.2])
    assert faster["speeds"] == [1.2] and faster["test"]["n"] == 3 * 7


def test_an_ensemble_adapts_to_a_speaker_by_its_members(tmp_path):
    folders = [member(tmp_path / name, method="frozen", head="statistics") for name in ("anna", "bea")]
    build_ensemble(folders, tmp_path / "out")
    speaker, waves = clips(0.5, 0.6, 0.7), clips(0.8)
    adapted = load(tmp_path / "out", device="cpu").for_speaker(speaker)
    (alone,) = load(folders[0], device="cpu").for_speaker(speaker).classify(waves)
    (answer,) = adapted.classify(waves)
    assert adapted.protocol == "speaker-calibrated (3 clips)"
    assert answer.probabilities == pytest.approx(alone.probabilities, abs=2e-6)


def refused(models, out: Path, match: str, **options) -> None:
    with pytest.raises(UserError, match=match):
        build_ensemble(models, out, **options)
    assert not out.exists() and not list(out.parent.glob(f".{out.name}*"))


def test_what_does_not_go_together_is_refused_and_nothing_is_written(members, ensemble, tmp_path):
    out = tmp_path / "out"
    anna, bea, _ = members
    refused([anna], out, "is one model, and an ensemble needs two or more: give another run")
    refused([anna, bea, anna], out, "anna is given twice")
    refused([anna, tmp_path / "nowhere"], out, "no folder .*nowhere")
    refused([anna, ensemble], out, "is an ensemble: give its members' runs")
    other = member(tmp_path / "other", target=Classes(("joy", "anger")))
    refused([anna, other], out, "other predicts joy, anger; .*anna .*: an ensemble has one list of labels")
    bare = member(tmp_path / "bare")
    (bare / "trained_on.jsonl").unlink()
    refused([anna, bare], out, "bare has no trained_on.jsonl")
    with pytest.raises(UserError, match="exists and is not an empty folder"):
        build_ensemble([anna, bea], ensemble)
    with pytest.raises(UserError, match="members on several backbones"):
        load(ensemble, backbone="elsewhere")


def run_of(folder: Path, names: list[str], *, is_done: bool = True, final: bool = False) -> Path:
    """A run's folder with models of folds."""
    for name in names:
        fold = folder / "folds" / name
        member(fold / "model", method="frozen")
        (fold / "model" / "trained_on.jsonl").rename(fold / "trained_on.jsonl")
    (folder / "spec.json").write_text("{}")
    if is_done:
        (folder / "metrics.json").write_text("{}")
    if final:
        member(folder / "model", method="frozen")
    return folder


def test_a_run_is_its_final_model_or_its_folds(tmp_path):
    folds = run_of(tmp_path / "folds-only", ["f1", "f2"])
    card = build_ensemble([folds], tmp_path / "of-folds")
    assert [fact["name"] for fact in card["members"]] == ["folds-only/folds/f1", "folds-only/folds/f2"]
    both = run_of(tmp_path / "both", ["f1", "f2", "f3"], final=True)
    refused([both], tmp_path / "out", "--folds takes the models of its 3 folds")
    assert len(build_ensemble([both], tmp_path / "three", folds=True)["members"]) == 3
    assert len(build_ensemble([both, folds], tmp_path / "mixed")["members"]) == 3
    unfinished = run_of(tmp_path / "unfinished", ["f1", "f2"], is_done=False)
    refused([both, unfinished], tmp_path / "out", "unfinished is not finished: run its `affetto train` again")


def test_an_ensemble_is_no_single_export(ensemble, tmp_path):
    for attempt in (lambda: trained_predictor(ensemble), lambda: export_hub(ensemble, tmp_path / "hub")):
        with pytest.raises(UserError, match="holds several models side by side"):
            attempt()
