"""What makes the numbers worth publishing: gradients, batches, the store, saving; per family and method."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from affetto.backbones.checkpoints import load_backbone
from affetto.errors import UserError
from affetto.models.classifier import Classifier
from affetto.models.prefix import PrefixData, PrefixStore, Source, collate
from affetto.models.saved import assemble, load_classifier, save_classifier
from affetto.training.gradients import check_gradients
from models.systems import FAMILIES, METHODS, blueprint, classifier, clips

CPU = torch.device("cpu")
everything = pytest.mark.parametrize(("key", "method"), [(key, method) for key in FAMILIES for method in METHODS])


def logits(made: Classifier, waves: list[np.ndarray]) -> torch.Tensor:
    with torch.no_grad():
        return made(*collate([made.prefix(wave) for wave in waves], CPU))


def backward(made: Classifier, waves: list[np.ndarray]) -> None:
    made.zero_grad(set_to_none=True)
    batch = collate([made.prefix(wave) for wave in waves], CPU)
    nn.functional.cross_entropy(made(*batch), torch.arange(len(waves))).backward()


# Gradients ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", FAMILIES)
def test_full_fine_tuning_trains_all_but_the_front_end(key: str) -> None:
    made = assemble(load_backbone(key, random_weights=True), blueprint("full"))
    frozen = {
        name.split(".")[0] for name, parameter in made.backbone.model.named_parameters() if not parameter.requires_grad
    }
    assert frozen in ({"feature_extractor", "masked_spec_embed"}, {"conv1", "conv2", "embed_positions"})


@pytest.mark.parametrize("method", METHODS)
def test_the_proof_that_all_parameters_train_changes_nothing(method: str) -> None:
    key = "wavlm-mini"
    torch.manual_seed(0)
    made = assemble(load_backbone(key, random_weights=True), blueprint(method)).train()
    before = {name: parameter.clone() for name, parameter in made.named_parameters()}
    batch = collate([made.prefix(wave) for wave in clips(0.7, 1.1)], CPU)
    check_gradients(made, *batch)
    assert made.training
    for name, parameter in made.named_parameters():
        assert torch.equal(parameter, before[name]), name
        assert parameter.grad is None, name


@everything
def test_no_frozen_parameter_gets_a_gradient(key: str, method: str) -> None:
    made = classifier(key, method)
    backward(made, clips(0.7, 1.1))
    trained = made.trainable()
    for name, parameter in made.named_parameters():
        dead = parameter.grad is None or not parameter.grad.any()
        # A key bias shifts all of a query's logits alike: its gradient is rounding, of either kind.
        assert name.endswith("k_proj.bias") or dead == (name not in trained), name


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize("method", ["adapter", "lora", "full"])
def test_no_backward_pass_runs_below_the_lowest_trainable_block(key: str, method: str) -> None:
    made = classifier(key, method, first_block=2)
    assert made.cut[:2] == ("state", 2)
    visited: list[int] = []

    def noted(out: torch.Tensor | tuple[torch.Tensor, ...], i: int) -> None:
        hidden = out[0] if isinstance(out, tuple) else out
        if hidden.requires_grad:
            hidden.register_hook(lambda _gradient: visited.append(i))

    for i, block in enumerate(made.backbone.blocks):
        block.register_forward_hook(lambda _block, _in, out, i=i: noted(out, i))
    backward(made, clips(0.7))
    assert visited == [2]
    assert all(int(name.split("layers.")[1][0]) == 2 for name in made.trainable() if "layers." in name)


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize("method", ["adapter", "lora", "full"])
def test_what_lies_above_the_pooled_state_is_not_trainable(key: str, method: str) -> None:
    made = classifier(key, method, pooling="layer", layer=1, head="statistics")
    backward(made, clips(0.7, 0.9))
    for name, parameter in made.trainable().items():
        assert name.endswith("k_proj.bias") or parameter.grad is not None, name
    assert not any(f"layers.{i}." in name for name in made.trainable() for i in (1, 2))


def test_a_dead_parameter_stops_the_run_and_is_named() -> None:
    made = classifier("wav2vec2-mini", "lora")
    made.head.per_clip.register_parameter("forgotten", nn.Parameter(torch.ones(2)))
    batch = collate([made.prefix(wave) for wave in clips(0.7, 1.1)], CPU)
    with pytest.raises(UserError, match=r"1 of \d+ .*head.per_clip.forgotten"):
        check_gradients(made, *batch)


# Batches -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize("method", ["frozen", "lora"])
@pytest.mark.parametrize(
    ("pooling", "head"),
    [
        ("mean", "attentive"),
        ("mean", "paper"),
        ("weighted", "short"),
        ("without_embedding", "linear"),
        ("layer", "statistics"),
    ],
)
def test_logits_do_not_depend_on_batch_mates(key: str, method: str, pooling: str, head: str) -> None:
    made = classifier(key, method, pooling=pooling, head=head)
    waves = clips(1.6, 0.5, 1.1, 0.8)
    together = logits(made, waves)
    alone = torch.cat([logits(made, [wave]) for wave in waves])
    pairs = torch.cat([logits(made, waves[:2]), logits(made, waves[2:])])
    scale = together.abs().max()
    assert (together - alone).abs().max() <= 1e-4 * scale
    assert (together - pairs).abs().max() <= 1e-4 * scale
    assert (together[0] - together[1]).abs().max() > 1e-3 * scale, "clips must differ, else nothing is shown"


# The store ---------------------------------------------------------------------------------------


def stored(
    made: Classifier, waves: list[np.ndarray], tmp_path: Path, precision: str
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    import soundfile

    sources, keys = {}, {}
    for number, wave in enumerate(waves):
        file = tmp_path / f"{number}.wav"
        soundfile.write(file, wave, 16_000, subtype="FLOAT")
        sources[str(number)] = Source(file)
        keys[str(number)] = sources[str(number)].digest()
    store = PrefixStore({"cut": made.cut}, precision, root=tmp_path / "store")
    data = PrefixData(made, store, sources, keys, None)
    assert data.prepare() == {}
    again = PrefixData(made, store, sources, keys, None)  # what a later run reads
    made.prefix = None  # type: ignore[assignment,method-assign]  # nothing is computed any more
    assert again.prepare() == {}
    del made.prefix
    return again.batch(list(sources), CPU)


@everything
def test_stored_in_float32_is_bit_identical(key: str, method: str, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        made, waves = classifier(key, method), clips(1.2, 0.6)
        with torch.no_grad():
            assert torch.equal(made(*stored(made, waves, tmp_path, "float32")), logits(made, waves))
    finally:
        torch.set_num_threads(threads)


@everything
def test_stored_in_float16_changes_logits_and_gradients_little(key: str, method: str, tmp_path: Path) -> None:
    # The linear head: a ReLU that lies at its kink for a small random model jumps by more than rounding.
    made, waves = classifier(key, method, head="linear"), clips(1.2, 0.6)
    batch = stored(made, waves, tmp_path, "float16")
    target = torch.arange(2)
    out: list[tuple[torch.Tensor, torch.Tensor]] = []
    for prefix, lengths in (batch, collate([made.prefix(wave) for wave in waves], CPU)):
        made.zero_grad(set_to_none=True)
        given = made(prefix, lengths)
        nn.functional.cross_entropy(given, target).backward()
        grads = [p.grad.flatten() for name, p in made.trainable().items() if not name.endswith("k_proj.bias")]
        out.append((given.detach(), torch.cat(grads)))
    (narrow, narrow_gradient), (exact, exact_gradient) = out
    assert (narrow - exact).abs().max() <= 1e-3
    assert (narrow_gradient - exact_gradient).norm() <= 5e-3 * exact_gradient.norm()


# Saved, merged, opened elsewhere -----------------------------------------------------------------


def card(key: str, made: Classifier, plan: dict[str, object]) -> dict[str, object]:
    return {
        "blueprint": plan,
        "audio": {"seconds": None},
        "precision": "float32",
        "synthetic": True,
        "backbone": {
            "name": key,
            "digest": load_backbone(key, random_weights=True).weights_digest(),
            "random_weights": True,
            "weights_seed": 0,
        },
    }


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize("targets", ["ff", "attention", "all"])
def test_peft_itself_opens_a_saved_lora(key: str, targets: str, tmp_path: Path) -> None:
    from peft import PeftModel

    made, wave = classifier(key, "lora", targets=targets, pooling="layer"), clips(1.0)[0]
    with torch.no_grad():
        ours = last_state(made, wave)
    save_classifier(made, tmp_path / "model", card(key, made, blueprint("lora", targets=targets, pooling="layer")))
    plain = stock_encoder(key, wave)
    opened = PeftModel.from_pretrained(plain, tmp_path / "model" / "method").eval()
    if key.startswith("wavlm"):
        opened = opened.merge_and_unload()  # transformers' WavLM passes by unmerged attention layers
    prepared = load_backbone(key, random_weights=True).prepare(wave)
    with torch.no_grad():
        theirs = opened(prepared[None]).last_hidden_state
    assert (ours - theirs).abs().max() <= 2e-5 * theirs.abs().max()
    bare = stock_encoder(key, wave)(prepared[None]).last_hidden_state
    assert (ours - bare).abs().max() > 1e-3 * bare.abs().max(), "the LoRA must do something, else nothing is shown"


def last_state(made: Classifier, wave: np.ndarray) -> torch.Tensor:
    prefix, lengths = collate([made.prefix(wave)], CPU)
    return made.pooled(prefix, lengths)[0]


def stock_encoder(key: str, wave: np.ndarray) -> nn.Module:
    """transformers' plain encoder with the same weights, of stock classes only."""
    backbone = load_backbone(key, random_weights=True)
    stock = type(backbone.model)(backbone.model.config)
    stock.load_state_dict(backbone.model.state_dict())
    if key.startswith("whisper"):
        positions = backbone.prepare(wave).shape[1] // 2
        table = nn.Embedding(positions, backbone.width)
        table.weight.data.copy_(stock.embed_positions.weight[:positions])
        stock.embed_positions = table
        stock.config.max_source_positions = positions
    return stock.eval()


def test_a_model_without_one_of_its_tensors_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    for method in ("lora", "adapter", "full"):
        made = classifier("wav2vec2-mini", method)
        folder = tmp_path / method
        save_classifier(made, folder, card("wav2vec2-mini", made, blueprint(method)))
        file = folder / "method" / "adapter_model.safetensors"
        tensors = load_file(file)
        del tensors[sorted(tensors)[0]]
        save_file(tensors, file)
        with pytest.raises(UserError, match="cannot be read"):
            load_classifier(folder)
