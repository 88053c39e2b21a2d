"""What a model was trained on is left out of its tests, however it is stored and whatever it is called."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from affetto.corpora.labelling import Relabelling
from affetto.corpora.manifest import Clip, Manifest
from affetto.errors import UserError
from affetto.evaluation.seen import TrainedOn, person, trained_on
from affetto.evaluation.testing import TestClips, choose
from affetto.models.prefix import Source
from affetto.targets.classes import Classes
from affetto.training.contents import contents_of, marks_of
from synthetic.babble import babble, stored

JOY = Classes(("joy",))


def heard(root: Path, clips: dict[str, tuple[str, bytes]], corpus: str = "x") -> TestClips:
    """Clips of joy by file name: the speaker, and the file's content."""
    for file, (_, content) in clips.items():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(content)
    listed = tuple(Clip(file, "joy", speaker, corpus) for file, (speaker, _) in clips.items())
    manifest = Manifest(corpus, root, listed)
    sources = {clip.id: Source(manifest.path(clip)) for clip in manifest.clips}
    return TestClips(manifest, sources, {clip: source.digest() for clip, source in sources.items()}, {})


def run_of(folder: Path, trained: TestClips, *, old: bool = False) -> Path:
    """A run's folder as far as it tells what the run was trained on; `old`: as before contents were told."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"clip": clip.name, "corpus": clip.corpus, "speaker": clip.speaker, "audio": trained.digests[clip.id]}
        | ({} if old else marks_of(trained.contents[clip.id]))
        for clip in trained.manifest.clips
    ]
    (folder / "trained_on.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def trained(tmp_path: Path) -> TestClips:
    return heard(tmp_path / "trained", {f"{n}.wav": ("anna", stored(babble(n))) for n in range(3)}, corpus="mine")


CLIPS = {
    "same file.wav": ("bea", stored(babble(0))),
    "flac.flac": ("bea", stored(babble(1), "FLAC")),
    "stereo of 48 kHz.wav": ("bea", stored(babble(1), rate_hz=48_000, channels=2)),
    "ogg.ogg": ("carla", stored(babble(2), "OGG", "VORBIS")),
    "another take.wav": ("bea", stored(babble(2, take=1))),
    "by anna.wav": ("anna", stored(babble(9))),
}


def test_copies_are_left_out_in_every_form_and_counted_by_reason(trained: TestClips, tmp_path: Path) -> None:
    lines: list[str] = []
    clips = heard(tmp_path / "tested", CLIPS, corpus="other")
    seen = trained_on(run_of(tmp_path / "run", trained))
    chosen, left_out = choose(clips, JOY, seen, say=lines.append)
    assert [clip.file for clip in chosen] == ["another take.wav", "by anna.wav"]  # another corpus's anna is another
    assert left_out["trained_on"] == 4
    assert left_out["trained_on_by"] == {"file": 1, "content": 3, "speaker": 0, "speakers": 2}
    assert lines == [
        "left out: 4 clips of 2 speakers that the model was trained on (1 the very files, 3 the same recordings, "
        "stored otherwise); --include-seen tests on them too"
    ]


def test_speakers_who_were_trained_on_are_left_out_whatever_they_say(trained: TestClips, tmp_path: Path) -> None:
    clips = heard(tmp_path / "tested", CLIPS, corpus="mine")
    for old, reasons in ((False, (1, 3, 1, 3)), (True, (1, 0, 1, 2))):
        seen = trained_on(run_of(tmp_path / f"run {old}", trained, old=old))
        chosen, left_out = choose(clips, JOY, seen)
        assert "by anna.wav" not in {clip.file for clip in chosen}
        assert tuple(left_out["trained_on_by"].values()) == reasons
    every, left_out = choose(clips, JOY, seen, include_seen=True)
    assert len(every) == len(CLIPS) and left_out["trained_on"] == 0 and left_out["trained_on_by"]["speaker"] == 1


def test_clips_that_the_corpus_s_reader_has_left_out_are_counted(trained: TestClips, tmp_path: Path) -> None:
    clips = heard(tmp_path / "tested", {"a.wav": ("bea", stored(babble(5)))})
    changes = (Relabelling("calm", "drop", 3, by_user=False), Relabelling("happy", "joy", 2, by_user=True))
    clips = replace(clips, manifest=replace(clips.manifest, relabelled=changes))
    _, left_out = choose(clips, JOY, trained_on(run_of(tmp_path / "run", trained)))
    assert left_out["dropped_labels"] == {"calm": 3} and left_out["unknown_emotions"] == {}


def test_speakers_of_merged_corpora_are_those_of_their_corpus(trained: TestClips, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", trained)
    text = (run / "trained_on.jsonl").read_text()
    (run / "trained_on.jsonl").write_text(text.replace('"anna"', '"mine:anna"'))
    clips = heard(tmp_path / "tested", CLIPS, corpus="mine")
    assert choose(clips, JOY, trained_on(run))[1]["trained_on_by"]["speaker"] == 1


def test_speakers_of_earlier_runs_are_known_in_every_writing() -> None:
    assert person("x", "Niccolo\u0300") == person("x", "x:Niccol\u00f2") == ("x", "Niccol\u00f2")


def test_nothing_left_says_why_and_what_to_do(trained: TestClips, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"3 clips of 1 speaker .* \(3 the very files\).*--corpus NAME=PATH"):
        choose(trained, JOY, trained_on(run_of(tmp_path / "run", trained)))


def test_a_model_s_own_folder_finds_what_its_run_was_trained_on(
    trained: TestClips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path / "run", trained)
    (run / "model").mkdir()
    assert trained_on(run / "model") == trained_on(run) and trained_on(run).is_known
    monkeypatch.chdir(run / "model")
    assert trained_on(Path()) == trained_on(run)
    lines: list[str] = []
    choose(trained, JOY, trained_on(tmp_path / "exported"), say=lines.append)
    assert trained_on(tmp_path / "exported") == TrainedOn(is_known=False) and "no trained_on.jsonl" in lines[0]
    (run / "trained_on.jsonl").write_text('{"audio": 1}\n[]\n')
    with pytest.raises(UserError, match="cannot be read"):
        trained_on(run)


def test_contents_are_remembered_by_the_files_digests(
    trained: TestClips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AFFETTO_CACHE", str(tmp_path / "cache"))
    first = contents_of(trained.sources, trained.digests)
    assert len(first) == 3
    gone = {clip: Source(tmp_path / "gone.wav") for clip in trained.sources}
    assert contents_of(gone, trained.digests) == first
    for file in (tmp_path / "cache/contents").rglob("*.json"):
        file.write_text("{ broken")
    assert contents_of(gone, trained.digests) == {} and contents_of(trained.sources, trained.digests) == first
