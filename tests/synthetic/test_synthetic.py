"""The synthetic corpora: layouts, counts, reproducibility, and that the sound is sound."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from affetto.corpora import folders
from affetto.corpora.annotations import Range
from affetto.corpora.labels import EMOTIONS
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.synthetic import registry as synthetic
from affetto.synthetic.layouts import emovo as emovo_layout
from affetto.synthetic.raters import draw_chances

needs_espeak = pytest.mark.skipif(
    importlib.util.find_spec("espeakng_loader") is None,
    reason="espeakng-loader (pip install 'affetto[demo]') is absent",
)
EMOVO_FILE = re.compile(r"[fm]\d+/(dis|gio|neu|pau|rab|sor|tri)-([fm]\d+)-(b[1-3]|l[1-4]|n[1-5]|d[12])\.wav")
DEMOS_FILE = re.compile(
    r"(DEMOS/(PR|NP)_[fm]_\d{2}_(rab|tri|gio|pau|dis|col|sor)\d{2}[abc]|NEU/[fm]_\d{2}_neu\d{2}[abc])\.wav"
)


def audio_in(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".wav", ".flac")
    }


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def emovo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "emovo"
    synthetic.make("emovo", folder, speakers=3, clips=42)
    return folder


@needs_espeak
def test_synthetic_emovo_has_the_official_layout_and_every_emotion_of_every_speaker(emovo: Path) -> None:
    files = list(audio_in(emovo))
    matches = [EMOVO_FILE.fullmatch(file) for file in files]
    assert len(files) == 42 and all(matches)
    assert Counter((match[2], match[1]) for match in matches if match) == {
        (speaker, code): 2
        for speaker in ("f1", "m1", "f2")
        for code in ("dis", "gio", "neu", "pau", "rab", "sor", "tri")
    }
    info = soundfile.info(emovo / files[0])
    assert (info.samplerate, info.channels, info.subtype) == (48_000, 2, "PCM_16")


@needs_espeak
def test_synthetic_speech_has_sane_lengths_and_levels(emovo: Path) -> None:
    for path in sorted(emovo.glob("*/*.wav")):
        wave, rate_hz = soundfile.read(path, dtype="float32")
        assert 1.0 < len(wave) / rate_hz < 9.0, path
        assert 0.05 < np.abs(wave).max() < 0.999, path
        assert 0.003 < np.sqrt(np.mean(wave**2)) < 0.3, path


@needs_espeak
def test_synthetic_emotions_differ_as_the_literature_says(emovo: Path) -> None:
    def level(code: str) -> float:
        return float(np.mean([np.sqrt(np.mean(soundfile.read(p)[0] ** 2)) for p in emovo.glob(f"*/{code}-*")]))

    def seconds(code: str) -> float:
        return float(np.mean([soundfile.info(p).duration for p in emovo.glob(f"*/{code}-*")]))

    assert level("rab") > level("neu") > level("tri")
    assert seconds("tri") > seconds("neu") > 0.9 * seconds("rab")


@needs_espeak
def test_synthetic_clips_depend_on_nothing_made_before_them(emovo: Path, tmp_path: Path) -> None:
    synthetic.make("emovo", tmp_path / "fewer", speakers=2, clips=9)
    all_clips, fewer = audio_in(emovo), audio_in(tmp_path / "fewer")
    assert len(fewer) == 9 and len({file[:2] for file in fewer}) == 2
    assert all(all_clips[file] == content for file, content in fewer.items())
    synthetic.make("emovo", tmp_path / "other", speakers=2, clips=9, seed=1)
    assert all(fewer[file] != content for file, content in audio_in(tmp_path / "other").items())


@needs_espeak
@pytest.mark.parametrize("kind", ["emozionalmente", "demos", "table", "rated"])
def test_synthetic_corpora_are_the_same_to_the_byte_when_made_again(kind: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        synthetic.make(kind, tmp_path / name, speakers=2, clips=14)
    contents = [
        {p.relative_to(tmp_path / name): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("one", "two")
    ]
    assert len(contents[0]) > 14 and contents[0] == contents[1]


@needs_espeak
def test_synthetic_speech_is_the_same_in_another_process_and_another_order(tmp_path: Path) -> None:
    code = (
        "import hashlib\nfrom affetto.synthetic import prosody\n"
        "people = [prosody.draw_speaker('x', 0, gender, 0, gender) for gender in ('female', 'male')]\n"
        "takes = [(who, how) for who in people for how in ('joy', 'sadness', 'fear')]\n"
        "made = {(w.name, h): prosody.speak(w, h, 'Il treno arriva').tobytes() for w, h in takes[::ORDER]}\n"
        "print(hashlib.sha256(b''.join(made[w.name, h] for w, h in takes)).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code.replace("ORDER", order)], capture_output=True, text=True, check=True
        ).stdout
        for order in ("1", "-1")
    }
    assert len(digests) == 1


@needs_espeak
def test_synthetic_emozionalmente_has_tables_that_fit_together(tmp_path: Path) -> None:
    root = tmp_path / "corpus"
    synthetic.make("emozionalmente", root, speakers=8, clips=56)
    samples, users = rows_of(root / "metadata/samples.csv"), rows_of(root / "metadata/users.csv")
    ratings = rows_of(root / "metadata/evaluations.csv")
    assert list(samples[0]) == ["file_name", "sentence", "sentence_language", "actor", "emotion_expressed"]
    assert list(users[0]) == ["username", "gender", "age", "mother_tongue"]
    assert list(ratings[0]) == ["file_name", "evaluator", "audio_quality", "emotion_recognized"]
    names = {row["file_name"] for row in samples}
    assert len(names) == 56 and all(re.fullmatch(r"\d{13}\.wav", name) for name in names)
    assert {path.name for path in (root / "audio").iterdir()} == names
    assert Counter(row["file_name"] for row in ratings) == dict.fromkeys(names, 5)
    known = {row["username"] for row in users}
    assert {row["actor"] for row in samples} | {row["evaluator"] for row in ratings} <= known
    intended = {row["file_name"]: row["emotion_expressed"] for row in samples}
    right = np.mean([intended[row["file_name"]] == row["emotion_recognized"] for row in ratings])
    assert 0.5 < right < 0.85
    parts = {part: rows_of(root / f"metadata/split/{part}.csv") for part in ("train", "dev", "test")}
    actors = [{row["actor"] for row in rows} for rows in parts.values()]
    assert sum(map(len, parts.values())) == 56 and all(actors) and sum(map(len, actors)) == 8
    info = soundfile.info(root / "audio" / next(iter(names)))
    assert (info.samplerate, info.channels) == (16_000, 1)


@needs_espeak
def test_synthetic_demos_has_a_sibling_for_neutrality_and_a_little_guilt(tmp_path: Path) -> None:
    synthetic.make("demos", tmp_path / "corpus", speakers=4, clips=28)
    files = list(audio_in(tmp_path / "corpus"))
    assert all(DEMOS_FILE.fullmatch(file) for file in files)
    assert sum("_col" in file for file in files) == 4 and len(files) == 32
    assert sum(file.startswith("NEU/") for file in files) == 4
    assert {file.split("_")[0] for file in files} == {"DEMOS/PR", "DEMOS/NP", "NEU/f", "NEU/m"}


@needs_espeak
def test_synthetic_table_lists_its_files(tmp_path: Path) -> None:
    synthetic.make("table", tmp_path / "corpus", speakers=2, clips=28)
    rows = rows_of(tmp_path / "corpus/clips.csv")
    assert list(rows[0]) == ["file", "emotion", "speaker", "gender"]
    assert {row["file"] for row in rows} == set(audio_in(tmp_path / "corpus"))
    assert {row["file"].rsplit(".")[-1] for row in rows} == {"wav", "flac"}
    assert Counter((row["speaker"], row["emotion"]) for row in rows) == {
        (speaker, emotion): 2 for speaker in ("s01", "s02") for emotion in EMOTIONS
    }


@needs_espeak
def test_synthetic_raters_confuse_emotions_and_give_dimensions(tmp_path: Path) -> None:
    synthetic.make("rated", tmp_path / "corpus", speakers=2, clips=28)
    manifest = open_corpus(None, tmp_path / "corpus")
    assert manifest.synthetic and len(manifest.clips) == 28
    assert manifest.dimensions == dict.fromkeys(("arousal", "dominance", "valence"), Range(-1, 1))
    assert {len({rating.rater for rating in clip.ratings}) for clip in manifest.clips} == {5}
    surprise, sadness = (
        np.mean([dict(clip.dimensions)["arousal"] for clip in manifest.clips if emotion in clip.file])
        for emotion in ("surprise", "sadness")
    )
    assert surprise - sadness > 0.5
    # Whoever else is there, a clip has the same ratings.
    synthetic.make("rated", tmp_path / "small", speakers=1, clips=7)
    small = {clip.file: clip.ratings for clip in open_corpus(None, tmp_path / "small").clips}
    assert small.items() <= {clip.file: clip.ratings for clip in manifest.clips}.items()


def test_synthetic_raters_confuse_emotions_as_those_of_emozionalmente() -> None:
    random = np.random.default_rng(0)
    drawn = np.mean([draw_chances(random, "fear") for _ in range(4000)], axis=0)
    assert drawn == pytest.approx([0.02, 0.04, 0.54, 0.03, 0.07, 0.22, 0.08], abs=0.015)


@needs_espeak
def test_synthetic_marker_says_what_was_made(emovo: Path, tmp_path: Path) -> None:
    marker = json.loads((emovo / folders.MARKER).read_text())
    assert marker["synthetic"] is True and (marker["speakers"], marker["clips"], marker["seed"]) == (3, 42, 0)
    assert re.fullmatch(r"affetto \S+ corpora make emovo", marker["made_by"]) and marker["espeak"]
    assert folders.is_synthetic(emovo)
    assert not folders.is_synthetic(tmp_path) and not folders.is_synthetic(emovo / "f1")


@pytest.mark.parametrize("content", ["[]", "{", '{"synthetic": "no"}', '{"synthetic": false}'])
def test_synthetic_marker_must_say_so(content: str, tmp_path: Path) -> None:
    (tmp_path / folders.MARKER).write_text(content)
    assert not folders.is_synthetic(tmp_path)


def test_synthetic_unknown_kind_gets_a_guess(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'emovo'"):
        synthetic.make("emov", tmp_path / "corpus")


@pytest.mark.parametrize(
    ("kind", "speakers", "clips", "message"),
    [
        ("emovo", 0, None, "0 speakers"),
        ("emovo", 6, 5, "5 clips are too few for 6 speakers"),
        ("emovo", 2, 197, "make 196"),
        ("demos", 99, None, "give 1 to 98"),
        ("table", None, -1, "too few"),
    ],
)
def test_synthetic_sizes_that_make_no_sense_are_refused(
    kind: str, speakers: int | None, clips: int | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        synthetic.make(kind, tmp_path / "corpus", speakers=speakers, clips=clips)
    assert not list(tmp_path.iterdir())


def test_synthetic_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not an empty folder"):
        synthetic.make("table", tmp_path)
    with pytest.raises(UserError, match="not an empty folder"):
        synthetic.make("table", tmp_path / "notes.txt")
    with pytest.raises(UserError, match="cannot be written"):
        synthetic.make("table", tmp_path / "notes.txt" / "corpus")
    assert (tmp_path / "notes.txt").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


@needs_espeak
@pytest.mark.parametrize("there", [False, True])
def test_synthetic_corpus_broken_off_leaves_nothing(there: bool, tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    if there:
        folder.mkdir()

    def interrupt(done: int, _total: int) -> None:
        assert not list(folder.glob("*"))
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthetic.make("table", folder, progress=interrupt)
    assert list(tmp_path.iterdir()) == ([folder] if there else [])
    calls: list[tuple[int, int]] = []
    synthetic.make("table", folder, speakers=1, clips=3, progress=lambda *call: calls.append(call))
    assert calls == [(1, 3), (2, 3), (3, 3)] and folders.is_synthetic(folder)


def test_synthetic_speech_without_espeak_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UserError, match=re.escape("pip install 'affetto[demo]'")):
        synthetic.make("table", tmp_path / "corpus", speakers=1, clips=1)
    assert not list(tmp_path.iterdir())


def test_synthetic_is_imported_lightly() -> None:
    code = (
        "import sys, affetto.synthetic.registry\naffetto.synthetic.registry.miniatures()\n"
        "print({'espeakng_loader', 'torch', 'scipy', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_synthetic_clips_are_spread_evenly() -> None:
    layout = emovo_layout.LAYOUT
    for speakers, clips in ((6, 588), (6, 50), (4, 100), (5, 9), (7, 7)):
        takes = list(layout.takes(speakers, clips))
        assert len(takes) == len(set(takes)) == clips
        for counted in (
            Counter(take.speaker for take in takes),
            Counter(take.emotion for take in takes),
        ):
            assert max(counted.values()) - min(counted.values()) <= 1
