"""The optimiser on the real corpora's speakers: their metadata is enough, no audio is read."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from affetto.corpora.labels import EMOTIONS, canonical
from affetto.corpora.manifest import Clip, Manifest
from affetto.splits import make_split
from counting import count_calls

pytestmark = pytest.mark.real
GENDERS = {"f": "female", "m": "male"}
MOST_CALLS = 200  # for each clip; 110 is usual, some three seconds of one core in all


def emotion_of(code: str) -> str:
    return canonical(code, where="the real corpora's metadata") or ""


def emozionalmente(shared: Path) -> Manifest:
    folder = shared / "corpora" / "emozionalmente" / "metadata"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    with (folder / "users.csv").open(encoding="utf-8", newline="") as file:
        genders = {row["username"]: row["gender"] for row in csv.DictReader(file)}
    with (folder / "samples.csv").open(encoding="utf-8", newline="") as file:
        clips = [
            Clip(
                file=f"audio/{row['file_name']}",
                emotion=emotion_of(row["emotion_expressed"]),
                speaker=row["actor"],
                corpus="emozionalmente",
                gender=genders[row["actor"]],
                prompt=row["sentence"],
            )
            for row in csv.DictReader(file)
        ]
    return Manifest("emozionalmente", folder.parent, tuple(clips))


def demos(shared: Path) -> Manifest:
    path = shared / "corpora" / "demos" / "files.txt"
    if not path.is_file():
        pytest.skip(f"no file {path}")
    clips = []
    for name in path.read_text(encoding="utf-8").split():
        fit = re.search(r"([fm])_(\d\d)_(([a-z]{3})\d\d[abc])\.wav$", name)
        if fit and fit[4] != "col":
            clips.append(Clip(name, emotion_of(fit[4]), fit[2], "demos", GENDERS[fit[1]], fit[3]))
    return Manifest("demos", path.parent, tuple(clips))


def emovo() -> Manifest:
    sentences = [f"{kind}{i + 1}" for kind, number in zip("blnd", (3, 4, 5, 2), strict=True) for i in range(number)]
    clips = [
        Clip(f"{actor}/{emotion}-{actor}-{s}.wav", emotion, actor, "emovo", GENDERS[actor[0]], s)
        for actor in ("f1", "f2", "f3", "m1", "m2", "m3")
        for emotion in EMOTIONS
        for s in sentences
    ]
    return Manifest("emovo", Path("/emovo"), tuple(clips))


CORPORA = {"emozionalmente": (emozionalmente, 6902, 431, 0.005), "demos": (demos, 8568, 68, 0.008)}


@pytest.mark.parametrize("name", CORPORA)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_paper_split_comes_near_its_targets(shared: Path, name: str, seed: int) -> None:
    read, clips, speakers, variation = CORPORA[name]
    manifest = read(shared)
    assert (len(manifest.clips), len(manifest.speakers)) == (clips, speakers)
    splits = []
    assert count_calls(lambda: splits.append(make_split(manifest, "paper", seed))) < MOST_CALLS * clips
    (split,) = splits
    target = {"train": 0.8, "validation": 0.1, "test": 0.1}
    for part, facts in split.audit["folds"][0]["parts"].items():
        assert abs(facts["points_off"]) <= 0.2
        assert facts["total_variation"] <= variation
        assert facts["speakers"] == pytest.approx(target[part] * speakers, abs=0.02 * speakers)


def test_emovo_is_split_four_one_one() -> None:
    facts = make_split(emovo(), "paper").audit["folds"][0]["parts"].values()
    assert [part["speakers"] for part in facts] == [4, 1, 1]
    assert [part["clips"] for part in facts] == [392, 98, 98]
    assert [part["total_variation"] for part in facts] == [0, 0, 0]


@pytest.mark.parametrize("name", CORPORA)
def test_prompt_disjoint_keeps_two_fifths_and_every_class(shared: Path, name: str) -> None:
    read, clips, _, _ = CORPORA[name]
    (fold,) = make_split(read(shared), "prompt-disjoint").audit["folds"]
    assert fold["prompt_overlap_percent"] == 0
    assert fold["left_out"] <= 0.6 * clips
    for facts in fold["parts"].values():
        assert abs(facts["points_off"]) <= 1
        assert all(facts["classes"].values())


def test_speaker_independent_demos_shares_nearly_all_prompts(shared: Path) -> None:
    split = make_split(demos(shared), "paper")
    assert split.audit["folds"][0]["prompt_overlap_percent"] > 95
    assert any("prompt-disjoint" in note for note in split.notes)


def test_every_real_speaker_is_left_out_once(shared: Path) -> None:
    manifest = demos(shared)
    split = make_split(manifest, "loso")
    assert tuple(fold.name for fold in split.folds) == manifest.speakers
    assert sum(len(fold.test) for fold in split.folds) == len(manifest.clips)
    assert "no test clip shows 'neutrality' in 10 of 68 folds" in split.notes
    assert "no test clip shows 'joy' in 1 of 68 folds" in split.notes
