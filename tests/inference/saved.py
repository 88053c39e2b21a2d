"""Model folders of small classifiers, as training writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from affetto.backbones.checkpoints import load_backbone
from affetto.models.saved import save_classifier
from models.systems import blueprint, classifier

TEMPERATURE = 1.7


def saved_model(folder: Path, key: str, method: str, *, seconds: float | None = 1.5, **options: Any) -> Path:
    """A stirred-up classifier on a key's random backbone, with a window of `seconds` and a temperature."""
    made = classifier(key, method, **options)
    backbone = load_backbone(key, random_weights=True)
    save_classifier(
        made,
        folder,
        {
            "affetto": "0.1.0",
            "run": "0" * 64,
            "blueprint": blueprint(method, **options),
            "audio": {"seconds": seconds},
            "precision": "float32",
            "backbone": {
                "name": key,
                "family": backbone.family,
                "digest": backbone.weights_digest(),
                "random_weights": True,
                "weights_seed": 0,
                "preprocessing": backbone.preprocessing,
            },
            "trained_on": "final",
            "tested": False,
            "corpus": "emovo",
            "licence": "",
            "synthetic": True,
            "confidence": {"temperature": TEMPERATURE},
        },
    )
    return folder
