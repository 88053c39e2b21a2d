"""Adapters: each placement against a block's forward pass written out, saved, loaded, and in 8-bit integers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from affetto.backbones.backbone import Backbone
from affetto.backbones.checkpoints import load_backbone
from affetto.errors import UserError
from affetto.inference.backends.trained import ClassifierPredictor
from affetto.models.bottleneck import Bottleneck
from affetto.models.methods.adapter import Adapter, AdapterSettings
from affetto.models.prefix import collate
from affetto.models.saved import assemble, save_classifier
from affetto.training.sections import Settings
from affetto.training.spec import settings
from models.systems import FAMILIES, blueprint, classifier, clips
from models.test_proofs import card

PLACEMENTS = ("sequential", "houlsby", "pfeiffer", "parallel", "peft_ser")
Part = Callable[[Tensor], Tensor]


def test_a_bottleneck_by_hand() -> None:
    made = Bottleneck(2, 2, dropout=0.0, scale=0.5)
    with torch.no_grad():
        made.down.weight.copy_(torch.tensor([[1.0, 2.0], [-1.0, 0.0]]))
        made.down.bias.copy_(torch.tensor([0.0, 1.0]))
        made.up.weight.copy_(torch.tensor([[1.0, 10.0], [2.0, -1.0]]))
        made.up.bias.copy_(torch.tensor([0.5, 0.0]))
    # down: (1·3 + 2·1, −3 + 1) = (5, −2); ReLU: (5, 0); up: (5 + 0.5, 10); scaled: (2.75, 5).
    assert made(torch.tensor([3.0, 1.0])).tolist() == [2.75, 5.0]
    assert not Bottleneck(2, 2, dropout=0.0, scale=0.5)(torch.tensor([3.0, 1.0])).any()


def test_the_dropout_lies_within_the_bottleneck() -> None:
    made = Bottleneck(4, 20_000, dropout=0.25, scale=1.0).train()
    with torch.no_grad():
        made.down.weight.zero_()
        made.down.bias.fill_(1.0)
        made.up.weight.fill_(1 / 20_000)
        made.up.bias.fill_(7.0)
    torch.manual_seed(0)
    found = made(torch.zeros(4))
    assert torch.allclose(found, torch.full((4,), 8.0), atol=0.05) and found[0] != 8.0
    assert found.unique().numel() == 1, "dropout behind the up-projection would tell the features apart"


# Blocks ----------------------------------------------------------------------------------------------------------


def written_out(backbone: Backbone, block: Any, hidden: Tensor, attended: Part, fed: Callable[..., Tensor]) -> Tensor:
    """A block's output, (batch, frames, width). `attended` gets the attention's output; `fed(x, F(x), s)` what enters
    the feed-forward, what leaves it, and the residual stream before the LayerNorm.
    """
    context = backbone.context(None, hidden.shape[1])
    more = {} if context.position_bias is None else {"position_bias": context.position_bias}
    if backbone.family == "whisper":
        x = block.self_attn_layer_norm(hidden)
        s = hidden + attended(block.self_attn(x, attention_mask=None)[0])
        x = block.final_layer_norm(s)
        return s + fed(x, block.fc2(nn.functional.gelu(block.fc1(x))), s)
    ff = block.feed_forward
    feed = lambda x: ff.output_dense(nn.functional.gelu(ff.intermediate_dense(x)))  # noqa: E731
    if backbone.model.config.do_stable_layer_norm:
        s = hidden + attended(block.attention(block.layer_norm(hidden), attention_mask=None, **more)[0])
        x = block.final_layer_norm(s)
        return s + fed(x, feed(x), s)
    s = hidden + attended(block.attention(hidden, attention_mask=None, **more)[0])
    x = block.layer_norm(s)
    return block.final_layer_norm(x + fed(x, feed(x), s))


def expected(placement: str, method: Adapter, norm: Any) -> tuple[Part, Callable[..., Tensor]]:
    """`norm` ends the block of the bare backbone; None where a sum does."""
    adapter = method.bottlenecks["0"]
    behind = lambda x, out, s: out + adapter(out)  # noqa: E731
    if placement == "houlsby":
        second = method.bottlenecks["0_attention"]
        return lambda out: out + second(out), behind
    return lambda out: out, {
        "sequential": behind,
        "pfeiffer": lambda x, out, s: out + adapter(s + out if norm is None else norm(x + out)),
        "parallel": lambda x, out, s: out + adapter(x),
        # As PEFT-SER has it: its adapter returns up(relu(down s)) · scale + s.
        "peft_ser": lambda x, out, s: out + (adapter(s) + s),
    }[placement]


@torch.no_grad()
def stirred(backbone: Backbone) -> Backbone:
    """LayerNorms of their own, so that before and behind one are two things."""
    random = torch.Generator().manual_seed(2)
    for module in backbone.modules():
        if isinstance(module, nn.LayerNorm):
            module.weight.mul_(1 + 0.5 * torch.rand(module.weight.shape, generator=random))
            module.bias.add_(0.3 * torch.randn(module.bias.shape, generator=random))
    return backbone


@torch.no_grad()
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("key", FAMILIES)
def test_a_block_is_the_formula_of_its_placement(key: str, placement: str) -> None:
    plain = stirred(load_backbone(key, random_weights=True))
    changed = stirred(load_backbone(key, random_weights=True))
    torch.manual_seed(3)
    method = Adapter(changed, range(2), bottleneck=8, scale=0.7, placement=placement).eval()
    for bottleneck in method.bottlenecks.values():
        nn.init.normal_(bottleneck.up.weight, std=0.3)
    hidden = torch.randn(2, 9, plain.width)
    found = changed.block(0, hidden, changed.context(None, 9))
    block: Any = plain.blocks[0]
    end = None if key in ("xlsr-mini", "whisper-mini") else block.final_layer_norm
    formula = written_out(plain, plain.blocks[0], hidden, *expected(placement, method, end))
    assert (found - formula).abs().max() <= 1e-6 * formula.abs().max()
    bare = plain.block(0, hidden, plain.context(None, 9))
    assert (found - bare).abs().max() > 1e-2 * bare.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("key", FAMILIES)
def test_a_fresh_adapter_is_the_bare_backbone_but_for_peft_ser_s(key: str, placement: str) -> None:
    plain, changed = load_backbone(key, random_weights=True), load_backbone(key, random_weights=True)
    method = Adapter(changed, range(1), placement=placement).eval()
    hidden = torch.randn(1, 7, plain.width)
    same = torch.equal(
        changed.block(0, hidden, changed.context(None, 7)), plain.block(0, hidden, plain.context(None, 7))
    )
    assert same == (placement != "peft_ser")
    down = method.bottlenecks["0"].down.bias
    assert bool(down.any()) == (placement != "peft_ser"), "PEFT-SER's down-projection starts without a bias"


def test_houlsby_trains_twice_as_much() -> None:
    sizes = {}
    for placement in ("sequential", "houlsby"):
        made = Adapter(load_backbone("whisper-mini", random_weights=True), range(3), placement=placement)
        sizes[placement] = sum(p.numel() for p in made.parameters())
    assert sizes == {"sequential": 3 * (2 * 96 * 128 + 128 + 96), "houlsby": 6 * (2 * 96 * 128 + 128 + 96)}


# Settings --------------------------------------------------------------------------------------------------------


def test_the_paper_s_adapter_and_the_settings_that_a_placement_was_published_with() -> None:
    def chosen(recipe: str, **given: str) -> tuple[Any, ...]:
        found = settings(recipe, {f"adapter.{name}": value for name, value in given.items()}).adapter
        return found.placement, found.scale, found.dropout, found.bottleneck

    assert chosen("paper") == ("sequential", 1.0, 0.0, 128)
    assert chosen("paper", placement="houlsby") == ("houlsby", 1.0, 0.0, 128)
    assert chosen("paper", placement="parallel") == ("parallel", 0.1, 0.1, 128)
    assert chosen("paper", placement="peft_ser", scale="0.5") == ("peft_ser", 0.5, 0.1, 128)
    # What the recommended recipe's figures were measured with.
    assert chosen("recommended") == ("parallel", 1.0, 0.1, 128)


def test_settings_of_earlier_runs_are_read_and_the_withdrawn_placement_is_refused_in_one_line() -> None:
    old = {"bottleneck": 128, "dropout": 0.1, "scale": 0.1, "placement": "double_residual"}
    assert Settings.model_validate({"adapter": old}).adapter.model_dump() == old
    with pytest.raises(
        UserError, match=r"double_residual is of an earlier version .*set adapter.placement=peft_ser"
    ) as problem:
        Adapter(load_backbone("whisper-mini", random_weights=True), range(1), placement="double_residual")
    assert "\n" not in str(problem.value)
    with pytest.raises(UserError, match="unknown Adapter placement 'paralel': did you mean 'parallel'"):
        Adapter(load_backbone("whisper-mini", random_weights=True), range(1), placement="paralel")


# Saved, loaded, rounded ------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_saved_adapter_gives_the_same_logits(placement: str, tmp_path: Path) -> None:
    chosen = AdapterSettings.model_validate({"placement": placement, "bottleneck": 16}).model_dump()
    made = classifier("xlsr-mini", "adapter", **chosen)
    plan = blueprint("adapter", **chosen)
    save_classifier(made, tmp_path / "model", card("xlsr-mini", made, plan))
    again = assemble(load_backbone("xlsr-mini", random_weights=True), plan, tmp_path / "model").eval()
    (wave,) = clips(0.7)
    before, after = (each(*collate([each.prefix(wave)], torch.device("cpu"))) for each in (made, again))
    assert torch.equal(before, after)


def test_an_adapter_saved_by_an_earlier_version_is_read_as_what_it_was(tmp_path: Path) -> None:
    """Its card holds all settings and its file one bottleneck a block, by the block's number."""
    from safetensors.torch import save_file

    parts = {"down.weight": (4, 96), "down.bias": (4,), "up.weight": (96, 4), "up.bias": (96,)}
    (tmp_path / "method").mkdir()
    tensors = {f"{i}.{name}": torch.randn(shape) for i in range(3) for name, shape in parts.items()}
    save_file(tensors, tmp_path / "method" / "adapter_model.safetensors")
    backbone = load_backbone("whisper-mini", random_weights=True)
    old = {"bottleneck": 4, "dropout": 0.1, "scale": 0.1, "placement": "parallel"}
    method = Adapter.load(backbone, range(3), tmp_path / "method", old).eval()
    plain = load_backbone("whisper-mini", random_weights=True)
    hidden = torch.randn(1, 5, 96)

    def bottleneck(x):
        return 0.1 * nn.functional.linear(
            torch.relu(nn.functional.linear(x, tensors["0.down.weight"], tensors["0.down.bias"])),
            tensors["0.up.weight"],
            tensors["0.up.bias"],
        )

    formula = written_out(plain, plain.blocks[0], hidden, lambda out: out, lambda x, out, s: out + bottleneck(x))
    found = backbone.block(0, hidden, backbone.context(None, 5))
    assert torch.allclose(found, formula, atol=1e-6) and method.lowest_block == 0


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_8_bit_layers_keep_the_adapter_that_hangs_on_them(placement: str) -> None:
    known, waves = {"audio": {"seconds": 4.0}, "precision": "float32"}, clips(0.9)

    def probabilities(precision: str, *, silent: bool = False) -> torch.Tensor:
        made = classifier("whisper-mini", "adapter", placement=placement, stir=0.3)
        for bottleneck in made.method.bottlenecks.values() if silent else ():
            nn.init.zeros_(bottleneck.up.weight)
            nn.init.zeros_(bottleneck.up.bias)
        (found,) = ClassifierPredictor(made, known, torch.device("cpu"), precision).classify(waves)
        return torch.tensor(list(found.probabilities.values()))

    rounded = probabilities("int8")
    near, far = ((rounded - probabilities("float32", silent=silent)).abs().max() for silent in (False, True))
    assert near < 0.3 * far
