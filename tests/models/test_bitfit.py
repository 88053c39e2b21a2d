"""BitFit: which biases train, and where they lie."""

from __future__ import annotations

import pytest

from affetto.backbones.checkpoints import load_backbone
from affetto.models.methods.bitfit import BitFit
from models.systems import FAMILIES


@pytest.mark.parametrize("key", FAMILIES)
def test_the_biases_of_all_layers_but_the_keys_train(key: str) -> None:
    shared = load_backbone(key, random_weights=True)
    backbone = shared.copy_sharing_weights()
    BitFit(backbone, range(1, 3))
    trained = {name for name, parameter in backbone.model.named_parameters() if parameter.requires_grad}
    blocks = tuple(f"{backbone.block_prefix}.{i}." for i in (1, 2))
    biases = {name for name, _ in shared.model.named_parameters() if name.endswith(".bias") and name.startswith(blocks)}
    final = {name for name in trained if not name.startswith(blocks)}
    assert trained - final == {name for name in biases if not name.endswith("k_proj.bias")}
    assert len(final) == (backbone.final_norm() is not None)
    assert not any(parameter.requires_grad for parameter in shared.parameters()), "other models have their own"
