"""Perturbations: each changes the sound, the same for a clip whatever is around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from affetto.errors import UserError
from affetto.evaluation.stress.registry import PERTURBATIONS, select
from affetto.evaluation.stress.scene import TALKERS, CorpusScene
from affetto.evaluation.testing import TestClips, read_test_clips
from affetto.training.noise import Noise
from affetto.training.spec import CorpusSpec
from training.corpora import RATE_HZ, sound, write_table


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> TestClips:
    table = write_table(tmp_path_factory.mktemp("table"), speakers=3, parts=False)
    return read_test_clips((CorpusSpec(name="table", path=str(table)),), {})


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Noise:
    folder = tmp_path_factory.mktemp("noise")
    soundfile.write(folder / "hum.wav", sound(6, 90, 0, 2.0), RATE_HZ)
    return Noise.read(folder, "--noise")


@pytest.mark.parametrize("name", list(PERTURBATIONS))
def test_a_perturbation_changes_a_clip_the_same_whatever_was_changed_before(
    name: str, clips: TestClips, recordings: Noise
) -> None:
    perturbation = PERTURBATIONS[name]
    first, last = clips.manifest.clips[0], clips.manifest.clips[-1]
    scene, other = (CorpusScene(clips=clips, noise=recordings) for _ in range(2))
    if perturbation.missing(scene):
        pytest.skip(perturbation.missing(scene))
    wave = scene.wave(first.id).copy()
    changed = [scene.perturbed(first, perturbation, level) for level in perturbation.levels]
    for level, under in zip(perturbation.levels, changed, strict=True):
        assert under.dtype == np.float32 and np.isfinite(under).all() and not np.array_equal(under, wave)
        other.perturbed(last, perturbation, level)
        assert np.array_equal(under, other.perturbed(first, perturbation, level))
    assert np.array_equal(scene.wave(first.id), wave), "the stored wave itself was changed"
    if len(changed) > 1:
        assert not np.array_equal(changed[0], changed[1])


def test_noise_is_the_same_at_all_levels_and_as_loud_as_they_say(clips: TestClips) -> None:
    scene, clip = CorpusScene(clips=clips), clips.manifest.clips[0]
    wave = scene.wave(clip.id).astype(np.float64)
    for name in ("white", "babble"):
        added = [scene.perturbed(clip, PERTURBATIONS[name], level) - wave for level in (20.0, 0.0)]
        levels = [10 * np.log10(np.mean(wave**2) / np.mean(noise**2)) for noise in added]
        assert levels == pytest.approx([20, 0], abs=1e-2)
        assert np.corrcoef(*added)[0, 1] > 0.999
    white = [
        scene.perturbed(c, PERTURBATIONS["white"], 0.0)[:4000] - scene.wave(c.id)[:4000] for c in clips.manifest.clips
    ]
    assert abs(np.corrcoef(white[0], white[1])[0, 1]) < 0.1


def test_babble_is_of_other_speakers_alone(clips: TestClips, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, heard = CorpusScene(clips=clips), []
    plain = CorpusScene.wave

    def listening(self: CorpusScene, clip_id: str) -> np.ndarray:
        heard.append(clip_id)
        return plain(self, clip_id)

    monkeypatch.setattr(CorpusScene, "wave", listening)
    speakers = {clip.id: clip.speaker for clip in clips.manifest.clips}
    for clip in clips.manifest.clips:
        heard.clear()
        scene.perturbed(clip, PERTURBATIONS["babble"], 0.0)
        talkers = [clip_id for clip_id in heard if clip_id != clip.id]
        assert len(talkers) == len(set(talkers)) == TALKERS
        assert clip.speaker not in {speakers[clip_id] for clip_id in talkers}


def test_what_a_perturbation_lacks_is_said(clips: TestClips, tmp_path: Path) -> None:
    assert "--noise" in PERTURBATIONS["recorded"].missing(CorpusScene(clips=clips))
    table = write_table(tmp_path, speakers=1, parts=False)
    alone = CorpusScene(clips=read_test_clips((CorpusSpec(name="one", path=str(table)),), {}))
    assert "no other speaker" in PERTURBATIONS["babble"].missing(alone)
    assert not PERTURBATIONS["white"].missing(alone)


def test_perturbations_are_chosen_by_name_or_family() -> None:
    assert [record.name for record in select(["noise", "mp3"])] == ["white", "babble", "recorded", "mp3"]
    assert select(None) == tuple(PERTURBATIONS.values())
    with pytest.raises(UserError, match=r"noize.*noise"):
        select(["noize"])
    with pytest.raises(UserError, match="--only names no perturbation"):
        select([])
