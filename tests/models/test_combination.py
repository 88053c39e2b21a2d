"""Combinations of methods: which there are, and that each keeps what its methods do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from affetto.backbones.checkpoints import load_backbone
from affetto.errors import UserError
from affetto.models.methods.base import Method
from affetto.models.methods.combination import combine
from affetto.models.methods.registry import METHODS
from affetto.models.prefix import collate
from affetto.models.saved import assemble, save_classifier
from affetto.training.gradients import check_gradients
from affetto.training.identity import own_fields
from affetto.training.spec import acting, method_settings, settings
from models.systems import blueprint, classifier, clips

NAME = "lora+adapter"
families = pytest.mark.parametrize("key", ["wavlm-mini", "whisper-mini"])


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(*collate([model.prefix(wave) for wave in clips(1.1, 0.6)], torch.device("cpu")))


@families
def test_a_combination_starts_as_the_backbone_and_all_of_it_trains(key: str) -> None:
    torch.manual_seed(0)
    made = assemble(load_backbone(key, random_weights=True), blueprint(NAME)).eval()
    torch.manual_seed(0)
    bare = assemble(load_backbone(key, random_weights=True), blueprint("frozen")).eval()
    made.head.load_state_dict(bare.head.state_dict())
    assert torch.allclose(logits(made), logits(bare), atol=1e-6)
    batch = collate([made.prefix(wave) for wave in clips(0.7, 1.1)], torch.device("cpu"))
    check_gradients(made.train(), *batch)
    assert {name.split(".")[2] for name in made.trainable() if name.startswith("method.")} == {"adapter"}
    assert any("lora_A" in name for name in made.trainable())


@families
def test_merging_folds_lora_and_keeps_the_adapter_where_it_hangs(key: str) -> None:
    made, merged = classifier(key, NAME), classifier(key, NAME).merge()
    expected = logits(made)
    assert (logits(merged) - expected).abs().max() <= 2e-5 * expected.abs().max()
    assert not any("lora_" in name for name, _ in merged.named_parameters())
    plan = METHODS.find(NAME).plan_after_merge(blueprint(NAME)["method"])
    assert (plan["name"], plan["settings"], merged.method.name) == ("adapter", {"scale": 1.0}, "adapter")


@families
def test_each_method_is_saved_to_its_own_folder_and_read_from_there(key: str, tmp_path: Path) -> None:
    made = classifier(key, NAME)
    card = {"blueprint": blueprint(NAME), "backbone": {}}
    save_classifier(made, tmp_path / "model", card)
    assert {path.name for path in (tmp_path / "model" / "method").iterdir()} == {"lora", "adapter"}
    read = assemble(load_backbone(key, random_weights=True), blueprint(NAME), tmp_path / "model").eval()
    assert torch.equal(logits(read), logits(made))


def test_training_from_a_block_on_cuts_there() -> None:
    assert classifier("whisper-mini", NAME, first_block=2).cut[:2] == ("state", 2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lora+lora", "has 'lora' twice"),
        ("frozen+lora", "'frozen' cannot be combined, since it trains nothing of the backbone"),
        ("lora+full", "'full' cannot be combined"),
        ("adapter+lora", r"write 'lora\+adapter'"),
        ("lora+adaptr", "unknown method 'adaptr': did you mean 'adapter'"),
        ("lora+", "unknown method ''"),
    ],
)
def test_a_combination_without_sense_is_refused(name: str, message: str) -> None:
    assert name not in METHODS
    with pytest.raises(UserError, match=message):
        METHODS.find(name)


def test_two_methods_for_one_part_are_refused() -> None:
    class Rival(Method):
        name = "rival"
        part = "outputs"

    with pytest.raises(UserError, match="adapter and rival both change the outputs of a block"):
        combine((METHODS["adapter"], Rival))


def test_settings_and_identity_hold_the_sections_of_both() -> None:
    chosen = settings("recommended", {"lora.rank": "4", "adapter.bottleneck": "32"}, method=NAME)
    values = method_settings(chosen, NAME)
    assert (values["lora"]["rank"], values["adapter"]["bottleneck"]) == (4, 32)
    assert {"lora", "adapter"} <= own_fields(chosen, NAME).keys()
    assert acting("paper", {"lora.rank": "4", "adapter.scale": "1"}, method=NAME).keys() == {
        "lora.rank",
        "adapter.scale",
    }


def test_hooks_of_step_states_go_to_the_method_they_are_of() -> None:
    made = classifier("whisper-mini", NAME).method
    received: dict[str, dict[str, torch.Tensor]] = {}
    for name, member in made.members.items():
        member.__dict__["step_state"] = lambda name=name: {"kept": torch.full((1,), float(len(name)))}
        member.__dict__["restore_step_state"] = lambda state, name=name: received.update({name: state})
    made.restore_step_state(made.step_state())
    assert {name: float(state["kept"]) for name, state in received.items()} == {"lora": 4.0, "adapter": 7.0}
