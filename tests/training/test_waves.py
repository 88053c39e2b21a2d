"""Changes of training clips' waves that are drawn in every epoch: voices, rooms, noise, a telephone."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

from affetto.audio import RATE_HZ
from affetto.audio.channels import impulse_response, in_room, over_telephone, with_noise
from affetto.errors import UserError
from affetto.models.prefix import PrefixData
from affetto.training.augment import chance
from affetto.training.augment_settings import AugmentSettings
from affetto.training.noise import Noise
from affetto.training.spec import acting, settings
from affetto.training.train import train
from affetto.training.waves import Waves
from training.corpora import spec, timeless, write_table

TIMES = np.arange(RATE_HZ) / RATE_HZ
TONE = (0.5 * np.sin(2 * np.pi * 440 * TIMES)).astype(np.float32)
CHANGES: dict[str, float] = {"tempo": 0.3, "pitch": 3.0, "tract": 0.2, "room": 1.0, "codec": 1.0}


def drawn(samples: np.ndarray, noise: Noise | None = None, seed: int = 0, epoch: int = 0, **augment: Any) -> np.ndarray:
    """A wave as the clip "clip" gets it in an epoch."""
    return Waves(AugmentSettings(**augment), noise, seed, epoch).change("clip", samples)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of noise: a long recording, and a short one in a folder below."""
    random = np.random.default_rng(0)
    (tmp_path / "noise" / "below").mkdir(parents=True)
    for name, seconds in (("a.wav", 3.0), ("below/b.flac", 0.3)):
        samples = (0.1 * random.standard_normal(int(seconds * 16_000))).astype(np.float32)
        soundfile.write(tmp_path / "noise" / name, samples, 16_000)
    return tmp_path / "noise"


def test_noise_and_speed_draw_what_they_always_drew() -> None:
    """Runs of earlier versions keep their numbers: the factor first, then the ratio, then the noise."""
    random = chance(3, 2, "clip")
    factor = random.uniform(0.8, 1.2)
    faster = soxr.resample(TONE, RATE_HZ * factor, RATE_HZ, quality="HQ")
    snr_db = 10.0 + random.uniform(0, 20)
    noise = random.standard_normal(len(faster)) * np.sqrt(np.mean(faster.astype(float) ** 2) / 10 ** (snr_db / 10))
    changed = drawn(TONE, seed=3, epoch=2, speed=0.2, noise_snr_db=10.0)
    assert changed.dtype == np.float32 and np.array_equal(changed, faster + noise.astype(np.float32))
    assert 10 <= snr_db <= 30 and abs(len(changed) - RATE_HZ / factor) < 2
    peak_hz = np.argmax(np.abs(np.fft.rfft(changed * np.hanning(len(changed))))) * RATE_HZ / len(changed)
    assert peak_hz == pytest.approx(440 * factor, rel=0.01)


def test_every_change_depends_on_seed_epoch_and_clip_alone() -> None:
    for name, amount in (CHANGES | {"codec": 0.5}).items():
        augment = AugmentSettings(**{name: amount})
        waves = [Waves(augment, None, *fit).change(clip, TONE) for fit in ((0, 0), (0, 1), (1, 0)) for clip in "abcd"]
        again = Waves(augment, None, 0, 0).change("a", TONE)
        assert np.array_equal(again, waves[0]), name
        assert len({wave.tobytes() for wave in waves}) == (2 if name == "codec" else 12), name


@pytest.mark.parametrize(("name", "amount"), CHANGES.items())
def test_what_is_drawn_for_one_change_does_not_depend_on_the_others(name: str, amount: float) -> None:
    alone, beside = drawn(TONE, **{name: amount}), drawn(TONE, speed=1e-9, **{name: amount})
    assert len(alone) == len(beside) and np.abs(alone - beside).max() < 0.05
    assert len(alone) != len(TONE) or np.abs(alone - TONE).max() > 0.005


def test_a_room_has_its_reverberation_time_and_keeps_level_and_length() -> None:
    response = impulse_response(0.8, 3.0, np.random.default_rng(0))
    assert response[0] == 1.0 and np.sum(response[1:] ** 2) == pytest.approx(10**-0.3)
    decay = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1])
    first, last = (int(share * 0.8 * RATE_HZ) for share in (0.1, 0.6))
    assert (decay[first] - decay[last]) / 0.5 == pytest.approx(60, abs=3)
    wet = in_room(TONE, response)
    assert len(wet) == len(TONE) and np.mean(wet**2) == pytest.approx(np.mean(TONE**2), rel=1e-3)
    assert np.array_equal(in_room(TONE, np.ones(1)), TONE) or np.abs(in_room(TONE, np.ones(1)) - TONE).max() < 1e-5
    assert len(impulse_response(0.0, 3.0, np.random.default_rng(0))) == 1


def test_a_telephone_passes_its_band_alone_and_codes_in_eight_bits() -> None:
    def gain_db(hz: float) -> float:
        sound = (0.5 * np.sin(2 * np.pi * hz * TIMES)).astype(np.float32)
        middle = slice(2000, -2000)
        return float(10 * np.log10(np.mean(over_telephone(0.5 * sound + 0.5 * TONE)[middle] ** 2)))

    floor = gain_db(1e-6)
    assert all(gain_db(hz) - floor > 2 for hz in (500.0, 1000.0, 3000.0))
    assert all(abs(gain_db(hz) - floor) < 0.3 for hz in (60.0, 5000.0))
    coded = over_telephone(TONE)
    assert len(coded) == len(TONE) and 20 < _ratio_db(TONE, coded) < 60
    assert not over_telephone(np.zeros(1600, np.float32)).any()


