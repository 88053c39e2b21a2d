"""Recordings beside a report: which file a clip is, its section and its length, and the page that plays it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from affetto.corpora.manifest import Clip, Manifest
from affetto.errors import UserError
from affetto.reporting.chapters.errors import hard_table, length_table
from affetto.reporting.chapters.selection import group_by_corpus
from affetto.reporting.report import write
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.collect import collect
from affetto.reporting.results.recordings import Recordings
from reporting.folders import manifest, write_run


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Table of the clips of `folders.manifest`, whose recordings last longer from speaker to speaker."""
    folder = tmp_path_factory.mktemp("corpus")
    clips = manifest("clips").clips
    for clip in clips:
        (folder / clip.file).parent.mkdir(exist_ok=True)
        samples = round((0.2 + 0.1 * int(clip.speaker[1:])) * 16_000)
        soundfile.write(folder / clip.file, 0.1 * np.sin(np.arange(samples) / 9.0), 16_000)
    with (folder / "clips.csv").open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["file", "emotion", "speaker"])
        writer.writerows([clip.file, clip.emotion, clip.speaker] for clip in clips)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for method, skill in (("frozen", 0.1), ("lora", 0.3)):
        write_run(folder / method, method=method, corpus="clips", skill=skill)
    return folder


def test_a_clip_is_its_file_its_section_and_its_length(corpus: Path) -> None:
    clips = (
        Clip("s00/joy-0.wav", "joy", "s00", "a"),
        Clip("s01/joy-0.wav", "joy", "s01", "a", start=0.05, end=0.15),
        Clip("s02/joy-0.wav", "joy", "s02", "a", start=0.1),
        Clip("gone.wav", "joy", "s03", "a"),
    )
    first = Manifest("a", corpus, clips)
    second = replace(first, corpus="b", clips=(replace(clips[0], corpus="b"),))
    recordings = Recordings({"a": first, "b": second})
    names = [clip.name for clip in clips]
    assert recordings.path("a@2-labels", names[0]) == corpus / "s00/joy-0.wav"
    assert [recordings.section("a", name) for name in names] == ["", "#t=0.05,0.15", "#t=0.1", ""]
    seconds = [recordings.seconds("a", name) for name in names]
    assert seconds == [pytest.approx(0.2), pytest.approx(0.1), pytest.approx(0.3), None]
    assert recordings.path("a", names[3]) is None and recordings.path("c", names[0]) is None
    assert recordings.path("a+b", names[0]) is None, "two corpora have a clip of this name"
    assert recordings.path("a+b", names[1]) == corpus / "s01/joy-0.wav"


def test_a_corpus_is_read_as_its_runs_read_it(corpus: Path) -> None:
    """A label of its own would be an error without the map; one run leaves its clips out, another does not."""
    rows = (corpus / "clips.csv").read_text(encoding="utf-8")
    table = corpus / "own.csv"
    table.write_text(rows.replace("joy,", "zeal,"), encoding="utf-8")
    place = {"mine": str(table)}
    corpora = [{"name": "mine", "path": "/elsewhere/own.csv"}, {"name": "more", "path": "/elsewhere/more.csv"}]
    maps = ({"mine:zeal": "drop", "more:zeal": "joy"}, {"zeal": "anger"})
    first, both = (
        Recordings.at(place, [{"corpora": corpora, "labels": labels} for labels in maps[:number]]) for number in (1, 2)
    )
    assert first.seconds("mine", "s00/joy-0.wav") is None
    assert first.seconds("mine", "s00/anger-0.wav") == both.seconds("mine", "s00/joy-0.wav") == pytest.approx(0.2)
    with pytest.raises(UserError, match="unknown emotion 'zeal'"):
        Recordings.at(place)


def test_lengths_are_quarters_of_the_clips_and_need_all_of_them(corpus: Path, runs: Path) -> None:
    """Six speakers of 14 clips each, the longer the better: quarters are 1.5 speakers, ties go to the shorter."""
    evidence = Evidence(collect(runs), Recordings.at({"clips": str(corpus / "clips.csv")}))
    (group,) = group_by_corpus(evidence)
    table = length_table(evidence, group)
    assert table is not None
    assert [row[0].text for row in table.rows] == ["0.20 to 0.30", "0.30 to 0.45", "0.45 to 0.60", "0.60 to 0.70"]
    system = evidence.system(group.configurations[-1])
    assert system is not None
    run = system.runs[0]
    first = [n for n, clip in enumerate(run.clips) if clip.startswith(("s00", "s01"))]
    recalls = [
        sum(run.predicted[n] == run.truth[n] for n in first if run.truth[n] == label)
        / sum(run.truth[n] == label for n in first)
        for label in range(len(run.labels))
    ]
    assert table.rows[0][-1].key == pytest.approx(100 * sum(recalls) / len(recalls))
    assert length_table(Evidence(collect(runs)), group) is None
    part = Recordings({"clips": replace(evidence.recordings.manifests["clips"], root=corpus / "elsewhere")})  # type: ignore[union-attr]
    assert length_table(Evidence(collect(runs), part), group) is None
    assert all(not row[0].recording for row in hard_table(Evidence(collect(runs)), group).rows)  # type: ignore[union-attr]


def test_the_page_plays_clips_where_they_lie(corpus: Path, runs: Path, tmp_path: Path, browser) -> None:
    out = tmp_path / "a report"
    write(runs, out, only=["html"], places={"clips": str(corpus / "clips.csv")})
    page = browser.new_page()
    page.goto((out / "index.html").as_uri())
    player = page.locator("audio").first
    clip = player.get_attribute("aria-label")
    player.evaluate("element => { element.closest('details').open = true; }")
    length = player.evaluate(
        """element => new Promise((done, failed) => {
          element.onloadedmetadata = () => done(element.duration);
          element.onerror = () => failed(element.error.message);
          element.load();
        })"""
    )
    assert length == pytest.approx(0.2 + 0.1 * int(clip[1:3]), abs=0.01)
    assert player.bounding_box()["width"] > 100
    page.close()
    assert not list(out.rglob("*.wav")) and "data:audio" not in (out / "index.html").read_text(encoding="utf-8")


def test_a_corpus_that_no_run_has_and_one_that_is_gone_are_named(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"unknown corpus of these results in --audio 'clisp'.*clips"):
        write(runs, tmp_path / "out", places={"clisp": str(tmp_path)})
    with pytest.raises(UserError, match=r"--audio clips=/nowhere: there is no such folder or table"):
        write(runs, tmp_path / "out", places={"clips": "/nowhere"})
    assert not (tmp_path / "out").exists()
