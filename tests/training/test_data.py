"""Clips of a run: the labels beside the seven emotions that it keeps, and those that are silent."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from affetto.corpora.labels import entries_for
from affetto.errors import UserError
from affetto.training.clips import read_clips
from affetto.training.data import read
from affetto.training.scopes import address_advice
from affetto.training.spec import CorpusSpec, RunSpec
from training.corpora import RATE_HZ, spec, write_table


def test_other_labels_are_classes_of_a_run_that_keeps_them(tmp_path: Path) -> None:
    for name in ("DEMOS/PR_f_01_rab18b.wav", "DEMOS/NP_m_02_col01a.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    corpora = (CorpusSpec(name="demos", path=str(tmp_path)),)
    told: list[str] = []
    assert read_clips(corpora, {}, told.append)[0].labels == ("anger",)
    assert any("1 clip of guilt is left out" in line for line in told)
    assert read_clips(corpora, {}, told.append, keep_other=True)[0].labels == ("anger", "guilt")


def test_the_clips_tell_the_identity_of_a_run_that_keeps_other_labels() -> None:
    runs = [
        RunSpec(corpora=(), backbone="wavlm-base", method="probe", keep_other=keep_other)
        for keep_other in (False, True)
    ]
    first, second = (run.identity({"manifest": "same"}) for run in runs)
    assert first == second


def test_silent_clips_are_named_and_used_as_in_published_results(tmp_path: Path) -> None:
    """CREMA-D has one: it tells nothing, and every number on that corpus has been taken with it."""
    table = write_table(tmp_path, speakers=3, parts=False)
    more = write_table(tmp_path / "more", speakers=1, first=20, parts=False)
    soundfile.write(tmp_path / "audio/s0-joy-0.wav", np.zeros(RATE_HZ), RATE_HZ)
    soundfile.write(tmp_path / "more/audio/s20-joy-0.wav", np.zeros(2 * RATE_HZ), RATE_HZ)
    lines: list[str] = []
    run = spec(table, split="loso", auxiliary=(CorpusSpec(name="more", path=str(more)),))
    data = read(run, lines.append)
    silent = [line for line in lines if "silent" in line]
    assert silent == [
        "note: 1 of 21 clips of clips is silent, and used all the same: audio/s0-joy-0.wav",
        "note: 1 of 7 clips of more is silent, and used all the same: audio/s20-joy-0.wav",
    ]
    assert len(data.manifest.clips) == 21 and len(data.auxiliary.clips) == 7


def test_a_target_of_the_label_map_that_was_probably_mistyped_is_named(tmp_path: Path) -> None:
    table = write_table(tmp_path, speakers=3, parts=False)
    lines: list[str] = []
    labels = {"joy": "joi", "fear": "drop", "anger": "arousing"}
    read(spec(table, split="loso").model_copy(update={"labels": labels}), lines.append)
    notes = [line for line in lines if "--label" in line]
    assert notes == ["note: --label joy=joi makes 'joi' a class of its own: did you mean 'joy'?"]


def test_entries_of_a_label_map_hold_for_all_corpora_or_for_the_one_that_they_name(tmp_path: Path) -> None:
    """An entry for one corpus goes before one for all, and changes no other corpus."""
    table = write_table(tmp_path, speakers=3, parts=False)
    auxiliary = {name: write_table(tmp_path / name, speakers=1, first=20, parts=False) for name in ("more", "third")}
    run = spec(table, split="loso", auxiliary=[CorpusSpec(name=name, path=str(auxiliary[name])) for name in auxiliary])
    labels = {"fear": "drop", "joy": "anger", "More:joy": "disgust", "table:surprise": "drop"}
    data = read(run.model_copy(update={"labels": labels}), list[str]().append)
    kept = {"anger": 6, "disgust": 3, "neutrality": 3, "sadness": 3}
    assert Counter(clip.emotion for clip in data.manifest.clips) == kept
    more, third = (corpus.clips for corpus in data.auxiliary_corpora)
    shared = {"neutrality": 1, "sadness": 1, "surprise": 1}
    assert Counter(clip.emotion for clip in more) == {"anger": 1, "disgust": 2} | shared
    assert Counter(clip.emotion for clip in third) == {"anger": 2, "disgust": 1} | shared


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            "moor:joy",
            "unknown corpus in --label moor:joy=anger: 'moor': did you mean 'more'? Known: table, clips, more.",
        ),
        ("E:happy", "A label that has a colon needs its corpus before it: --label CORPUS:E:happy=anger."),
    ],
)
def test_a_label_of_a_corpus_that_there_is_not_is_refused(tmp_path: Path, entry: str, message: str) -> None:
    table = write_table(tmp_path, speakers=3, parts=False)
    run = spec(table, split="loso", auxiliary=[CorpusSpec(name="more", path=str(table))])
    with pytest.raises(UserError, match=re.escape(message)):
        read(run.model_copy(update={"labels": {entry: "anger"}}), list[str]().append)


def test_a_corpus_without_a_name_is_addressed_by_that_of_its_clips_too(tmp_path: Path) -> None:
    table = write_table(tmp_path, speakers=3, parts=False)
    write_table(tmp_path / "b", speakers=1, first=20, parts=False)
    more = (tmp_path / "b/clips.csv").rename(tmp_path / "b/more.csv")
    run = spec(table, split="loso", auxiliary=[CorpusSpec(path=str(more))])
    for scope in ("more", "more.csv"):
        data = read(run.model_copy(update={"labels": {f"{scope}:joy": "fear"}}), list[str]().append)
        emotions = Counter(clip.emotion for clip in data.auxiliary_corpora[0].clips)
        assert emotions["fear"] == 2 and not emotions["joy"]


def test_an_entry_for_one_corpus_goes_before_one_of_all_for_an_alias() -> None:
    labels = {"Happy": "drop", "sad": "drop", "mine:joy": "anger", "mine:Unhappy": "fear"}
    assert entries_for(labels, ["mine"]) == {"sad": "drop", "joy": "anger", "unhappy": "fear"}
    assert entries_for(labels, ["other"]) == {"happy": "drop", "sad": "drop"}


@pytest.mark.parametrize(
    ("text", "name", "always", "advice"),
    [
        ("--label calm=EMOTION maps it", "a\\d", True, "--label 'a\\d:calm=EMOTION' maps it"),
        ("map it with --label 'so so=drop'.", "My Corpus", True, "map it with --label 'My Corpus:so so=drop'."),
        (
            "--option test=test2 or --option test=both takes",
            "m",
            True,
            "--option m:test=test2 or --option m:test=both takes",
        ),
        ("1 clip counts as joy, by --label; --label has no effect", "m", True, None),
        ('--label "x=EMOTION maps it', "m", True, None),
        ("--label calm=EMOTION maps it", "m", False, None),
        ("--label E:happy=EMOTION or", "m", False, "--label m:E:happy=EMOTION or"),
    ],
)
def test_advice_is_for_one_corpus_where_others_are_read_too(
    text: str, name: str, always: bool, advice: str | None
) -> None:
    assert address_advice(text, name, always=always) == (advice or text)


def test_advice_on_a_label_with_a_colon_can_be_followed(tmp_path: Path) -> None:
    table = write_table(tmp_path, speakers=3, parts=False)
    table.write_text(table.read_text().replace(",joy,", ",E:happy,"))
    with pytest.raises(UserError, match="Map it with --label table:E:happy=EMOTION"):
        read(spec(table, split="loso"), list[str]().append)
    labels = {"table:E:happy": "joy"}
    data = read(spec(table, split="loso").model_copy(update={"labels": labels}), list[str]().append)
    assert Counter(clip.emotion for clip in data.manifest.clips)["joy"] == 3


def test_advice_on_labels_of_an_auxiliary_corpus_names_it(tmp_path: Path) -> None:
    """The entry would otherwise hold for the tested corpus too."""
    table = write_table(tmp_path, speakers=3, parts=False)
    clip = tmp_path / "DEMOS/NP_m_02_col01a.wav"
    for number, file in enumerate((clip, clip.with_name("PR_f_01_rab18b.wav"))):
        file.parent.mkdir(exist_ok=True)
        soundfile.write(file, np.random.default_rng(number).normal(0, 0.1, RATE_HZ), RATE_HZ)
    lines: list[str] = []
    read(spec(table, split="loso", auxiliary=[CorpusSpec(name="demos", path=str(clip.parents[1]))]), lines.append)
    assert any("--label demos:guilt=EMOTION maps it" in line for line in lines)
