"""Clips that systems get wrong, sentence by sentence and beside the raters, worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from affetto.measures.scores import scores
from affetto.reporting.chapters.errors import hard_table, mistake_table, rater_clip_table, sentence_table
from affetto.reporting.chapters.selection import group_by_corpus
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.results.lines import read_lines
from affetto.reporting.stats.answers import answers, beside_raters, by_sentence, count_by_systems, same_clips
from affetto.reporting.stats.systems import Predictions, System
from affetto.training.runs import METRICS, PREDICTIONS, PROBE_PREDICTIONS, RunFolder
from reporting.folders import write_run

LABELS = ("anger", "joy", "fear")
TRUTH = ("anger", "joy", "fear", "joy")
RATINGS = ({"anger": 3, "joy": 1}, {"joy": 4}, {"fear": 1, "joy": 3}, {"joy": 2, "fear": 2})


def system(*seeds: str, most: float = 0.8) -> System:
    """A system whose seeds call the labels with these initials, with probability `most` for clip 0, then less."""
    runs = {}
    for seed, called in enumerate(seeds):
        rows = []
        for number, (letter, truth) in enumerate(zip(called, TRUTH, strict=True)):
            sure = most - 0.1 * number
            values = {label: sure if label[0] == letter else (1 - sure) / 2 for label in LABELS}
            facts = {"prompt": f"p{number % 2}", "ratings": RATINGS[number], "speaker": f"s{number}"}
            rows.append({"file": f"c{number}", "truth": truth, "probabilities": values, **facts})
        runs[seed] = Predictions.from_rows(rows)
    return System("frozen", "emovo", runs)


def test_each_system_counts_once_whatever_the_number_of_its_seeds() -> None:
    clips = answers([system("ajjj", "afjj"), system("jjjf")])
    assert [clip.right for clip in clips] == [0.5, 0.75, 0.0, 0.5]
    assert [(clip.answer, clip.agreement) for clip in clips[1:3]] == [("joy", 0.75), ("joy", 1.0)]
    assert clips[2].confidence == pytest.approx(0.6) and clips[2].raters == 0.25
    assert count_by_systems(clips, 2) == [1, 3, 0]
    assert [clip.speaker for clip in clips] == ["s0", "s1", "s2", "s3"] and clips[1].prompt == "p1"


def test_of_labels_with_equal_votes_the_more_probable_is_the_answer() -> None:
    calm, sure = system("ajjj"), system("jaaa", most=0.9)
    assert [clip.answer for clip in answers([calm, sure])] == ["joy", "anger", "anger", "anger"]
    assert [clip.answer for clip in answers([sure, calm])] == ["joy", "anger", "anger", "anger"]


def test_systems_on_other_clips_are_left_out() -> None:
    first, part = system("ajfj"), system("ajfj").select([True, True, True, False])
    run = first.runs[0]
    renamed = System("frozen", "emovo", {0: replace(run, clips=("c0", "c1", "c2", "c9"))})
    assert list(same_clips({"a": first, "b": part, "c": system("aaaa"), "d": renamed})) == ["a", "c"]


def test_uar_of_each_sentence() -> None:
    """p0 is spoken in clips 0 and 2 (anger, fear), p1 in clips 1 and 3 (joy both)."""
    assert by_sentence(system("ajja", "ajfj")) == {"p0": pytest.approx(0.75), "p1": pytest.approx(0.75)}


def test_raters_and_the_system_clip_by_clip() -> None:
    """The raters' majority is right on clips 0, 1 and, by a tie, 3; the system on 0 and 2."""
    agreement = beside_raters(system("affa"))
    assert (agreement.both, agreement.raters_alone, agreement.system_alone, agreement.neither) == (0.25, 0.5, 0.25, 0)
    people, probability = [0.75, 1.0, 0.25, 0.5], [0.8, 0.15, 0.6, 0.25]
    assert agreement.correlation == pytest.approx(np.corrcoef(people, probability)[0, 1])
    assert agreement.interval is not None and agreement.interval[0] == -1


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Two methods and a probe; every clip of a speaker s05 is called wrongly, and three raters name the truth."""
    root = tmp_path_factory.mktemp("errors")
    for method in ("frozen", "lora"):
        spoil(write_run(root / method, method=method, skill=1.0, probe_skill=0.8))
    return Evidence(collect(root))


def spoil(folder) -> None:
    run = RunFolder(folder)
    metrics = run.read(METRICS)
    for file in (PREDICTIONS["test"], PROBE_PREDICTIONS):
        rows = read_lines(folder / file)
        for row in rows:
            row["ratings"] = {row["truth"]: 3}
            if row["speaker"] == "s05":
                wrong = "joy" if row["truth"] != "joy" else "fear"
                row["probabilities"] = dict.fromkeys(row["probabilities"], 0.01) | {wrong: 0.94}
        run.write_lines(file, rows)
        labels = list(rows[0]["probabilities"])
        probabilities = np.array([[row["probabilities"][label] for label in labels] for row in rows])
        scored = scores([row["truth"] for row in rows], probabilities, labels, [row["speaker"] for row in rows])
        metrics |= {"test": scored} if file == PREDICTIONS["test"] else {"probe": {"test": scored}}
    run.write(METRICS, json.loads(json.dumps(metrics)))


def test_the_tables_name_the_clips(evidence) -> None:
    (group,) = group_by_corpus(evidence)
    hard = hard_table(evidence, group)
    listed = {row[0].text for row in hard.rows}
    assert {f"s05/joy-{take}.wav" for take in range(2)} <= listed and "of 84 clips" in hard.caption
    assert [row[-2].text for row in hard.rows[:14]] == ["94"] * 14 and hard.rows[0][-1].text == "100"
    mistakes = mistake_table(evidence, group)
    assert all(row[3].text != row[4].text for row in mistakes.rows)
    assert [row[-2].key for row in mistakes.rows] == sorted((row[-2].key for row in mistakes.rows), reverse=True)
    sentences = sentence_table(evidence, group)
    assert {row[0].text for row in sentences.rows} == {"prompt 0", "prompt 1"} and len(sentences.columns) == 4
    raters = rater_clip_table(evidence, group)
    assert len(raters.rows) == 3 and all(row[-4].text == row[-3].text == "0.0" for row in raters.rows)
    assert [row[-2].text for row in raters.rows] == ["–"] * 3, "the raters never differ"
