"""Operations of a training step in bfloat16, twelve blocks deep: upper bounds, so that no cast creeps back in."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from affetto.backbones.catalogue import BACKBONES
from affetto.backbones.checkpoints import from_config
from affetto.backbones.families.registry import FAMILIES
from affetto.models.device import KINDS
from affetto.models.saved import assemble
from models.systems import blueprint

VIEWS = {
    "_unsafe_view",
    "alias",
    "detach",
    "empty",
    "empty_like",
    "expand",
    "lift_fresh",
    "new_empty",
    "permute",
    "select",
    "slice",
    "split",
    "split_with_sizes",
    "t",
    "transpose",
    "unbind",
    "unsqueeze",
    "view",
}
"""Operations that start no kernel."""
CASTS = ("_to_copy", "clone", "copy_")
BOUNDS = {
    ("wav2vec2-mini", "lora"): (720, 86),
    ("wav2vec2-mini", "adapter"): (660, 86),
    ("wav2vec2-mini", "frozen"): (70, 16),
    ("whisper-mini", "lora"): (720, 86),
    ("wavlm-mini", "lora"): (1320, 343),
}
"""Operations of a forward and a backward pass, and those of them that cast or copy, at most."""
SETTINGS: dict[str, dict[str, Any]] = {
    "lora": {"targets": "ff", "dropout": 0.1},
    "adapter": {"placement": "parallel", "dropout": 0.1},
    "frozen": {},
}


class Counted(TorchDispatchMode):
    """Operations by name."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = function._schema.name.rpartition("::")[2]
        if name not in VIEWS:
            self.count[name] += 1
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(("key", "method"), BOUNDS)
def test_a_step_has_no_more_operations(key: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve blocks, a padded batch, as a device with a queue counts them."""
    monkeypatch.setitem(KINDS, "cpu", replace(KINDS["cpu"], slow_random=False, queued=True))
    entry = BACKBONES[key]
    depth = "encoder_layers" if "encoder_layers" in entry.config else "num_hidden_layers"
    backbone = from_config(
        entry.family, entry.config | {depth: 12}, FAMILIES[entry.family].preprocessing(normalize=entry.normalize)
    )
    made = assemble(backbone, blueprint(method, **SETTINGS[method])).train().compute_in("bfloat16")
    prefix = {("pooled" if made.frozen else "state"): torch.randn(2, 8, backbone.width)}
    with Counted() as counted:
        logits = made(prefix, torch.tensor([8, 5]))
        torch.nn.functional.cross_entropy(logits, torch.zeros(2, dtype=torch.long)).backward()
    operations, casts = BOUNDS[key, method]
    assert sum(counted.count[name] for name in CASTS) <= casts
    assert counted.count.total() <= operations, counted.count.most_common(8)
