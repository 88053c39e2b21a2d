"""The readers on what the real corpora hold: EMOVO's audio, DEMoS's file names, Emozionalmente's metadata."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from affetto import audio
from affetto.corpora import audit, ratings
from affetto.corpora.annotations import shares
from affetto.corpora.content import content, copies, groups
from affetto.corpora.labels import EMOTIONS
from affetto.corpora.published import demos
from affetto.corpora.published.emozionalmente import read_ratings
from affetto.corpora.registry import CORPORA, open_corpus
from affetto.errors import UserError
from affetto.measures.ceiling import human_ceiling
from synthetic.babble import stored

pytestmark = pytest.mark.real


def existing(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"no {path}")
    return path


def test_emovo(shared: Path) -> None:
    manifest = open_corpus(None, existing(shared / "real/EMOVO"), strict=True)
    inspection = audit.inspect(manifest)
    found = inspection.to_json()
    assert (found["corpus"], found["clips"], found["speakers"]) == ("emovo", 588, 6)
    assert found["per_emotion"] == dict.fromkeys(EMOTIONS, 84)
    # One recording stands there twice, cut otherwise: their waves correlate by 0.977 at a shift of 107 ms.
    (problem,) = found["problems"]
    assert (problem["file"], problem["problem"]) == ("f3/tri-f3-n2.wav", "duplicate")
    assert problem["detail"] == "the same recording as f3/tri-f3-n1.wav, with other samples"
    assert found["gender"] == {g: {"speakers": 3, "clips": 294} for g in ("female", "male")}
    duration = inspection.duration()
    assert duration is not None
    assert duration["mean_seconds"] == pytest.approx(3.12, abs=0.005)
    assert duration["share_over_4_seconds"] == pytest.approx(0.22, abs=0.005)


def local(name: str) -> Path:
    """The folder AFFETTO_REAL (default ../real) may hold a corpus: public, but not to be passed on."""
    return existing(Path(os.environ.get("AFFETTO_REAL", Path(__file__).parents[3] / "real")) / name)


@pytest.mark.parametrize(
    ("name", "labels", "facts"),
    [
        ("ased", 5, ("prompt", "gender")),
        ("emodb", 7, ("prompt", "sentence", "gender")),
        ("nemo", 6, ("prompt", "sentence", "gender")),
        ("ravdess", 8, ("prompt", "sentence", "gender")),
        ("turev", 4, ("prompt",)),
        ("urdu", 4, ("gender",)),
    ],
)
def test_corpora_of_named_files_are_whole(name: str, labels: int, facts: tuple[str, ...]) -> None:
    path = local(name)
    manifest = open_corpus(None, path, strict=True, keep_other=True)
    assert (manifest.corpus, len(manifest.labels)) == (name, labels)
    assert len(manifest.speakers) == CORPORA[name].speakers
    assert {label: clips for label, clips in manifest.per_emotion().items() if clips} == CORPORA[name].official
    assert all(getattr(clip, fact) for clip in manifest.clips for fact in facts)
    assert len(open_corpus(None, path, strict=True).clips) == CORPORA[name].clips


def test_recordings_that_stand_twice_in_ased_are_known_and_takes_of_a_sentence_are_not() -> None:
    """62 pairs whose waves correlate by 0.94 and more; those of two takes have 0.57 at the most."""
    problems = audit.inspect(open_corpus(None, local("ased"), strict=True)).to_json()["problems"]
    assert {problem["problem"] for problem in problems} == {"duplicate"}
    assert len(problems) == 62
    details = [problem["detail"] for problem in problems]
    assert sum("different speakers" in detail for detail in details) == 4
    assert sum("different labels" in detail for detail in details) == 1


COPIES = {
    "48 kHz stereo": ("WAV", "PCM_16", 48_000, 2),
    "flac of 44.1 kHz": ("FLAC", "PCM_16", 44_100, 1),
    "mp3": ("MP3", "MPEG_LAYER_III", 16_000, 1),
    "ogg": ("OGG", "VORBIS", 16_000, 1),
    "telephone": ("WAV", "ULAW", 8_000, 1),
}


@pytest.mark.parametrize("kind", COPIES)
def test_every_copy_of_emovo_is_known_as_its_own_clip_s_alone(kind: str, shared: Path) -> None:
    manifest = open_corpus("emovo", existing(shared / "real/EMOVO"))
    form, subtype, rate_hz, channels = COPIES[kind]
    originals, altered = {}, {}
    for clip in manifest.clips:
        wave = audio.load(manifest.path(clip))
        originals[clip.name] = content([wave])
        file = stored(wave, form, subtype, rate_hz=rate_hz, channels=channels)
        altered[f"copy of {clip.name}"] = content([audio.decode(file)])
    twins = {"f3/tri-f3-n1.wav", "f3/tri-f3-n2.wav"}
    for group in groups(originals | altered):
        names = {name.removeprefix("copy of ") for name in group}
        assert len(group) == 2 * len(names) and (len(names) == 1 or names == twins)
    assert copies(altered, originals.values()) == set(altered)


def test_demos_is_table_two(shared: Path, tmp_path: Path) -> None:
    names = existing(shared / "corpora/demos/files.txt").read_text().split()
    for folder in ("DEMOS", "NEU"):
        (tmp_path / folder).mkdir()
    for name in names:
        (tmp_path / name).touch()
    manifest = open_corpus("demos", tmp_path, strict=True)
    assert manifest.per_emotion() == demos.CORPUS.classes
    assert manifest.per_emotion() == {
        "anger": 1477,
        "disgust": 1678,
        "fear": 1156,
        "joy": 1395,
        "neutrality": 332,
        "sadness": 1530,
        "surprise": 1000,
    }
    assert len(manifest.clips) == 8568
    gender = dict({(clip.speaker, clip.gender) for clip in manifest.clips})
    assert len(manifest.speakers) == len(gender) == 68
    assert sorted(manifest.speakers) == [f"{n:02}" for n in range(1, 70) if n != 35]
    assert (list(gender.values()).count("male"), list(gender.values()).count("female")) == (45, 23)
    kept = open_corpus("demos", tmp_path, strict=True, options={"keep_guilt": "true"})
    assert kept.per_emotion()["guilt"] == 1129
    assert not any("not fit" in note for note in kept.notes)


def test_emozionalmente_metadata(shared: Path) -> None:
    root = existing(shared / "corpora/emozionalmente")
    manifest = open_corpus(None, root)
    assert manifest.corpus == "emozionalmente"
    assert len(manifest.clips) == 6902
    assert manifest.per_emotion() == dict.fromkeys(EMOTIONS, 986)
    assert len(manifest.speakers) == 431
    genders = [gender for _, gender in {(clip.speaker, clip.gender) for clip in manifest.clips}]
    assert [genders.count(gender) for gender in ("female", "male", "other")] == [299, 131, 1]
    assert len({clip.prompt for clip in manifest.clips}) == 18
    assert ratings.human_uar(manifest) == pytest.approx(0.664, abs=0.0005)
    recall = {label: round(value, 3) for label, value in ratings.human_recall(manifest).items()}
    assert recall == dict(zip(EMOTIONS, (0.680, 0.524, 0.540, 0.646, 0.839, 0.719, 0.699), strict=True))
    assert sum(int(dict(clip.extra)["raters_agree"]) >= 3 for clip in manifest.clips) == 4825
    answers = read_ratings(root)
    assert sum(len(clip.ratings) for clip in manifest.clips) == sum(map(len, answers.values())) == 34510
    assert all(shares(of_file, EMOTIONS).sum() == pytest.approx(1) for of_file in answers.values())
    ceiling = human_ceiling(manifest)
    assert ceiling is not None and ceiling["labels"]["n"] == 34510
    with pytest.raises(UserError, match="6902 of the 6902"):
        open_corpus(None, root, strict=True)
