"""The audit on sounds with one fault each."""

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


def found(root: Path, name: str, *, decode: bool = True) -> list[tuple[str, str]]:
    inspection = audit.inspect(manifest(root, name), decode=decode)
    return [(problem.problem, problem.detail) for problem in inspection.problems]


def test_a_good_clip_has_no_problem(tmp_path: Path, write_wav: Write) -> None:
    write_wav("good.wav")
    assert found(tmp_path, "good.wav") == []


def test_missing(tmp_path: Path) -> None:
    assert found(tmp_path, "nowhere.wav") == [("missing", "no such file")]


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "x.wav").touch()
    soundfile.write(tmp_path / "y.wav", np.zeros(0, np.float32), 16_000)
    assert found(tmp_path, "x.wav") == [("empty", "0 bytes")]
    assert found(tmp_path, "y.wav") == [("empty", "a header and no samples")]


def test_text_and_folders_are_unreadable(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_text("not audio at all")
    (tmp_path / "y.wav").mkdir()
    assert [kind for kind, _ in found(tmp_path, "x.wav")] == ["unreadable"]
    assert found(tmp_path, "y.wav") == [("unreadable", "not an ordinary file")]


@pytest.mark.parametrize("decode", [True, False])
def test_truncated(tmp_path: Path, write_wav: Write, decode: bool) -> None:
    path = write_wav("x.wav")
    path.write_bytes(path.read_bytes()[:16_044])
    ((kind, detail),) = found(tmp_path, "x.wav", decode=decode)
    assert kind == "truncated"
    assert detail == "the header promises 32000 bytes of samples, 16000 are there"


def test_a_length_that_a_pipe_could_not_know_is_no_problem(tmp_path: Path, write_wav: Write) -> None:
    path = write_wav("x.wav")
    data = bytearray(path.read_bytes())
    data[40:44] = b"\xff" * 4
    path.write_bytes(data)
    assert found(tmp_path, "x.wav") == []


def test_a_flac_that_breaks_off_is_unreadable(tmp_path: Path, tone: Callable[..., np.ndarray]) -> None:
    soundfile.write(tmp_path / "x.flac", tone(), 16_000)
    data = (tmp_path / "x.flac").read_bytes()
    (tmp_path / "x.flac").write_bytes(data[: len(data) // 2])
    assert [kind for kind, _ in found(tmp_path, "x.flac")] == ["unreadable"]


def test_not_finite(tmp_path: Path, tone: Callable[..., np.ndarray]) -> None:
    wave = tone()
    wave[[5, 6]] = np.nan, np.inf
    soundfile.write(tmp_path / "x.wav", wave, 16_000, subtype="FLOAT")
    assert found(tmp_path, "x.wav") == [("non-finite", "2 of 16000 samples are NaN or infinite")]


def test_silent(tmp_path: Path, write_wav: Write) -> None:
    write_wav("x.wav", np.zeros(16_000, np.float32))
    write_wav("y.wav", np.full(16_000, 10 ** (-70 / 20), np.float32))
    assert found(tmp_path, "x.wav") == [("silent", "zero throughout")]
    assert found(tmp_path, "y.wav") == [("silent", "its peak is -70 dBFS")]


def test_clipped_is_flat_tops_and_not_a_normalised_peak(tmp_path: Path, write_wav: Write) -> None:
    wave = np.tile(np.r_[np.full(10, 1.0), np.full(90, 0.1)], 160)
    write_wav("x.wav", wave)
    assert found(tmp_path, "x.wav") == [("clipped", "10.00% of its samples are in flat tops at full scale")]
    write_wav("y.wav", np.tile(np.r_[np.full(audit.CLIPPED_RUN - 1, 1.0), np.full(97, 0.1)], 160))
    assert found(tmp_path, "y.wav") == []


def test_too_short(tmp_path: Path, write_wav: Write, tone: Callable[..., np.ndarray]) -> None:
    write_wav("x.wav", tone(0.05))
    assert found(tmp_path, "x.wav", decode=False) == [("too short", "0.050 s; a clip needs at least 0.1 s")]


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
