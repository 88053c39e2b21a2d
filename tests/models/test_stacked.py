"""Stacked classifiers: each fit's logits, gradients and random numbers are those that it has alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from affetto.backbones.checkpoints import load_backbone
from affetto.models.classifier import Classifier, Prefix
from affetto.models.saved import assemble
from affetto.models.stacked import Stacked, StackingError

LORA = {"rank": 2, "alpha": 4.0, "dropout": 0.3, "targets": "all"}
ADAPTER = {"bottleneck": 5, "dropout": 0.3, "scale": 0.5}
PLACEMENTS = ("sequential", "houlsby", "pfeiffer", "parallel", "peft_ser")
METHODS: list[tuple[str, dict[str, Any]]] = [
    ("frozen", {}),
    ("lora", LORA),
    ("rslora", LORA | {"targets": "ff"}),
    *(("adapter", ADAPTER | {"placement": placement}) for placement in PLACEMENTS),
    ("lora+adapter", {"lora": LORA, "adapter": ADAPTER}),
]
HEADS = ("attentive", "ecapa", "paper", "short", "linear", "statistics")
CASES = [
    *(("wav2vec2-mini", method, values, "paper", "mean") for method, values in METHODS),
    *(("wavlm-mini", "lora", LORA, head, "layer") for head in HEADS),
    *(("whisper-mini", "frozen", {}, head, pooling) for head in HEADS for pooling in ("weighted", "mean")),
    ("whisper-mini", "adapter", ADAPTER, "paper", "weighted"),
]
NAMES = ["-".join([b, m, *filter(None, [values.get("placement")]), h, p]) for b, m, values, h, p in CASES]


def classifier(backbone: str, method: str, values: dict[str, Any], head: str, pooling: str, seed: int) -> Classifier:
    """A classifier none of whose trainable parameters is zero."""
    plan = {
        "labels": ["a", "b", "c"],
        "method": {"name": method, "first_block": 0, "settings": values},
        "pooling": {"kind": pooling, "layer": None, "state_norm": "none"},
        "head": {"name": head, "width": 6, "dropout": 0.2, "unmasked_mean": False},
    }
    model = assemble(load_backbone(backbone, random_weights=True), plan)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.trainable().values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
        for buffer in model.head.buffers():
            buffer.add_(torch.rand(buffer.shape, generator=generator))
    return model


def batch(model: Classifier, clips: int, frames: int, seed: int) -> tuple[Prefix, torch.Tensor]:
    """Random prefixes of clips, of which the first has the full length."""
    import numpy as np

    random = np.random.default_rng(seed)
    waves = [random.normal(size=400 + 320 * (frames - n % 3)).astype(np.float32) for n in range(clips)]
    from affetto.models.prefix import collate

    return collate([model.prefix(wave) for wave in waves], torch.device("cpu"))


@pytest.mark.parametrize(("backbone", "method", "values", "head", "pooling"), CASES, ids=NAMES)
def test_a_fit_in_a_stack_computes_what_it_computes_alone(
    backbone: str, method: str, values: dict[str, Any], head: str, pooling: str
) -> None:
    """Batches of other sizes and lengths beside it, and dropout, included."""
    models = [classifier(backbone, method, values, head, pooling, seed) for seed in range(3)]
    batches = [batch(models[0], clips, frames, frames) for clips, frames in ((4, 9), (3, 12), (4, 12))]
    expected = []
    for seed, (model, (prefix, lengths)) in enumerate(zip(models, batches, strict=True)):
        torch.manual_seed(seed)
        logits = model.train()(prefix, lengths)
        logits.square().sum().backward()
        gradients = {name: parameter.grad for name, parameter in model.trainable().items()}
        expected.append((logits.detach(), gradients, torch.get_rng_state()))
        model.zero_grad()
    generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    stacked = Stacked(models, generators)
    logits = stacked.logits(*stacked.join(batches))
    sum(part.square().sum() for part in logits).backward()  # type: ignore[union-attr]
    stacked.give_gradients()
    for own, model, generator, (alone, gradients, state) in zip(logits, models, generators, expected, strict=True):
        torch.testing.assert_close(own, alone, rtol=1e-5, atol=1e-5)
        assert torch.equal(generator.get_state(), state)
        for name, parameter in model.trainable().items():
            torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-4, atol=1e-4)


def test_steps_of_each_optimiser_move_its_own_fit_and_a_dissolved_stack_leaves_it() -> None:
    models = [classifier("whisper-mini", "lora", LORA, "paper", "mean", seed) for seed in range(2)]
    before = [model.snapshot() for model in models]
    stacked = Stacked(models, [torch.Generator(), torch.Generator()])
    for parameter in models[1].trainable().values():
        parameter.grad = torch.ones_like(parameter)
    torch.optim.SGD(models[1].trainable().values(), lr=0.1).step()
    stacked.dissolve()
    torch.testing.assert_close(models[0].snapshot(), before[0], rtol=0, atol=0)
    moved = {name: tensor - (0.1 if name in models[1].trainable() else 0) for name, tensor in before[1].items()}
    torch.testing.assert_close(models[1].snapshot(), moved)
    pointers = [parameter.untyped_storage().data_ptr() for m in models for parameter in m.trainable().values()]
    assert len(set(pointers)) == len(pointers), "no memory is shared any more"


@pytest.mark.parametrize("method", ["pissa", "full", "ia3"])
def test_what_has_no_stacked_layer_is_refused(method: str) -> None:
    models = [classifier("whisper-mini", method, {}, "paper", "mean", seed) for seed in range(2)]
    with pytest.raises(StackingError, match="no stacked layer for"):
        Stacked(models, [torch.Generator(), torch.Generator()])
