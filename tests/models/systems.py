"""Small classifiers of every family and method, and clips for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from affetto.backbones.checkpoints import load_backbone
from affetto.corpora.labels import EMOTIONS
from affetto.models.classifier import Classifier
from affetto.models.saved import assemble
from affetto.targets.classes import Classes
from affetto.targets.registry import blueprint_of
from affetto.targets.target import Target

FAMILIES = ("wav2vec2-mini", "xlsr-mini", "hubert-mini", "wavlm-mini", "whisper-mini")
METHODS = ("frozen", "adapter", "lora", "full")
LORA, ADAPTER = {"alpha": 8.0, "targets": "all"}, {"scale": 1.0}
SETTINGS: dict[str, dict[str, Any]] = {
    "lora": LORA,
    "adapter": ADAPTER,
    "lora+adapter": {"lora": LORA, "adapter": ADAPTER},
}


def blueprint(
    method: str,
    *,
    pooling: str = "mean",
    layer: int | None = None,
    head: str = "paper",
    first_block: int = 0,
    state_norm: str = "none",
    target: Target | None = None,
    states: int = 1,
    **settings: Any,
) -> dict[str, Any]:
    return {
        **blueprint_of(target or Classes(EMOTIONS)),
        "method": {"name": method, "first_block": first_block, "settings": SETTINGS.get(method, {}) | settings},
        "pooling": {"kind": pooling, "layer": layer, "state_norm": state_norm, "states": states},
        "head": {"name": head, "width": 16, "dropout": 0.1, "unmasked_mean": False},
    }


def classifier(key: str, method: str, *, stir: float = 0.05, **options: Any) -> Classifier:
    """In eval mode; all that trains is stirred, so that no factor is zero and no head is at its start."""
    torch.manual_seed(0)
    made = assemble(load_backbone(key, random_weights=True), blueprint(method, **options)).eval()
    stir_up(made, stir)
    return made


@torch.no_grad()
def stir_up(made: Classifier, size: float) -> None:
    random = torch.Generator().manual_seed(1)
    for parameter in made.trainable().values():
        parameter.add_(size * torch.randn(parameter.shape, generator=random))
    if "centre" in dict(made.head.named_buffers()):
        made.head.centre.fill_(0.1)
        made.head.scale.fill_(0.7)


def clips(*seconds: float) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [(0.1 * random.standard_normal(int(s * 16_000))).astype(np.float32) for s in seconds]
