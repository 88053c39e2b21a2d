"""The audit: what it counts, and what it says of clips beside one another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from affetto.corpora import audit
from affetto.corpora.labels import EMOTIONS
from affetto.corpora.manifest import Clip, Manifest

Write = Callable[..., Path]


def manifest(root: Path, *names: str, **more: object) -> Manifest:
    clips = tuple(Clip(name, "joy", "s", "mine", "female") for name in names)
    return Manifest("mine", root, clips, **more)  # type: ignore[arg-type]


def test_duplicates_by_content(tmp_path: Path, write_wav: Write, tone: Callable[..., np.ndarray]) -> None:
    write_wav("a.wav")
    soundfile.write(tmp_path / "b.flac", soundfile.read(tmp_path / "a.wav")[0], 16_000)
    write_wav("c.wav", tone(hz=330))
    clips = (Clip("a.wav", "joy", "s1"), Clip("b.flac", "fear", "s2"), Clip("c.wav", "joy", "s1"))
    (problem,) = audit.inspect(Manifest("mine", tmp_path, clips)).problems
    assert (problem.file, problem.problem) == ("b.flac", "duplicate")
    assert problem.detail == (
        "the same samples as a.wav, under different labels (fear and joy), under different speakers (s2 and s1)"
    )


def test_sections_are_heard_by_themselves(tmp_path: Path, write_wav: Write, tone: Callable[..., np.ndarray]) -> None:
    write_wav("x.wav", np.r_[tone(1.0), np.zeros(16_000, np.float32)])
    clips = tuple(
        Clip("x.wav", "joy", "s", start=start, end=end) for start, end in ((0.0, 1.0), (1.0, None), (5.0, 6.0))
    )
    inspection = audit.inspect(Manifest("mine", tmp_path, clips))
    assert [(problem.file, problem.problem) for problem in inspection.problems] == [
        ("x.wav#1-", "silent"),
        ("x.wav#5-6", "unreadable"),
    ]
    assert inspection.seconds.tolist() == [1.0, 1.0]


def test_the_json_starts_with_the_agreed_keys_and_counts_all_clips(tmp_path: Path, write_wav: Write) -> None:
    write_wav("a.wav")
    write_wav("b.wav", np.zeros((88_200 * 5, 2), np.float32), rate_hz=88_200)
    inspection = audit.inspect(manifest(tmp_path, "a.wav", "b.wav", "gone.wav", licence="mine", notes=("look",)))
    found = inspection.to_json()
    assert list(found)[:5] == ["corpus", "clips", "speakers", "per_emotion", "problems"]
    assert (found["corpus"], found["clips"], found["speakers"]) == ("mine", 3, 1)
    assert found["per_emotion"] == {label: 3 * (label == "joy") for label in EMOTIONS}
    assert found["problems"] == [
        {"file": "b.wav", "problem": "silent", "detail": "zero throughout"},
        {"file": "gone.wav", "problem": "missing", "detail": "no such file"},
    ]
    assert found["gender"] == {"female": {"speakers": 1, "clips": 3}}
    assert (found["rates"], found["channels"]) == ({"16000": 1, "88200": 1}, {"1": 1, "2": 1})
    assert found["duration"] == {
        "total_seconds": 6.0,
        "mean_seconds": 3.0,
        "std_seconds": 2.0,
        "median_seconds": 3.0,
        "min_seconds": 1.0,
        "max_seconds": 5.0,
        "share_over_4_seconds": 0.5,
    }
    assert (found["raters"], found["licence"], found["notes"], found["synthetic"]) == (None, "mine", ["look"], False)


def test_progress_counts_every_clip(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    names = [f"{number:03}.wav" for number in range(200)]
    audit.inspect(manifest(tmp_path, *names), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 200) for done in range(1, 201)]


def rendered(inspection: audit.Inspection) -> str:
    console = Console(width=120, record=True, file=open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
    console.print(audit.render(inspection))
    return console.export_text()


def test_the_terminal_shows_notes_problems_and_the_stamp(tmp_path: Path) -> None:
    names = [f"{number:02}[x].wav" for number in range(30)]
    text = rendered(audit.inspect(manifest(tmp_path, *names, notes=("look at [this]",), synthetic=True)))
    assert "SYNTHETIC" in text
    assert "look at [this]" in text
    assert "30 problems" in text and "30 missing" in text
    assert "19[x].wav" in text and "20[x].wav" not in text
    assert "and 10 more" in text


@pytest.mark.parametrize(
    ("key", "words"),
    [("msppodcast", "none are known for MSP-Podcast"), ("table", "your own"), ("", "your own")],
)
def test_absent_counts_are_those_of_a_known_corpus_or_of_one_s_own(tmp_path: Path, key: str, words: str) -> None:
    assert words in rendered(audit.inspect(manifest(tmp_path, "a.wav", key=key), decode=False))


@pytest.mark.parametrize("longer", [0.0, 0.01])
def test_clips_that_were_cut_to_one_length_are_noted(
    tmp_path: Path, tone: Callable[..., np.ndarray], write_wav: Write, longer: float
) -> None:
    names = [f"{number}.wav" for number in range(audit.EQUAL_LENGTHS)]
    for number, name in enumerate(names):
        write_wav(name, tone(0.2 + longer * (number == 3), hz=200.0 + number))
    notes = audit.inspect(manifest(tmp_path, *names), decode=False).notes
    assert [note for note in notes if "every clip is 0.20 s long" in note] == ([] if longer else list(notes[-1:]))


def test_one_problem_is_singular(tmp_path: Path) -> None:
    assert "1 problem, which changes no count: 1 missing" in rendered(audit.inspect(manifest(tmp_path, "gone.wav")))


def test_the_terminal_shows_counts_beside_the_official_ones_and_raters(tmp_path: Path, write_wav: Write) -> None:
    write_wav("a.wav")
    clip = Clip("a.wav", "joy", "s", extra=(("raters", "joy|fear"), ("raters_agree", "1")))
    inspection = audit.inspect(Manifest("mine", tmp_path, (clip,), official={"joy": 986}))
    assert inspection.to_json()["raters"] == {"uar": 0.5, "recall": {"joy": 0.5}}
    text = rendered(inspection)
    assert "SYNTHETIC" not in text
    assert "no problems found" in text
    (line,) = [line for line in text.splitlines() if line.strip().startswith("joy")]
    assert line.split() == ["joy", "1", "986", "0.500"]
