"""Stored states named by all that they depend on, and a run's backbone that no method may change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from affetto import audio
from affetto.backbones.backbone import Backbone
from affetto.backbones.checkpoints import load_backbone
from affetto.backbones.config_fields import DIGESTED, IRRELEVANT
from affetto.models import prefix
from affetto.models.classifier import Classifier
from affetto.models.methods.base import Method
from affetto.models.methods.registry import METHODS
from affetto.training import build
from affetto.training import device as devices
from affetto.training.build import store_of
from affetto.training.display import Display
from affetto.training.spec import RunSpec
from affetto.training.stacking import drive
from affetto.training.train import _Run
from models.systems import FAMILIES, blueprint, classifier
from training.corpora import spec, write_table

# The address of stored states ------------------------------------------------------------------------------------

FACTS: dict[str, Any] = {"digest": "d", "seconds": 4.0, "precision": "float16", "device": torch.device("cpu")}


def address(change: Callable[[Classifier], Any] = lambda _: None, **facts: Any) -> Path:
    made = classifier("wav2vec2-mini", "frozen")
    change(made)
    told = FACTS | facts
    return store_of(made, told["digest"], told["seconds"], told["precision"], told["device"]).folder


def config(**fields: Any) -> Callable[[Classifier], None]:
    def change(made: Classifier) -> None:
        for name, value in fields.items():
            setattr(made.backbone.model.config, name, value)

    return change


CHANGES: dict[str, Callable[[pytest.MonkeyPatch], Path]] = {
    "weights": lambda _: address(digest="e"),
    "window": lambda _: address(seconds=5.0),
    "no window": lambda _: address(seconds=None),
    "precision of the store": lambda _: address(precision="float32"),
    "device": lambda _: address(device=torch.device("cuda")),
    "compute": lambda _: address(lambda made: made.compute_in("bfloat16")),
    "preprocessing": lambda _: address(lambda made: made.backbone.preprocessing.update(normalize=False)),
    "pooling": lambda _: address(lambda made: setattr(made.pooling, "kind", "without_embedding")),
    "state norm": lambda _: address(lambda made: setattr(made.pooling, "state_norm", "layer")),
    "cut": lambda _: address(lambda made: setattr(made.method, "lowest_block", 1)),
    "layer_norm_eps": lambda _: address(config(layer_norm_eps=1e-6)),
    "hidden_act": lambda _: address(config(hidden_act="relu")),
    "swap": lambda _: address(lambda made: setattr(made.backbone, "layer_norm_swap", "blocks")),
    "a field of a later transformers": lambda _: address(config(rotary_base=10_000)),
    "transformers": lambda patch: patch.setattr(build, "version", lambda _: "999.9.1") or address(),  # type: ignore[func-returns-value]
    "decoding": lambda patch: patch.setattr(audio, "VERSION", -1) or address(),  # type: ignore[func-returns-value]
    "format": lambda patch: patch.setattr(prefix, "FORMAT", -1) or address(),  # type: ignore[func-returns-value]
}


@pytest.mark.parametrize("changed", CHANGES)
def test_one_changed_fact_changes_the_address(changed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = address()
    assert CHANGES[changed](monkeypatch) != before, changed


def test_what_changes_no_state_changes_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    before = address()
    assert address(config(attention_dropout=0.3, vocab_size=99, _name_or_path="elsewhere")) == before
    monkeypatch.setattr(build, "version", lambda _: build_version() + ".99")
    assert address() == before, "a bugfix release of transformers"


def build_version() -> str:
    from importlib.metadata import version

    return ".".join(version("transformers").split(".")[:2])


@pytest.mark.parametrize("key", FAMILIES)
def test_every_field_that_shapes_do_not_show_is_in_the_digest_of_the_weights(key: str) -> None:
    """A saved model is loaded on no other backbone than its own."""
    backbone = load_backbone(key, random_weights=True)
    backbone.model.state_dict = dict  # type: ignore[method-assign]  # the configuration alone
    before, fields = backbone.weights_digest(), vars(backbone.model.config)
    assert not IRRELEVANT & set(DIGESTED)
    attention, activation = (
        ("encoder_attention_heads", "activation_function")
        if key.startswith("whisper")
        else ("num_attention_heads", "hidden_act")
    )
    norm = [] if key.startswith("whisper") else ["layer_norm_eps", "conv_stride", "feat_extract_norm"]
    for name in (attention, activation, *norm):
        value = fields[name]
        fields[name] = f"not {value}"
        assert backbone.weights_digest() != before, name
        fields[name] = value
    assert backbone.weights_digest() == before


# The run's backbone ----------------------------------------------------------------------------------------------


class Biases(Method):
    """Training of the blocks' biases alone (BitFit, Ben Zaken et al. 2022)."""

    name = "biases"
    trains_backbone = True

    def __init__(self, backbone: Backbone, blocks: range, **_: Any) -> None:
        super().__init__(backbone, blocks)
        places = tuple(f"{backbone.block_prefix}.{i}." for i in blocks)
        self.__dict__["trained"] = {
            name: parameter.requires_grad_(True)
            for name, parameter in backbone.model.named_parameters()
            if name.startswith(places) and name.endswith("bias")
        }

    def save(self, folder: Path) -> None:
        save_file(
            {name: p.detach().contiguous() for name, p in self.__dict__["trained"].items()}, folder / "b.safetensors"
        )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_method_of_one_s_own_that_trains_the_backbone_trains_a_copy(
    precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS._load(), "biases", Biases)
    table = write_table(tmp_path / "corpus", speakers=4)
    asked: RunSpec = spec(
        table, "biases", "paper", "whisper-mini", {"training.epochs": "1", "compute.precision": precision}
    )
    run = _Run(asked, tmp_path / "run", devices.accelerator(torch.device("cpu")), Display(quiet=True))
    (metrics,) = drive([run.go()], 1)
    assert isinstance(metrics, dict)
    pristine, trained = run.builder.backbone, run.builder.current.backbone
    assert pristine.weights_digest() == load_backbone("whisper-mini", random_weights=True).weights_digest()
    assert pristine.weights_digest() == run.builder.weights_digest != trained.weights_digest()
    assert not any(parameter.requires_grad for parameter in pristine.parameters())
    assert metrics["backbone_parameters"] == pristine.parameter_count()


@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_leaves_the_blocks_alone_says_so(method: str) -> None:
    """Then it may stand on the run's own backbone."""
    before = load_backbone("whisper-mini", random_weights=True)
    classes = {name: type(module) for name, module in before.named_modules()}
    attributes = {name: set(vars(module)) for name, module in before.named_modules()}
    made = METHODS[method](before, range(before.depth))
    changed = (
        {name: type(module) for name, module in before.named_modules()} != classes
        or {name: set(vars(module)) for name, module in before.named_modules()} != attributes
        or any(parameter.requires_grad for parameter in before.parameters())
        or any(module._forward_hooks for module in before.modules())
    )
    assert changed == made.changes_blocks
    assert blueprint(method)["method"]["name"] == made.name