def _ratio_db(clean: np.ndarray, coded: np.ndarray) -> float:
    """Power of a tone over what else is in its coded version, in dB."""
    spectrum = np.abs(np.fft.rfft(coded[2000:-2000] * np.hanning(len(coded) - 4000))) ** 2
    peak = int(np.argmax(spectrum))
    signal = spectrum[peak - 3 : peak + 4].sum()
    return float(10 * np.log10(signal / (spectrum.sum() - signal)))


def test_recorded_noise_has_the_ratio_that_is_drawn(folder: Path) -> None:
    noise = Noise.read(folder)
    assert [file.name for file in noise.files] == ["a.wav", "b.flac"]
    noisy = drawn(TONE, noise, noise_snr_db=5.0)
    snr_db = 10 * np.log10(np.mean(TONE**2) / np.mean((noisy - TONE) ** 2))
    assert snr_db == pytest.approx(5.0 + chance(0, 0, "clip").uniform(0, 20), abs=0.1)
    assert np.array_equal(with_noise(TONE, np.zeros_like(TONE), 5.0), TONE), "silence adds nothing"


def test_a_section_of_noise_is_drawn_and_a_short_recording_is_repeated(folder: Path) -> None:
    recording, _ = soundfile.read(folder / "a.wav", dtype="float32")
    noise = Noise.read(folder)
    long, short = (
        dataclasses.replace(noise, files=noise.files[n : n + 1], seconds=noise.seconds[n : n + 1]) for n in (0, 1)
    )
    sections = [long.draw(16_000, np.random.default_rng(n)) for n in range(3)]
    for section in sections:
        start = int(np.argmax(np.correlate(recording, section, "valid")))
        assert np.allclose(recording[start : start + 16_000], section)
    assert not np.array_equal(sections[0], sections[1])
    repeated = short.draw(16_000, np.random.default_rng(0))
    assert len(repeated) == 16_000 and np.array_equal(repeated[:4800], repeated[4800:9600])


def test_recorded_noise_counts_by_its_content_and_not_by_its_path(folder: Path, tmp_path: Path) -> None:
    table, moved = write_table(tmp_path / "corpus", speakers=3), tmp_path / "moved"
    white = {"augment.noise_snr_db": "10"}
    plain, noisy, elsewhere = (
        spec(table, overrides=white | more, probe=False)
        for more in ({}, {"augment.noise_folder": str(folder)}, {"augment.noise_folder": str(moved)})
    )
    assert plain.identity({}) == noisy.identity({}) == elsewhere.identity({})
    first, second = train(noisy, tmp_path / "noisy"), train(plain, tmp_path / "plain")
    assert first["identity"] != second["identity"]
    folder.rename(moved)
    assert train(elsewhere, tmp_path / "noisy") == first, "it is finished already"
    (tmp_path / "moved" / "a.wav").unlink()
    with pytest.raises(UserError, match="holds another run"):
        train(elsewhere, tmp_path / "noisy")


def test_each_change_reaches_the_training_and_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table, waves = write_table(tmp_path / "corpus", speakers=3), []
    fresh = PrefixData.fresh_batch

    def watched(data: PrefixData, ids: Any, device: Any, change: Any) -> Any:
        waves.append(len(ids))
        return fresh(data, ids, device, change)

    monkeypatch.setattr(PrefixData, "fresh_batch", watched)
    plain = spec(table, probe=False)
    for name, amount in CHANGES.items():
        run = spec(table, overrides={f"augment.{name}": str(amount)})
        assert run.settings.augment.waveform and run.identity({}) != plain.identity({})
    overrides = {f"augment.{name}": str(amount) for name, amount in CHANGES.items()} | {"training.epochs": "1"}
    run = spec(table, "lora", overrides=overrides, probe=False)
    metrics = train(run, tmp_path / "run")
    assert waves and timeless(train(run, tmp_path / "again")) == timeless(metrics)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"augment.pitch": "13"}, r"augment\.pitch=13: .*12.*semitones"),
        ({"augment.tract": "-0.1"}, r"augment\.tract=-0\.1: .*0"),
        ({"augment.codec": "2"}, r"augment\.codec=2: .*1"),
        ({"augment.noise_folder": "."}, r"augment\.noise_folder=\. has no effect.*augment\.noise_snr_db"),
    ],
)
def test_a_bad_amount_is_one_line(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        settings("recommended", overrides, method="lora")


@pytest.mark.parametrize("name", [*CHANGES, "noise_folder"])
def test_a_method_without_steps_has_none_of_them(name: str) -> None:
    overrides = {f"augment.{name}": "noise" if name == "noise_folder" else "0.1", "augment.noise_snr_db": "10"}
    assert acting("recommended", overrides, method="probe") == {}
    assert acting("recommended", overrides, method="frozen") == overrides


def test_a_folder_without_noise_is_named(tmp_path: Path, tone: Any, write_wav: Any) -> None:
    with pytest.raises(UserError, match=r"noise_folder=.*nowhere: no such folder"):
        Noise.read(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no audio file in or below it"):
        Noise.read(tmp_path)
    write_wav("click.wav", tone(0.05))
    with pytest.raises(UserError, match=r"click\.wav: 0\.05 s of noise, at least 0\.1 s"):
        Noise.read(tmp_path)
    (tmp_path / "click.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match=r"click\.wav"):
        Noise.read(tmp_path)
