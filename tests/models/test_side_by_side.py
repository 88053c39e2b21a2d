"""Several neighbouring states under a statistics head: `model.states`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from affetto.backbones.checkpoints import load_backbone
from affetto.corpora.labels import EMOTIONS
from affetto.errors import UserError
from affetto.models.classifier import Classifier
from affetto.models.head_layers import masked_statistics
from affetto.models.prefix import collate
from affetto.models.saved import CARD, assemble, save_classifier
from affetto.models.stacked import Stacked
from affetto.targets.classes import Classes
from affetto.training.selection import Probe, choose
from models.systems import blueprint, classifier

CPU = torch.device("cpu")


def waves() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [(random.standard_normal(samples) * 0.1).astype(np.float32) for samples in (9_000, 16_000)]


def model(method: str, first_block: int = 0, states: int = 2, **options: Any) -> Classifier:
    plan = {"head": "statistics", "pooling": "layer", "layer": 2, "first_block": first_block}
    return classifier("whisper-mini", method, states=states, **(plan | options))


def statistics_by_hand(made: Classifier, wave: np.ndarray, states: tuple[int, ...]) -> torch.Tensor:
    means, deviations = zip(
        *(masked_statistics(made.states(wave)[state][None], None)[0].chunk(2) for state in states), strict=True
    )
    return torch.cat([*means, *deviations])


@pytest.mark.parametrize(("method", "first_block"), [("frozen", 0), ("lora", 0), ("lora", 1)])
def test_statistics_are_all_means_and_then_all_deviations(method: str, first_block: int) -> None:
    """From stored statistics, from frames, and from frames of which a state lies below the first changed block."""
    made, clips = model(method, first_block), waves()
    expected = torch.stack([statistics_by_hand(made, wave, (1, 2)) for wave in clips])
    with torch.no_grad():
        statistics = made.statistics(*collate([made.prefix(wave) for wave in clips], CPU))
    torch.testing.assert_close(statistics, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["frozen", "lora"])
def test_a_saved_and_merged_model_computes_the_same(method: str, tmp_path: Path) -> None:
    made, (wave, _) = model(method), waves()
    plan = blueprint(method, pooling="layer", layer=2, head="statistics", states=2)
    save_classifier(made, tmp_path / "model", {"blueprint": plan, "backbone": {}})
    loaded = assemble(load_backbone("whisper-mini", random_weights=True), plan, tmp_path / "model").eval()
    assert (tmp_path / "model" / CARD).is_file()
    with torch.no_grad():
        expected = made(*collate([made.prefix(wave)], CPU))
        for whole_clips in (True, False):
            merged = loaded.merge(whole_clips=whole_clips)
            torch.testing.assert_close(merged(*collate([merged.prefix(wave)], CPU)), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["frozen", "lora"])
def test_fits_with_other_states_train_as_one(method: str) -> None:
    models = [model(method, layer=layer).eval() for layer in ((2, 1) if method == "frozen" else (2, 2))]
    for made in models:
        made.head.dropout.p = 0.0
    batches = [collate([made.prefix(wave) for wave in waves()], CPU) for made in models]
    expected = [made(*batch).detach() for made, batch in zip(models, batches, strict=True)]
    stacked = Stacked(models, [torch.Generator(), torch.Generator()])
    for own, alone in zip(stacked.logits(*stacked.join(batches)), expected, strict=True):
        torch.testing.assert_close(own, alone, rtol=1e-4, atol=1e-5)


def test_more_states_than_lie_below_are_refused() -> None:
    with pytest.raises(UserError, match=r"model\.states=4: from state 2 down there are 3 states"):
        model("frozen", states=4)


# The probe ---------------------------------------------------------------------------------------


def clips_of(width: int = 6) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Statistics of three states (clips, 3, 2 width), truth and speakers; the two upper states help each other."""
    random = np.random.default_rng(3)
    truth = np.tile(np.arange(len(EMOTIONS)), 12)
    statistics = random.standard_normal((len(truth), 3, 2 * width))
    signal = np.eye(len(EMOTIONS))[truth]
    statistics[:, 1, :4] += 1.2 * signal[:, :4]
    statistics[:, 2, :4] += 1.2 * signal[:, 3:]
    speakers = [f"s{n // (2 * len(EMOTIONS))}" for n in range(len(truth))]
    return statistics, truth, speakers


def test_the_probe_of_several_states_is_the_mean_of_theirs() -> None:
    statistics, truth, _ = clips_of()
    target = Classes(EMOTIONS)
    features = statistics[:, 1:].reshape(len(truth), 2, 2, -1).swapaxes(1, 2).reshape(len(truth), -1)
    both = Probe.fit(features, truth, 0.1, target=target, states=2)
    alone = [Probe.fit(statistics[:, s], truth, 0.1, target=target).outputs(statistics[:, s]) for s in (1, 2)]
    np.testing.assert_allclose(both.outputs(features), np.mean(alone, axis=0), atol=1e-9)


def test_neighbours_are_chosen_by_their_mean() -> None:
    statistics, truth, speakers = clips_of()
    options: dict[str, Any] = {"target": Classes(EMOTIONS), "layers": range(3), "strengths": [0.1, 1.0], "folds": 3}
    alone = choose(lambda layer: statistics[:, layer], truth, speakers, **options)
    both = choose(lambda layer: statistics[:, layer], truth, speakers, counts=(2,), **options)
    assert (both.layer, both.states) == (2, 2)
    assert both.score > alone.score + 0.1
    assert both.to_json()["states"] == 2 and "states" not in alone.to_json()
    assert type(both).from_json(both.to_json()) == both


def test_the_number_of_neighbours_is_chosen_by_their_score() -> None:
    statistics, truth, speakers = clips_of()
    options: dict[str, Any] = {"target": Classes(EMOTIONS), "layers": range(3), "strengths": [0.1, 1.0], "folds": 3}
    several = choose(lambda layer: statistics[:, layer], truth, speakers, counts=(1, 2, 4), **options)
    assert several == choose(lambda layer: statistics[:, layer], truth, speakers, counts=(2,), **options)
    statistics[:, 2] = np.random.default_rng(1).standard_normal(statistics[:, 2].shape)  # and state 1 has half of it
    single = choose(lambda layer: statistics[:, layer], truth, speakers, counts=(1, 2), **options)
    assert (single.layer, single.states) == (1, 1)
    same = choose(lambda layer: statistics[:, 1], truth, speakers, counts=(2, 1), **options)
    assert same.states == 1, "on a tie fewer states"
