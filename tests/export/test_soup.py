"""One model of the mean of several models' weights: exact products, common starts, exports."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from affetto.errors import UserError
from affetto.export.ensemble import build_ensemble
from affetto.export.source import trained_predictor
from affetto.export.transformers_folder import export_hf
from affetto.inference.loading import load
from affetto.models.saved import load_classifier
from inference.saved import saved_model
from models.systems import clips

PROBE = {"training": {"warm_start": "probe", "refit": True, "class_weights": True}}


def run(
    folder: Path, method: str = "lora", *, key: str = "whisper-mini", seed: int = 0, settings=None, **options
) -> Path:
    """A finished run whose head started by `settings`, with weights of its own seed."""
    speaker = options.pop("speaker", "anna")
    model = saved_model(folder / "model", key, method, **options)
    random = torch.Generator().manual_seed(seed)
    for file in model.rglob("*.safetensors"):
        state = load_file(file)
        save_file({name: t + 0.1 * torch.randn(t.shape, generator=random) for name, t in state.items()}, file)
    spec = {"spec": {"seed": seed, "settings": PROBE if settings is None else settings}}
    (folder / "spec.json").write_text(json.dumps(spec))
    (folder / "metrics.json").write_text("{}")
    row = {"clip": "a.wav", "corpus": "emovo", "speaker": speaker, "audio": speaker}
    (folder / "trained_on.jsonl").write_text(json.dumps(row) + "\n")
    return folder


def weights(model: Path) -> dict[str, torch.Tensor]:
    """All weights of a merged model."""
    classifier, _ = load_classifier(model)
    return {name: t.clone() for name, t in classifier.merge().state_dict().items()}


@pytest.mark.parametrize("method", ["lora", "rslora", "full", "bitfit", "layernorm", "frozen"])
def test_merged_weights_are_the_mean_of_the_members(method, tmp_path):
    runs = [run(tmp_path / f"seed{seed}", method, seed=seed) for seed in range(3)]
    build_ensemble(runs, tmp_path / "out", how="weights")
    averaged = weights(tmp_path / "out")
    members = [weights(folder / "model") for folder in runs]
    for name, tensor in averaged.items():
        mean = torch.stack([member[name] for member in members]).mean(0)
        torch.testing.assert_close(tensor, mean, atol=2e-6, rtol=1e-5)
    assert any(not torch.equal(members[0][name], members[1][name]) for name in averaged)


def test_a_soup_is_one_model_of_the_sum_of_the_ranks(tmp_path):
    runs = [run(tmp_path / f"seed{seed}", "lora", seed=seed, rank=4) for seed in range(2)]
    card = build_ensemble(runs, tmp_path / "out", how="auto")
    assert card["how"] == "weights" and card["averaged"].startswith("products of low-rank factors, exactly")
    assert card["blueprint"]["method"]["settings"]["rank"] == 8
    assert json.loads((tmp_path / "out/method/adapter_config.json").read_text())["r"] == 8
    assert card["confidence"] == {"temperature": 1.7}
    assert (tmp_path / "out" / "trained_on.jsonl").is_file()
    predictor = load(tmp_path / "out", device="cpu")
    assert sum(predictor.classify(clips(0.5))[0].probabilities.values()) == pytest.approx(1)
    assert export_hf(trained_predictor(tmp_path / "out"), tmp_path / "hf").largest_difference < 1e-4


@pytest.mark.parametrize("method", ["adapter", "lora+adapter"])
def test_modules_that_start_at_random_need_one_seed(method, tmp_path):
    fresh = {"training": {"warm_start": "none"}}
    a, b = (run(tmp_path / name, method, seed=3, settings=fresh) for name in "ab")
    build_ensemble([a, b], tmp_path / "out", how="weights")
    other = run(tmp_path / "other", method, seed=4)
    with pytest.raises(UserError, match=r"random numbers of different seeds in .*--how probabilities"):
        build_ensemble([run(tmp_path / "c", method, seed=5), other], tmp_path / "no", how="weights")


def refused(models, out: Path, match: str) -> None:
    """Weights are refused in one line, and `auto` averages probabilities."""
    with pytest.raises(UserError, match=f"{match}.*: average their answers instead: --how probabilities"):
        build_ensemble(models, out, how="weights")
    assert not out.exists() and not list(out.parent.glob(f".{out.name}*"))
    lines: list[str] = []
    assert build_ensemble(models, out / "auto", how="auto", say=lines.append)["how"] == "probabilities"
    assert len(lines) == 1 and lines[0].startswith("note: probabilities are averaged, since the weights cannot be")


def test_weights_without_a_mean_are_refused(tmp_path):
    first = run(tmp_path / "first")
    other_clips = run(tmp_path / "clips", speaker="bea")
    refused([first, other_clips], tmp_path / "1", "the heads of .* started from different weights .their probes differ")
    fresh = {"training": {"warm_start": "none"}}
    seeds = [run(tmp_path / f"fresh{seed}", seed=seed, settings=fresh) for seed in range(2)]
    refused(seeds, tmp_path / "2", "the heads of .* started from different weights .their seeds differ")
    refused([first, run(tmp_path / "full", "full")], tmp_path / "3", "differ in the method, ")
    refused([first, run(tmp_path / "rank", rank=2)], tmp_path / "4", "differ in the method's settings")
    refused([first, run(tmp_path / "short", head="short")], tmp_path / "5", "differ in the head")
    refused([first, run(tmp_path / "key", key="hubert-mini")], tmp_path / "6", "differ in the backbone")
    dora = [run(tmp_path / f"dora{seed}", "dora", seed=seed) for seed in range(2)]
    refused(dora, tmp_path / "7", "the weights of the method dora have no mean")
    (first / "spec.json").unlink()
    refused([first, other_clips], tmp_path / "8", "no spec.json of a run around .* says where its head started")


def test_a_way_to_average_is_spelt_right(tmp_path):
    with pytest.raises(UserError, match="unknown way to average 'weight': did you mean 'weights'"):
        build_ensemble(["a", "b"], tmp_path / "out", how="weight")
    with pytest.raises(UserError, match="--backbone is for the mean of weights"):
        build_ensemble(["a", "b"], tmp_path / "out", backbone="x")
