"""Auxiliary corpora: their clips train in every fold and are judged in none; their weights and their constants."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from affetto.corpora.labelling import Relabelling
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.export.upload import export_hub
from affetto.models.head_layers import StatisticsHead
from affetto.splits import make_split
from affetto.targets.classes import Classes
from affetto.targets.dimensions import Dimensions, Interval
from affetto.training import auxiliary, stacking
from affetto.training import train as training
from affetto.training.corpus_scales import CorpusScales
from affetto.training.learner import Learner
from affetto.training.selection import Probe, choose
from affetto.training.spec import CorpusSpec, RunSpec, acting, settings
from affetto.training.task import Task
from affetto.training.train import train
from test_cli import affetto
from training.corpora import spec, timeless, write_table
from training.test_joint import assert_same_run
from training.test_train import lines

LABELS = ("anger", "joy")


def with_auxiliary(table: Path, more: Path, *arguments: Any, **fields: Any) -> RunSpec:
    """The spec of a run on `table` whose training the corpus `more` joins."""
    return spec(table, *arguments, auxiliary=(CorpusSpec(name="more", path=str(more)),), **fields)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("tested"), speakers=4)


@pytest.fixture(scope="module")
def more(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two further speakers; `surprise` is no label of theirs."""
    file = write_table(tmp_path_factory.mktemp("auxiliary"), speakers=2, first=20, parts=False)
    file.write_text("".join(row for row in file.read_text().splitlines(keepends=True) if "surprise" not in row))
    return file


