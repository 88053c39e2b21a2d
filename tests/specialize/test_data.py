"""Which clips are learned from, and what a user is told of the others."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from affetto import audio
from affetto.corpora.transcribed.registry import open_speech
from affetto.errors import UserError
from affetto.specialize import examine
from affetto.specialize.data import Chooser, Sample, plain_characters, vocabulary_for
from affetto.specialize.examine import Examiner
from affetto.specialize.scores import all_rates
from affetto.specialize.spec import Spec, settings
from affetto.specialize.text import ITALIAN, Vocabulary
from specialize.recordings import VOCABULARY, write_speech


class Told(list[str]):
    def __call__(self, text: str) -> None:
        self.append(text)


def choose(
    table: Path,
    told: Told | None = None,
    *,
    vocabulary: Vocabulary | None = VOCABULARY,
    hours: float | None = None,
    examiner: Examiner | None = None,
    fits: Any = lambda _samples, _text: True,
    **chosen: str,
) -> Sample:
    spec = Spec(
        corpus=None,
        path=str(table),
        backbone="x",
        objective="ctc",
        hours=hours,
        settings=settings("ctc", "full", None, chosen),
    )
    corpus = open_speech(None, table)
    return Chooser(
        corpus,
        spec,
        vocabulary,
        vocabulary is not None,
        fits,
        Examiner() if examiner is None else examiner,
        told if told is not None else Told(),
        lambda _done, _all: None,
    ).choose()


def test_speakers_who_validate_do_not_train(tmp_path: Path) -> None:
    sample = choose(write_speech(tmp_path))
    train, validation = ({clip.speaker for clip in part} for part in (sample.train, sample.validation))
    assert len(train) == 3 and len(validation) == 1 and not train & validation
    clip = sample.train[0]
    assert clip.text == clip.sentence == clip.text.lower() and clip.samples > 8000 and len(clip.audio) == 64
    assert sample.left_out == {}


def test_hours_are_balanced_over_speakers(tmp_path: Path) -> None:
    sample = choose(write_speech(tmp_path), hours=8 / 3600)
    counts = [sum(c.speaker == who for c in sample.train) for who in {c.speaker for c in sample.train}]
    assert len(counts) == 3 and max(counts) - min(counts) <= 1
    with pytest.raises(UserError, match=r"--hours 1: .* has 0.01 usable hours to train with"):
        choose(tmp_path / "speech.csv", hours=1)


def test_unreadable_clips_are_counted_and_left_out_up_to_a_limit(tmp_path: Path) -> None:
    table = write_speech(tmp_path)
    (tmp_path / "audio" / "s1_0.wav").write_bytes(b"no audio")
    (tmp_path / "audio" / "s2_3.wav").unlink()
    told = Told()
    sample = choose(table, told, max_bad="0.2")
    assert sample.left_out == {"unreadable": 2} and len(sample.unreadable) == 2
    assert any("2 clips cannot be read: " in line for line in told)
    assert len(sample.clips) <= 22
    with pytest.raises(UserError, match=r"2 of \d+ clips cannot be read, more than max_bad \(5%\)"):
        choose(table)


def test_clips_are_decoded_once_and_again_only_when_they_change(tmp_path: Path) -> None:
    table, checked = write_speech(tmp_path), {}  # type: ignore[var-annotated]
    first = choose(table, examiner=Examiner(checked))
    known = {name: dict(entry) for name, entry in checked.items()}
    for entry in checked.values():
        entry["audio"] = "as remembered"
    assert {clip.audio for clip in choose(table, examiner=Examiner(checked)).train} == {"as remembered"}
    name = first.train[0].id
    checked[name]["stamp"] = [0, 0]
    again = choose(table, examiner=Examiner(checked))
    assert again.train[0].audio == known[name]["audio"]


def test_validation_sentences_that_are_trained_on_are_counted_and_scored_apart(tmp_path: Path) -> None:
    table = write_speech(tmp_path, speakers=2, clips=3)
    rows = [row.split(",") for row in table.read_text().splitlines()[1:]]
    sentences = {"s0": ("Una mela.", "neve", "luna"), "s1": ("una  MELA!", "ramo", "verme")}
    lines = [f"{file},{sentences[who][n % 3]},{who}" for n, (file, _, who) in enumerate(rows)]
    table.write_text("\n".join(["file,sentence,speaker", *lines]) + "\n")
    sample = choose(table)
    assert [clip.sentence for clip in sample.validation if clip.id in sample.repeated] == ["una mela"]
    assert sample.describe()["validation"]["clips_with_a_trained_sentence"] == 1
    heard = [("una mela", "una mela", True), ("ramo", "remo", False)]
    rates = all_rates(heard)
    assert rates["cer"] == pytest.approx(1 / 12) and rates["cer_unseen"] == pytest.approx(1 / 4)
    assert all_rates(heard[:1]).keys() == {"cer", "wer"} and all_rates([]) == {}


def test_what_was_decoded_outlives_a_kill_in_the_midst_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, kept = write_speech(tmp_path), []  # type: ignore[var-annotated]
    monkeypatch.setattr(examine, "LOT", 4)
    monkeypatch.setattr(examine, "KEEP_SECONDS", 0.0)
    loaded: list[Path] = []

    def load(path: Path) -> Any:
        loaded.append(path)
        if len(loaded) > 10:
            raise KeyboardInterrupt
        return decoded(path)

    decoded = audio.load
    monkeypatch.setattr(audio, "load", load)
    with pytest.raises(KeyboardInterrupt):
        choose(table, examiner=Examiner(keep=lambda checked: kept.append(dict(checked))))
    assert [len(checked) for checked in kept] == [4, 8]
    monkeypatch.setattr(audio, "load", lambda path: loaded.append(path) or decoded(path))
    loaded.clear()
    choose(table, examiner=Examiner(kept[-1]))
    assert len(loaded) == 24 - 8


def test_processes_share_the_decoding_and_know_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, loaded = write_speech(tmp_path), []  # type: ignore[var-annotated]
    monkeypatch.setattr(examine, "LOT", 4)
    own = examine.examine
    monkeypatch.setattr(examine, "examine", lambda path, before: loaded.append(path) or own(path, before))
    together, given = threading.Barrier(2), {}  # type: ignore[var-annotated]

    def process(number: int) -> Sample:
        def gather(entries: list[Any]) -> list[Any]:
            given[number] = entries
            together.wait()
            joined = given[0] + given[1]
            together.wait()
            return joined

        return choose(table, examiner=Examiner(process=number, processes=2, gather=gather))

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(process, range(2))
    assert first.facts() == second.facts() == choose(table).facts()
    assert len(loaded) == 24 + 24  # once by the two, once by the one


def test_empty_sentences_and_foreign_characters_are_left_out_and_listed(tmp_path: Path) -> None:
    table = write_speech(tmp_path)
    lines = table.read_text().splitlines()
    lines[1] = "audio/s0_0.wav,,s0"
    lines[2] = "audio/s0_1.wav,Straße 5,s0"
    table.write_text("\n".join(lines) + "\n")
    told = Told()
    sample = choose(table, told)
    assert sample.left_out == {"without a sentence": 1, "with characters outside the vocabulary": 1}
    assert any("outside the vocabulary: " in line and "'ß' 1" in line and "'5' 1" in line for line in told)
    with pytest.raises(UserError, match=r"no clip has a sentence that can be learned from .*give --characters"):
        choose(table, vocabulary=Vocabulary(" xyz"))
    everything = choose(table, vocabulary=None)
    assert everything.left_out == {}


def test_too_short_too_long_and_too_full_clips_are_left_out(tmp_path: Path) -> None:
    table = write_speech(tmp_path)
    shortest = min(clip.samples for clip in choose(table).clips.values()) / 16_000
    sample = choose(table, longest_seconds=f"{shortest + 0.01}")
    assert [reason for reason in sample.left_out if reason.startswith("shorter than")]
    full = choose(table, fits=lambda samples, text: "neve" not in text)
    assert full.left_out["whose sentence is too long for them"] > 0
    assert all("neve" not in clip.text for clip in full.train)


def test_one_speaker_cannot_validate(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 speaker with usable clips"):
        choose(write_speech(tmp_path, speakers=1))


def test_the_vocabulary_is_the_languages_or_that_of_the_corpus_or_as_given(tmp_path: Path) -> None:
    corpus = open_speech(None, write_speech(tmp_path))

    def spec(**more: Any) -> Spec:
        return Spec(corpus=None, path="x", backbone="x", objective="ctc", **more)

    assert vocabulary_for(spec(), corpus)[0].characters == ITALIAN
    found, note = vocabulary_for(spec(language="de"), corpus)
    assert set(found.characters) <= set(" aelmnruvo") and "own" in (note or "")
    assert vocabulary_for(spec(characters="ABC ab"), corpus)[0].characters == " abc"
    assert plain_characters("A b") == {"a", "b"}
