"""Quicker ways to the same numbers: LoRA in place, dropout by bits, clips side by side, 8-bit inference."""

from __future__ import annotations

import functools
import threading
import time

import pytest
import torch
from torch import nn

from affetto.errors import UserError
from affetto.inference.backends.trained import ClassifierPredictor
from affetto.models.dropout import Dropout, keep
from affetto.models.int8 import Int8Linear
from affetto.models.lowrank import low_rank
from affetto.models.parallel import side_by_side
from affetto.models.prefix import collate
from models.systems import FAMILIES, classifier, clips


def gradients(made, waves):
    torch.nn.functional.cross_entropy(
        made(*collate([made.prefix(w) for w in waves], made.backbone.device)), torch.zeros(len(waves), dtype=torch.long)
    ).backward()
    return {name: p.grad.clone() for name, p in made.trainable().items()}


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize("targets", ["ff", "attention", "all"])
def test_lora_in_place_is_peft_s_own(key, targets, monkeypatch):
    waves = clips(1.2, 0.6)
    ours = classifier(key, "lora", targets=targets)
    monkeypatch.setattr("affetto.models.methods.lora.Lora._fuse", lambda *_: None)
    peft = classifier(key, "lora", targets=targets)
    assert type(peft.backbone.model).__name__ == type(ours.backbone.model).__name__
    batches = [collate([m.prefix(w) for w in waves], m.backbone.device) for m in (ours, peft)]
    with torch.no_grad():
        mine, theirs = ours(*batches[0]), peft(*batches[1])
    assert (mine - theirs).abs().max() <= 1e-5 * theirs.abs().max()
    mine, theirs = gradients(ours, waves), gradients(peft, waves)
    assert mine.keys() == theirs.keys()
    for name in mine:
        # Key projections have no gradient but rounding: a softmax does not see what all keys share.
        assert (mine[name] - theirs[name]).abs().max() <= 2e-4 * theirs[name].abs().max() + 1e-7, name


