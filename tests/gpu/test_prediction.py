"""Preparing, prediction and serving on a GPU: the CPU's numbers, alone or in a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import affetto
from affetto.bench.sides import Side, Task
from affetto.models.prefix import PrefixStore
from affetto.training import device as devices
from gpu.fits import DEVICES, cases
from inference.saved import saved_model
from models.systems import FAMILIES, classifier, clips
from models.test_pipeline import data as prefix_data

SECONDS = (0.5, 1.3, 0.9, 0.5)


@pytest.mark.parametrize(("key", "device"), cases(("wav2vec2-mini",), FAMILIES))
@pytest.mark.parametrize("method", ["lora", "frozen"])
def test_a_prefix_is_that_of_the_cpu_alone_or_in_a_batch(key, device, method):
    waves = clips(*SECONDS)
    with torch.no_grad():
        expected = [classifier(key, method).prefix(wave) for wave in waves]
        model = classifier(key, method).to(devices.choose(device))
        ways = [[model.prefix(wave) for wave in waves], model.prefixes(waves)]
    for prefixes in ways:
        for prefix, reference in zip(prefixes, expected, strict=True):
            assert prefix.keys() == reference.keys()
            for name, tensor in prefix.items():
                torch.testing.assert_close(tensor.cpu(), reference[name], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(("key", "device"), cases(("whisper-mini",), FAMILIES))
def test_what_is_prepared_and_stored_is_that_of_the_cpu(tmp_path, key, device):
    expected, prepared = prefix_data(tmp_path, key), prefix_data(tmp_path, key)
    prepared.classifier.to(devices.choose(device))
    prepared.store = PrefixStore({"device": device}, "float16", tmp_path / "other store")
    assert expected.prepare() == prepared.prepare() == {}
    assert prepared.frames == expected.frames
    for clip_id in expected.frames:
        stored = prepared.store.get(prepared.keys[clip_id])
        for name, tensor in prepared[clip_id].items():
            assert torch.equal(tensor, stored[name])
            torch.testing.assert_close(tensor.float(), expected[clip_id][name], rtol=4e-3, atol=4e-3)


@pytest.mark.parametrize(("key", "device"), cases(("whisper-mini",), FAMILIES))
def test_predictions_are_those_of_the_cpu(tmp_path, key, device):
    folder = saved_model(tmp_path / "model", key, "lora")
    waves = clips(*SECONDS)
    expected = affetto.load(folder, device="cpu", precision="float32").classify(waves)
    predictor = affetto.load(folder, device=device, precision="float32")
    for results in (predictor.classify(waves), [predictor.classify([wave])[0] for wave in waves]):
        assert [result.emotion for result in results] == [result.emotion for result in expected]
        for result, reference in zip(results, expected, strict=True):
            assert list(result.probabilities.values()) == pytest.approx(
                list(reference.probabilities.values()), abs=2e-3
            )


@pytest.mark.parametrize(("key", "device"), cases((), FAMILIES))
def test_small_batches_are_captured_and_give_the_same_answers(tmp_path, key, device):
    predictor = affetto.load(saved_model(tmp_path / "model", key, "lora"), device=device, precision="float32")
    waves = clips(*SECONDS)
    eager = predictor.classify(waves)
    predictor.warm_up(16)
    assert predictor.padded.captured.problem is None
    captured = predictor.padded.captured.shapes
    assert captured > 1
    for _ in range(2):
        for result, reference in zip(predictor.classify(waves), eager, strict=True):
            assert list(result.probabilities.values()) == pytest.approx(
                list(reference.probabilities.values()), abs=1e-4
            )
    assert predictor.padded.captured.shapes == captured, "the warm-up has captured them all"


@pytest.mark.parametrize("device", DEVICES)
def test_a_server_answers_what_the_predictor_gives(tmp_path, device):
    pytest.importorskip("fastapi")
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("uvicorn")
    from serving.served import Serving, wav

    (wave,) = clips(0.7)
    predictor = affetto.load(saved_model(tmp_path / "model", "whisper-mini", "lora"), device=device)
    with Serving({"model": predictor}) as url:
        answer = httpx.post(f"{url}/v1/predict", files={"file": ("clip.wav", wav(wave))}, timeout=60)
    assert answer.status_code == 200, answer.text
    (expected,) = predictor.classify([wave])
    probabilities = answer.json()["probabilities"]
    assert list(probabilities.values()) == pytest.approx(list(expected.probabilities.values()), abs=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
def test_the_benchmark_measures_a_device(device):
    task = Task(
        side="ours",
        backbone="whisper-mini",
        method="lora",
        clips=12,
        batch_size=4,
        precision="float32",
        device=device,
    )
    with Side(task) as ours:
        assert ours("prepare") > 0 and len(ours("epochs", 2)) == 2 and ours.peak_bytes > 0
        assert ours("epoch_parts")["step"] > 0 and ours("phases")["backward"] > 0
        counts = ours("counts")
        assert counts["operations"]["step"] > 0 and counts["dispatched"] > 0
    assert np.isfinite(list(counts["operations"].values())).all()
    if device == "cuda":
        assert counts["launches"] > 0 and counts["kernels"] > 0 and 0 < counts["device_share"] <= 1.05
