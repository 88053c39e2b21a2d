"""Prefixes of many clips in padded batches, as a GPU takes them: here on the CPU, which is told that it is one."""

from __future__ import annotations

import errno
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from affetto.audio import AudioError
from affetto.errors import UserError
from affetto.models import pipeline
from affetto.models.classifier import Classifier, Prefix
from affetto.models.device import KINDS
from affetto.models.prefix import PrefixData, PrefixStore, Source
from models.systems import classifier, clips

SECONDS = (0.9, 0.3, 2.0, 0.4, 0.31, 1.1, 0.7, 0.2, 0.5)


@pytest.fixture
def in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU takes padded batches, cut from windows of four clips, and waits for the store after each."""
    monkeypatch.setitem(KINDS, "cpu", replace(KINDS["cpu"], clips_side_by_side=False))
    for name, size in (("FIRST_WINDOW", 4), ("WINDOW", 4), ("BATCH_SAMPLES", 36_000), ("FLIGHT_BYTES", 100_000)):
        monkeypatch.setattr(pipeline, name, size)


def data(folder: Path, key: str = "wav2vec2-mini", method: str = "lora") -> PrefixData:
    folder.mkdir(exist_ok=True)
    sources = {}
    for number, wave in enumerate(clips(*SECONDS)):
        file = folder / f"{number}.wav"
        if not file.exists():
            soundfile.write(file, wave, 16_000, subtype="FLOAT")
        sources[str(number)] = Source(file)
    model = classifier(key, method)
    keys = {clip: source.digest() for clip, source in sources.items()}
    return PrefixData(model, PrefixStore({"cut": model.cut}, "float32", folder / "store"), sources, keys, None)


def is_close(ours: Prefix, expected: Prefix) -> bool:
    return all(torch.allclose(ours[name], tensor, atol=1e-5) for name, tensor in expected.items())


def test_batches_are_of_like_length_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "BATCH_SAMPLES", 100)
    assert pipeline.cut([20, 50, 200, 30, 45, 30, 1]) == [[2], [1, 4], [3, 5, 0], [6]]
    assert pipeline.cut([]) == []


@pytest.mark.usefixtures("in_batches")
def test_what_is_stored_by_batches_is_each_clip_s_own(tmp_path: Path) -> None:
    prepared, progress = data(tmp_path), []
    first = prepared.store.put(prepared.keys["5"], prepared.classifier.prefix(clips(*SECONDS)[5]))
    (tmp_path / "3.wav").write_bytes(b"RIFF")
    bad = prepared.prepare(lambda done, total: progress.append((done, total)))
    assert list(bad) == ["3"] and bad["3"].startswith(f"{tmp_path / '3.wav'}: ")
    assert progress == [(n + 1, 9) for n in range(9)]
    assert list(prepared.frames) == [name for name in prepared.sources if name != "3"]
    for number, source in prepared.sources.items():
        if number != "3":
            expected = prepared.classifier.prefix(source.load(None))
            stored = prepared.store.get(prepared.keys[number])
            assert stored is not None and is_close(stored, expected) and is_close(prepared[number], expected)
    assert torch.equal(prepared["5"]["state"], first["state"])
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("affetto")]


@pytest.mark.usefixtures("in_batches")
def test_a_clip_that_the_backbone_refuses_is_named_and_its_batch_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "BATCH_SAMPLES", 10**7)
    prepared = data(tmp_path, "whisper-mini")
    soundfile.write(tmp_path / "4.wav", clips(31.0)[0], 16_000)
    bad = prepared.prepare()
    assert list(bad) == ["4"] and bad["4"].startswith(f"{tmp_path / '4.wav'}: 31.00 s long")
    assert len(list(prepared.store.folder.rglob("*.safetensors"))) == len(SECONDS) - 1


@pytest.mark.usefixtures("in_batches")
def test_a_batch_that_the_device_has_no_memory_for_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sizes, compute = classifier("wav2vec2-mini", "lora"), [], Classifier.prefix_batch
    room = 2

    def limited(self: Classifier, waves: Sequence[np.ndarray]) -> tuple[Prefix, list[int]]:
        sizes.append(len(waves))
        if len(waves) > room:
            raise torch.OutOfMemoryError("full")
        return compute(self, waves)

    monkeypatch.setattr(Classifier, "prefix_batch", limited)
    waves = clips(0.2, 0.3, 0.25, 0.4, 0.1)
    for wave, prefix in zip(waves, pipeline.prefixes(model, waves), strict=True):
        assert is_close(prefix, model.prefix(wave))
    assert sizes == [5, 2, 3, 1, 2]
    room = 0
    with pytest.raises(torch.OutOfMemoryError):
        pipeline.prefixes(model, waves)


@pytest.mark.usefixtures("in_batches")
@pytest.mark.parametrize("problem", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_what_ends_preparing_leaves_no_thread_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: BaseException
) -> None:
    prepared = data(tmp_path)

    def fail(*_: object) -> None:
        raise problem

    if isinstance(problem, OSError):
        monkeypatch.setattr(PrefixStore, "_write", fail)
        with pytest.raises(UserError, match=r"No space left on device.*AFFETTO_CACHE"):
            prepared.prepare()
    else:
        with pytest.raises(KeyboardInterrupt):
            prepared.prepare(fail)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("affetto")]


@pytest.mark.usefixtures("in_batches")
def test_altered_waves_are_computed_in_batches_too(tmp_path: Path) -> None:
    prepared = data(tmp_path)
    ids = ["2", "7", "0"]
    batch, lengths = prepared.fresh_batch(ids, torch.device("cpu"), lambda _, wave: wave[: len(wave) // 2])
    waves = [prepared.sources[clip].load(None) for clip in ids]
    for i, wave in enumerate(waves):
        expected = prepared.classifier.prefix(wave[: len(wave) // 2])["state"]
        assert torch.allclose(batch["state"][i, : lengths[i]], expected, atol=1e-5)
        assert not batch["state"][i, lengths[i] :].any()
    (tmp_path / "7.wav").unlink()
    with pytest.raises(AudioError, match=r"7\.wav: no such file"):
        prepared.fresh_batch(ids, torch.device("cpu"), lambda _, wave: wave)
