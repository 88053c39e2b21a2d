"""Several models on one backbone: one copy of its weights, and the answers that each gives alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from affetto.errors import UserError
from affetto.inference.loading import load
from affetto.inference.shared_weights import load_together, shared_bytes, weights
from models.systems import FAMILIES, clips
from serving.served import write_model

KINDS = ("frozen", "lora", "adapter", "full")


@pytest.fixture(scope="module", params=FAMILIES)
def folders(request, tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp(request.param)
    return {kind: write_model(root / kind, kind, request.param) for kind in KINDS}


def test_each_answers_as_alone_and_memory_grows_by_adapters_only(folders):
    waves = clips(0.5, 0.8)
    together = load_together(folders, device="cpu")
    assert list(together) == list(KINDS)
    seen = []
    for kind, folder in folders.items():
        alone = load(folder, device="cpu").classify(waves)
        for expected, found in zip(alone, together[kind].classify(waves), strict=True):
            assert found.probabilities == pytest.approx(expected.probabilities, abs=2e-6)
        seen.append([p for one in alone for p in one.probabilities.values()])
    # The methods differ, so that an adapter of another model would show.
    assert min(np.abs(np.subtract(a, b)).max() for n, a in enumerate(seen) for b in seen[:n]) > 1e-3

    whole = together["frozen"].classifier.backbone
    backbone = sum(t.nbytes for t in (*whole.parameters(), *whole.buffers()))
    for kind in ("lora", "adapter"):
        assert shared_bytes(together["frozen"], together[kind]) == backbone
    assert not shared_bytes(together["full"], together["frozen"])


@pytest.fixture(scope="module")
def whisper(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("whisper")
    return {kind: write_model(root / kind, kind) for kind in (*KINDS, "probe")}


def test_many_adapters_cost_their_own_weights(tmp_path):
    models = {f"m{n}": write_model(tmp_path / f"m{n}", "lora") for n in range(6)}
    together = load_together(models, device="cpu")
    everything: dict[int, int] = {}
    for predictor in together.values():
        everything |= weights(predictor)
    one = together["m0"]
    own = sum(weights(one).values()) - shared_bytes(one, together["m1"])
    backbone = shared_bytes(one, together["m1"])
    assert sum(everything.values()) == backbone + 6 * own
    assert sum(everything.values()) < 2 * backbone


def test_one_model_on_its_backbone_is_merged(whisper):
    alone = load_together({"lora": whisper["lora"]}, device="cpu")["lora"]
    assert not [name for name, _ in alone.classifier.named_parameters() if "lora_" in name]


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_other_precisions(whisper, precision):
    waves = clips(0.7, 1.0)
    together = load_together(whisper, device="cpu", precision=precision)
    for kind, folder in whisper.items():
        expected = load(folder, device="cpu", precision=precision).classify(waves)
        for a, b in zip(expected, together[kind].classify(waves), strict=True):
            assert b.probabilities == pytest.approx(a.probabilities, abs=0.02)
    assert shared_bytes(together["frozen"], together["probe"])


def test_a_missing_model_is_named(whisper, tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        load_together({"a": whisper["lora"], "b": tmp_path / "nowhere"})