def test_auxiliary_clips_train_in_every_fold_and_in_the_final_model_and_are_judged_in_none(
    table: Path, more: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[Task] = []
    fit = stacking.fit

    def watched(**parameters: Any) -> Any:
        tasks.append(parameters["task"])
        return fit(**parameters)

    monkeypatch.setattr(stacking, "fit", watched)
    out = tmp_path / "run"
    metrics = train(with_auxiliary(table, more, split="kfold:3"), out, stack=1)
    ids = tuple(clip.id for clip in open_corpus("more", more).clips)
    split = make_split(open_corpus("table", table), "kfold:3")
    assert len(tasks) == 7 and all(task.train[-len(ids) :] == ids for task in tasks)
    parts = [(fold.train, fold.validation) for fold in split.folds]
    assert [(task.train[: -len(ids)], task.validation) for task in tasks[:6:2]] == parts
    assert [task.train[: -len(ids)] for task in tasks[1:6:2]] == [first + second for first, second in parts]
    assert tasks[6].train[: -len(ids)] == tuple(clip.id for clip in open_corpus("table", table).clips)
    for file in ("predictions.jsonl", "validation_predictions.jsonl", "probe_predictions.jsonl"):
        assert {row["speaker"] for row in lines(out / file)} == {"s0", "s1", "s2", "s3"}
    assert metrics["clips"] == 28 and metrics["split_checksum"] == split.checksum
    facts = {"clips": 12, "used": 12, "left_out": {}, "speakers": 2, "shared_sentences_percent": None}
    written = json.loads((out / "split.json").read_text())
    assert metrics["auxiliary"] == written["audit"]["auxiliary"] == {"more": facts}
    assert "12 of 12 clips of more join the training part of every fold" in written["notes"]
    for folder, own in ((out, 28), (out / "folds" / "1", 28 - len(split.folds[0].test))):
        seen = lines(folder / "trained_on.jsonl")
        assert len(seen) == own + 12 and {row["speaker"] for row in seen} > {"more:s20", "more:s21"}
        card = json.loads((folder / "model" / "affetto.json").read_text())
        assert card["corpus"] == "clips + more (auxiliary)"
    export_hub(out, tmp_path / "hub")
    assert "clips, 28 clips; more, 12 clips in training alone; recipe" in (tmp_path / "hub" / "README.md").read_text()


def test_a_corpus_that_joins_changes_the_identity_and_none_changes_nothing(table: Path, more: Path) -> None:
    facts = {"manifest": "m", "split": "s"}
    plain, joined = spec(table), with_auxiliary(table, more)
    assert plain.identity(facts) == joined.identity(facts), "it is the digests of the clips that count"
    dump = plain.settings.model_dump()
    heavier = plain.settings.model_validate(dump | {"auxiliary": {"weight": 2.0}})
    assert plain.model_copy(update={"settings": heavier}).identity(facts) != plain.identity(facts)


def test_a_run_with_a_corpus_is_not_the_run_without_it(table: Path, more: Path, tmp_path: Path) -> None:
    train(spec(table, "probe"), tmp_path / "run")
    with pytest.raises(UserError, match="holds another run"):
        train(with_auxiliary(table, more, "probe"), tmp_path / "run")


# What counts, and by how much ----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["probe", "frozen"])
def test_clips_that_weigh_nothing_and_are_standardised_by_themselves_change_nothing(
    method: str, table: Path, more: Path, tmp_path: Path
) -> None:
    """State, strength, warm start, constants and steps are then those of the tested corpus alone."""
    one_batch = {
        "training.batch_size": "100",
        "training.select": "last",
        "model.head_dropout": "0",
        "training.lr": "0.01",
    }
    overrides = {"store.precision": "float32"} | (one_batch if method == "frozen" else {})
    balanced = write_table(tmp_path / "balanced", speakers=2, first=20, parts=False)
    apart = {"auxiliary.weight": "1e-9", "auxiliary.standardise": "corpus"}
    alone = train(spec(table, method, overrides=overrides, probe=False), tmp_path / "alone")
    both = train(with_auxiliary(table, balanced, method, overrides=overrides | apart, probe=False), tmp_path / "both")
    assert both["best_epoch"] == alone["best_epoch"] == (0 if method == "probe" else 2)
    assert both["choice"]["layer"] == alone["choice"]["layer"]
    for ours, expected in zip(
        lines(tmp_path / "both" / "predictions.jsonl"), lines(tmp_path / "alone" / "predictions.jsonl"), strict=True
    ):
        assert list(ours["probabilities"].values()) == pytest.approx(list(expected["probabilities"].values()), abs=3e-4)


def test_a_balanced_corpus_counts_as_much_as_the_tested_one(
    table: Path, more: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights: list[tuple[int, float]] = []
    fit = Probe.fit.__func__  # type: ignore[attr-defined]

    def watched(cls: Any, features: Any, *arguments: Any, clip_weights: Any, **named: Any) -> Any:
        weights.append((len(features), float(clip_weights[-1])))
        return fit(cls, features, *arguments, clip_weights=clip_weights, **named)

    monkeypatch.setattr(Probe, "fit", classmethod(watched))
    balanced = {"auxiliary.balance": "corpus", "auxiliary.weight": "0.5"}
    train(with_auxiliary(table, more, "probe", overrides=balanced), tmp_path / "run")
    assert weights[-1] == (21 + 12, pytest.approx(0.5 * 21 / 12)), "the refit has 21 clips of the tested corpus"


def test_a_balanced_sampler_draws_the_classes_of_each_corpus_evenly(
    table: Path, more: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Balance by corpus acts on the probe alone, and so do class weights; the weight of the corpus acts in steps."""
    epochs: list[tuple[Task, list[str], bool]] = []
    begin = Learner.begin

    def watched(learner: Learner, epoch: int) -> int:
        count = begin(learner, epoch)
        drawn = [clip for batch in learner.batches for clip in batch]
        epochs.append((learner.task, drawn, learner.settings.loss_settings.class_weights))
        return count

    monkeypatch.setattr(Learner, "begin", watched)
    balanced = {"training.sampler": "balanced", "auxiliary.balance": "corpus", "auxiliary.weight": "0.5"}
    train(with_auxiliary(table, more, overrides=balanced, probe=False), tmp_path / "run")
    assert epochs
    for task, drawn, is_weighted in epochs:
        assert not is_weighted and len(drawn) == len(task.train)
        assert set(task.strata) == set(task.train) and {name for name, _ in task.strata.values()} == {"clips", "more"}
        assert len({task.target[clip] for clip in task.strata if task.strata[clip] == ("more", 0)}) == 1
        counts = Counter(task.strata[clip] for clip in drawn)
        assert set(counts) == set(task.strata.values()) and max(counts.values()) - min(counts.values()) <= 1
        assert {task.factors.get(clip, 1.0) for clip in drawn} == {1.0, 0.5}
    assert epochs[0][1] != epochs[1][1]


def test_folds_that_are_fitted_together_have_the_numbers_of_folds_fitted_alone(
    table: Path, more: Path, tmp_path: Path
) -> None:
    apart = {"auxiliary.weight": "0.3", "auxiliary.standardise": "corpus", "store.precision": "float32"}
    run = with_auxiliary(table, more, "lora", split="kfold:3", overrides=apart, probe=False)
    train(run, tmp_path / "alone", stack=1)
    train(run, tmp_path / "together", stack=3)
    assert_same_run(tmp_path / "together", tmp_path / "alone")


def test_a_killed_run_goes_on_as_an_undisturbed_one(
    table: Path, more: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart = {"auxiliary.weight": "0.3", "auxiliary.standardise": "corpus", "training.sampler": "balanced"}
    run = with_auxiliary(table, more, "lora", split="kfold:3", overrides=apart)
    expected = train(run, tmp_path / "undisturbed", stack=1)
    fits = 0
    fit = stacking.fit

    def interrupted(**parameters: Any) -> Any:
        nonlocal fits
        fits += 1
        if fits == 4:
            raise KeyboardInterrupt
        return fit(**parameters)

    monkeypatch.setattr(stacking, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(run, tmp_path / "killed", stack=1)
    assert timeless(train(run, tmp_path / "killed", stack=1)) == timeless(expected)


def test_inner_folds_are_fitted_on_auxiliary_clips_and_judged_by_the_tested_corpus_alone() -> None:
    random = np.random.default_rng(0)
    truth = np.array([0, 1] * 8 + [1, 0] * 30)
    features = random.normal(size=(76, 5)) + 2.0 * truth[:, None]
    features[16:] = random.normal(size=(60, 5)) + 2.0 * truth[16:, None]
    judged: list[int] = []

    class Watched(Classes):
        def probe_score(self, outputs: Any, truth: Any) -> float:
            judged.append(len(outputs))
            assert len(truth) == 16
            return super().probe_score(outputs, truth)

    fits: list[int] = []
    solve = Classes.solve

    class Counted(Watched):
        def solve(self, features: Any, truth: Any, *arguments: Any, **more: Any) -> Any:
            fits.append(len(truth))
            return solve(self, features, truth, *arguments, **more)

    speakers = [f"s{n // 4}" for n in range(16)]
    choose(
        lambda layer: features,
        truth,
        speakers,
        layers=[0],
        strengths=[0.1],
        folds=4,
        target=Counted(LABELS),
    )
    assert judged == [16] and fits == [12 + 60] * 4


def test_a_group_is_standardised_by_its_own_clips_and_the_probe_by_the_first() -> None:
    random = np.random.default_rng(1)
    features, truth = random.normal(size=(40, 3)), np.arange(40) % 2
    moved = features.copy()
    moved[20:] = 5.0 * features[20:] - 7.0
    groups = np.repeat([0, 1], 20)
    probe = Probe.fit(moved, truth, 0.1, target=Classes(LABELS), groups=groups)
    apart = Probe.fit(features, truth, 0.1, target=Classes(LABELS), groups=groups)
    assert probe.weight == pytest.approx(apart.weight) and probe.centre == pytest.approx(features[:20].mean(0))
    pooled = Probe.fit(moved, truth, 0.1, target=Classes(LABELS))
    assert pooled.centre == pytest.approx(moved.mean(0))


def test_maps_in_front_of_a_head_standardise_each_corpus_by_itself() -> None:
    torch.manual_seed(0)
    head = StatisticsHead(2, 2, 0.0)
    tested, other = torch.randn(30, 4) * 3 + 1, torch.randn(25, 4) * 0.2 - 8
    head.standardise(tested)
    names = [str(n) for n in range(25)]
    scales = CorpusScales.fitted(head, dict(zip(names, other, strict=True)), dict.fromkeys(names, "more"))
    moved = scales.apply(other, scales.rows_of(names))
    standardised = (moved - head.centre) / head.scale
    assert torch.allclose(standardised.mean(0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(standardised.std(0, unbiased=False), torch.ones(4), atol=1e-5)
    assert torch.equal(scales.apply(tested, scales.rows_of(["tested"] * 30)), tested)


# What may not be learned from ----------------------------------------------------------------------


def manifest(name: str, *clips: tuple[str, str, str], key: str = "", **fields: Any) -> Manifest:
    """Clips (file, emotion, speaker) of a corpus."""
    made = (Clip(file=f, emotion=e, speaker=s, corpus=name) for f, e, s in clips)
    return Manifest(corpus=name, root=Path(), clips=tuple(made), key=key, **fields)


TESTED = manifest("emovo", *[(f"{s}{n}", LABELS[n % 2], s) for s in "abc" for n in range(4)], key="emovo")


def select(*corpora: Manifest, allow_duplicates: bool = False, target: Any = None) -> auxiliary.Auxiliary:
    """Auxiliary clips beside TESTED, split by speakers; files of one name are one recording."""
    corpora = tuple(auxiliary.own_names(corpus) for corpus in corpora)
    return auxiliary.select(
        corpora,
        TESTED,
        target or Classes(LABELS),
        make_split(TESTED, "loso"),
        digests={clip.id: clip.file for corpus in (TESTED, *corpora) for clip in corpus.clips},
        contents={},
        allow_duplicates=allow_duplicates,
    )


def test_clips_with_other_labels_are_left_out_with_counts() -> None:
    chosen = select(manifest("more", ("x", "joy", "a"), ("y", "fear", "a"), ("z", "fear", "b")))
    assert chosen.ids == ("more:x",) and chosen.join(("emovo:a0",)) == ("emovo:a0", "more:x")
    assert chosen.facts["more"]["left_out"] == {"fear": 2} and chosen.facts["more"]["speakers"] == 1
    assert chosen.notes() == ["1 of 3 clips of more join the training part of every fold; left out: 2 fear"]


def test_clips_that_the_reader_has_left_out_are_counted_too() -> None:
    dropped = (Relabelling("calm", "drop", 3, by_user=False), Relabelling("happy", "joy", 2, by_user=True))
    chosen = select(manifest("more", ("x", "joy", "a"), ("y", "fear", "a"), relabelled=dropped))
    assert chosen.facts["more"]["clips"] == 5 and chosen.facts["more"]["left_out"] == {"calm": 3, "fear": 1}


def test_a_corpus_without_a_label_of_the_target_is_refused() -> None:
    with pytest.raises(UserError, match=r"auxiliary corpus more has no clip.*anger, joy, and its clips have fear"):
        select(manifest("more", ("y", "fear", "a")))


def test_dimensions_on_another_scale_are_refused() -> None:
    target = Dimensions(("arousal",), (Interval(1, 5),))
    corpus = manifest("more", ("x", "joy", "a"), dimensions={"arousal": Interval(1, 7)})
    with pytest.raises(UserError, match="arousal goes from 1 to 7, and in emovo from 1 to 5"):
        select(corpus, target=target)


@pytest.mark.parametrize(
    ("corpus", "reason"),
    [
        (manifest("emovo2", ("x", "joy", "a"), ("y", "joy", "d"), key="emovo"), auxiliary.SPEAKER),
        (manifest("more", ("a1", "joy", "x"), ("y", "joy", "d")), auxiliary.COPY),
    ],
)
def test_speakers_and_recordings_of_validation_and_test_are_refused_or_left_out(corpus: Manifest, reason: str) -> None:
    first = f"{corpus.corpus}:{'x' if reason == auxiliary.SPEAKER else 'a1'}"
    with pytest.raises(UserError, match=f"1 of its clips may not be learned from \\({first}\\).*{reason}"):
        select(corpus)
    chosen = select(corpus, allow_duplicates=True)
    assert chosen.ids == (f"{corpus.corpus}:y",) and chosen.facts[corpus.corpus]["left_out"] == {reason: 1}
    with pytest.raises(UserError, match="all of its 1 clips"):
        select(corpus.only(lambda clip: clip.id == first), allow_duplicates=True)


def test_people_of_two_collections_may_have_one_name() -> None:
    assert select(manifest("more", ("x", "joy", "a"))).ids == ("more:x",)


def test_copies_of_test_clips_are_recognised_however_they_are_stored(table: Path, tmp_path: Path) -> None:
    """The tested speaker's file with another header; the run leaves nothing behind."""
    import soundfile

    copied = write_table(tmp_path / "copy", speakers=2, first=20, parts=False)
    wave, rate = soundfile.read(table.parent / "audio/s3-joy-0.wav", dtype="float32")
    soundfile.write(copied.parent / "audio/s20-joy-0.wav", wave, rate, subtype="PCM_16")
    with pytest.raises(UserError, match=r"more:audio/s20-joy-0\.wav is a copy of a validation or test clip"):
        train(with_auxiliary(table, copied), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_corpus_that_cannot_be_read_is_named_as_an_auxiliary_one(table: Path, tmp_path: Path) -> None:
    clip = tmp_path / "EMOVO/f1/rab-f1-b1.wav"
    clip.parent.mkdir(parents=True)
    clip.touch()
    run = spec(table, auxiliary=(CorpusSpec(name="ravdess", path=str(tmp_path / "EMOVO")),))
    advice = rf"^auxiliary corpus ravdess: .*It looks like EMOVO \(--auxiliary emovo={tmp_path / 'EMOVO'}\)"
    with pytest.raises(UserError, match=advice):
        train(run, tmp_path / "run")


def test_two_corpora_of_one_name_are_refused(table: Path, more: Path, tmp_path: Path) -> None:
    run = spec(table, auxiliary=(CorpusSpec(name="clips", path=str(more)),))
    with pytest.raises(UserError, match="two corpora are named 'clips'"):
        train(run, tmp_path / "run")


def test_unusable_auxiliary_clips_are_refused_or_left_out(table: Path, tmp_path: Path) -> None:
    import soundfile

    spoiled = write_table(tmp_path / "spoiled", speakers=2, first=20, parts=False)
    (spoiled.parent / "audio/s20-joy-0.wav").write_bytes(b"RIFF")
    soundfile.write(spoiled.parent / "audio/s21-joy-0.wav", np.full(8000, np.nan, np.float32), 16_000, subtype="FLOAT")
    with pytest.raises(UserError, match="2 of 42 clips cannot be used"):
        train(with_auxiliary(table, spoiled, "probe"), tmp_path / "run")
    metrics = train(with_auxiliary(table, spoiled, "probe", skip_bad=True), tmp_path / "run")
    assert sorted(metrics["left_out"]) == ["more:audio/s20-joy-0.wav", "more:audio/s21-joy-0.wav"]
    assert metrics["clips"] == 28 and metrics["auxiliary"]["more"]["used"] == 12


def test_a_tested_sentence_that_is_spoken_in_the_auxiliary_corpus_is_reported() -> None:
    clips = tuple(replace(clip, sentence="Ciao, mondo!") for clip in manifest("more", ("x", "joy", "a")).clips)
    tested = replace(TESTED, clips=tuple(replace(clip, sentence="ciao mondo") for clip in TESTED.clips))
    more = replace(manifest("more", ("x", "joy", "a")), clips=clips)
    chosen = auxiliary.select(
        [more],
        tested,
        Classes(LABELS),
        make_split(tested, "loso"),
        digests={clip.id: clip.id for clip in (*tested.clips, *more.clips)},
        contents={},
        allow_duplicates=False,
    )
    assert "100 % of the test clips have a sentence that is also spoken in more" in chosen.notes()


def test_settings_of_auxiliary_corpora_need_some() -> None:
    weight = {"auxiliary.weight": "2"}
    with pytest.raises(UserError, match=r"auxiliary\.weight=2 has no effect.*--auxiliary NAME=PATH"):
        settings("recommended", weight, method="frozen", has_auxiliary=False)
    assert settings("recommended", weight, method="frozen").auxiliary.weight == 2.0
    assert acting("recommended", weight, method="frozen", has_auxiliary=False) == {}


def test_the_command_line_passes_the_corpora_on_and_names_a_path_that_does_not_exist(
    table: Path, more: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    specs: list[RunSpec] = []

    def watched(run: RunSpec, *_: Any, **__: Any) -> None:
        specs.append(run)
        raise UserError("enough")

    monkeypatch.setattr(training, "train", watched)
    words = ["train", "--table", table, "--backbone", "whisper-mini", "--random-weights", "--method", "probe"]
    words += ["--out", tmp_path / "run", "--set", "auxiliary.weight=0.5", "--auxiliary", f"more={more}"]
    assert affetto(*words, "--auxiliary", more, monkeypatch=monkeypatch) == 2
    assert [(corpus.name, corpus.path) for corpus in specs[0].auxiliary] == [("more", str(more)), (None, str(more))]
    assert specs[0].settings.auxiliary.weight == 0.5 and "enough" in capfd.readouterr().err
    assert affetto(*words, "--auxiliary", "more=/nowhere", monkeypatch=monkeypatch) == 2
    assert "no such corpus folder or table: /nowhere" in capfd.readouterr().err


def test_options_of_one_corpus_reach_its_reader_alone(
    table: Path, more: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    specs: list[RunSpec] = []

    def watched(run: RunSpec, *_: Any, **__: Any) -> None:
        specs.append(run)
        raise UserError("enough")

    monkeypatch.setattr(training, "train", watched)
    words = ["train", "--corpus", f"mine={table}", "--table", table, "--auxiliary", f"more={more}"]
    words += ["--backbone", "whisper-mini", "--random-weights", "--method", "probe", "--out", tmp_path / "run"]
    options = ["--option", "audio_root=a:b", "--option", "more:audio_root=c", "--option", "mine:speaker_table=d"]
    options += ["--option", "lenient=true", "--dimension", "arousal=act:1:7", "--dimension", "more:arousal=aro:0:1"]
    assert affetto(*words, *options, monkeypatch=monkeypatch) == 2
    shared = {"audio_root": "a:b", "lenient": "true", "dimensions": "arousal=act:1:7"}
    assert [corpus.options for corpus in specs[0].corpora] == [{**shared, "speaker_table": "d"}, shared]
    assert specs[0].auxiliary[0].options == {"audio_root": "c", "dimensions": "arousal=aro:0:1"}
    capfd.readouterr()
    assert affetto(*words, "--option", "moor:audio_root=c", monkeypatch=monkeypatch) == 2
    message = "corpus in --option 'moor:audio_root=c': 'moor': did you mean 'more'? Known: mine, table, clips, more."
    assert message in capfd.readouterr().err and len(specs) == 1