@pytest.mark.parametrize("gelu", [False, True])
def test_the_low_rank_product_has_the_right_derivatives(gelu):
    torch.manual_seed(0)
    x, w, bias, a, b = (torch.randn(*s, dtype=torch.double) for s in ((2, 5, 4), (3, 4), (3,), (2, 4), (3, 2)))
    inputs = [t.requires_grad_() for t in (x, a, b)]

    def plain(x, a, b):
        entered = nn.functional.gelu(x) if gelu else x
        return entered @ w.T + bias + 0.7 * (entered @ a.T) @ b.T

    out, expected = low_rank(x, w, bias, a, b, scale=0.7, gelu=gelu), plain(*inputs)
    assert torch.allclose(out, expected, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(out)
    for mine, theirs in zip(
        torch.autograd.grad((out * weights).sum(), inputs),
        torch.autograd.grad((expected * weights).sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(mine.double(), theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("gelu", [False, True])
def test_dropout_before_the_low_rank_product_leaves_the_frozen_one_alone(gelu):
    torch.manual_seed(0)
    x, w, a, b = torch.randn(50, 40), torch.randn(30, 40), torch.randn(4, 40), torch.randn(30, 4)
    inputs = [t.requires_grad_() for t in (x, a, b)]
    torch.manual_seed(1)
    kept, up = keep(x, 0.3)
    entered = nn.functional.gelu(x) if gelu else x
    expected = entered @ w.T + 0.7 * ((entered * kept * up) @ a.T) @ b.T
    torch.manual_seed(1)
    out = low_rank(x, w, None, a, b, scale=0.7, gelu=gelu, drop=functools.partial(keep, p=0.3))
    assert torch.allclose(out, expected, rtol=1e-4, atol=1e-4)
    for mine, theirs in zip(
        torch.autograd.grad(out.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
        strict=True,
    ):
        assert torch.allclose(mine, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


def test_a_lora_drops_in_training_only():
    made = classifier("whisper-mini", "lora", dropout=0.5)
    batch = collate([made.prefix(w) for w in clips(1.0)], made.backbone.device)
    made.head.eval()
    assert torch.equal(made(*batch), made(*batch))
    made.train()
    made.head.eval()
    first = made(*batch)
    assert not torch.equal(first, made(*batch))
    made.eval()
    assert torch.equal(made(*batch), made(*batch))


def test_dropout_keeps_the_mean_and_drops_its_share():
    torch.manual_seed(0)
    layer, x = Dropout(0.1).train(), torch.ones(1001, 333, requires_grad=True)
    out = layer(x)
    share = float((out == 0).float().mean())
    assert abs(share - 0.1) < 4 * (0.1 * 0.9 / x.numel()) ** 0.5
    assert torch.unique(out.detach()).tolist() == pytest.approx([0, 1 / 0.9], rel=1e-4)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())
    torch.manual_seed(0)
    assert torch.equal(layer(x), out)
    assert torch.equal(layer.eval()(x), x)


@pytest.mark.parametrize("p", [0.0, 0.5, 1.0])
def test_dropout_at_its_ends_and_in_the_middle(p):
    torch.manual_seed(0)
    out = Dropout(p).train()(torch.ones(20_000))
    assert abs(float((out == 0).float().mean()) - p) < 0.02
    assert torch.isfinite(out).all()


def test_side_by_side_keeps_the_order_and_hands_errors_over():
    def work(n):
        time.sleep(0.01 * (n % 3))
        if n == 4:
            raise ValueError("four")
        return n * n

    before = torch.get_num_threads()
    done = list(side_by_side(work, range(9)))
    assert [str(x) if isinstance(x, Exception) else x for x in done] == [0, 1, 4, 9, "four", 25, 36, 49, 64]
    assert torch.get_num_threads() == before


def test_side_by_side_runs_only_a_little_ahead_and_stops_when_left():
    begun = []

    def work(n):
        begun.append(n)
        return n

    threads = threading.active_count()
    results = side_by_side(work, iter(range(10_000)))
    assert next(results) == 0
    results.close()
    assert len(begun) < 50 and threading.active_count() == threads


@pytest.mark.parametrize("key", FAMILIES)
@pytest.mark.parametrize("method", ["frozen", "adapter", "lora"])
def test_int8_changes_probabilities_little(key, method):
    card = {"audio": {"seconds": 4.0}, "precision": "float32"}
    waves = clips(1.2, 0.6, 0.9)
    exact = ClassifierPredictor(classifier(key, method), card, torch.device("cpu"), "float32").classify(waves)
    rounded = ClassifierPredictor(classifier(key, method), card, torch.device("cpu"), "int8")
    assert any(isinstance(module, Int8Linear) for module in rounded.classifier.modules())
    for a, b in zip(exact, rounded.classify(waves), strict=True):
        assert max(abs(a.probabilities[x] - b.probabilities[x]) for x in a.probabilities) < 0.02


def test_an_8_bit_layer_is_near_the_layer():
    torch.manual_seed(0)
    layer = nn.Linear(128, 96)
    layer.weight.data[3] *= 50  # a channel of its own size, which must not cost the others their precision
    x = torch.randn(2, 7, 128)
    error = (Int8Linear(layer)(x) - layer(x)).abs().amax((0, 1)) / layer(x).abs().amax((0, 1))
    assert error.max() < 0.06


def test_int8_elsewhere_than_on_a_cpu_and_unknown_names_are_refused():
    card = {"audio": {"seconds": 4.0}, "precision": "float32"}
    with pytest.raises(UserError, match=r"precision.*int4.*int8"):
        ClassifierPredictor(classifier("whisper-mini", "frozen"), card, torch.device("cpu"), "int4")


def test_one_clip_is_predicted_as_among_others():
    card = {"audio": {"seconds": 4.0}, "precision": "float32"}
    predictor = ClassifierPredictor(classifier("wav2vec2-mini", "lora"), card, torch.device("cpu"))
    waves = clips(1.2, 0.6, 0.9)
    for wave, among in zip(waves, predictor.classify(waves), strict=True):
        (alone,) = predictor.classify([wave])
        assert alone.probabilities == pytest.approx(among.probabilities, abs=1e-6)
