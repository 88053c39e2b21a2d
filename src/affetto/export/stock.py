"""A folder for transformers' own classes: `…ForSequenceClassification`, and `WhisperForAudioClassification`.

Nothing but transformers is needed to run it. A stock class projects the hidden states frame by frame, averages over
time and classifies: that is `model.head=linear`. Its hidden states are the last one (`last_hidden_state`, after the
final LayerNorm where there is one), or a softmax-weighted sum of all L+1, in which transformers 5 has the last state
of a pre-LayerNorm encoder before that LayerNorm: there affetto's sum is another one, and is refused.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn

from affetto.backbones.backbone import Backbone
from affetto.models.classifier import Classifier
from affetto.models.head_layers import FrameHead
from affetto.models.heads.registry import HEADS
from affetto.models.methods.registry import METHODS
from affetto.models.pooling import StatePooling

NOTHING = -1e4
"""Logit whose weight in a softmax is exactly zero."""


def obstacle(classifier: Classifier, blueprint: dict[str, Any]) -> str | None:
    """Find the reason why the family's stock class cannot be this classifier; None if it can."""
    pooling, head, backbone = classifier.pooling, blueprint["head"], classifier.backbone
    if classifier.target.has_dimensions:
        return "it does not keep dimensions within their ranges"
    if backbone.record.stock is None:
        return f"transformers has no audio classifier of the family {backbone.family}"
    if not HEADS.find(head["name"]).is_stock:
        stock = ", ".join(name for name, record in HEADS.items() if record.is_stock)
        return f"the head {head['name']!r} has another shape (the stock one is model.head={stock})"
    if head["unmasked_mean"]:
        return "the head averages over padding (model.unmasked_mean)"
    method = METHODS.find(blueprint["method"]["name"])
    if not method.mergeable:
        return f"what {method.title} adds to the blocks is no part of it"
    if pooling.state_norm != "none":
        return "it does not normalise states (model.state_norm)"
    if backbone.layer_norm_swap != "none":
        return "model.layer_norm_swap computes what no stock class computes"
    if getattr(backbone.model.config, "do_stable_layer_norm", False) and not last_only(pooling) and takes_last(pooling):
        return (
            f"model.pooling={pooling.kind} takes the last state after the final LayerNorm, and the sum of states of a "
            "pre-LayerNorm encoder in transformers 5 has it before"
        )
    return None


def last_only(pooling: StatePooling) -> bool:
    """True if the head takes the last state and no other."""
    return pooling.kind == "layer" and pooling.last == pooling.depth


def takes_last(pooling: StatePooling) -> bool:
    return pooling.weights is not None or pooling.fixed()[-1] > 0


def build(
    classifier: Classifier, card: dict[str, Any], window_seconds: float | None, temperature: float
) -> tuple[Any, Any]:
    """The stock model and feature extractor of a merged classifier; the temperature is in the last layer's weights."""
    backbone, family = classifier.backbone, classifier.backbone.record
    config = copy.deepcopy(backbone.model.config)
    config.id2label = dict(enumerate(classifier.labels))
    config.label2id = {label: number for number, label in enumerate(classifier.labels)}
    config.affetto_card = card
    if classifier.target.problem_type is not None:
        config.problem_type = classifier.target.problem_type
    config.use_weighted_layer_sum = not last_only(classifier.pooling)
    head: Any = classifier.head
    assert isinstance(head, FrameHead)
    config.classifier_proj_size = head.per_frame.out_features
    seconds = clip_seconds(backbone, window_seconds)
    if seconds is not None:
        config.update(family.window_config(seconds))
    extractor = family.feature_extractor(
        backbone.preprocessing,
        # As published checkpoints have it: front ends with group norm were trained without a mask.
        attention_mask=getattr(config, "feat_extract_norm", "") == "layer",
        seconds=seconds,
    )
    assert family.stock_class is not None  # see `obstacle`
    model = family.stock_class(config).eval()
    encoder = model.get_submodule(family.stock_encoder)
    encoder.load_state_dict(family.shorten(backbone.model.state_dict(), config))
    _fill(model, classifier.pooling, head, temperature)
    return model, extractor


def clip_seconds(backbone: Backbone, window_seconds: float | None) -> int | None:
    """Only length of the clips that the stock class takes: whole seconds that hold the window. None: any length."""
    if backbone.record.window_seconds is None:
        return None
    return math.ceil(min(s for s in (window_seconds, backbone.longest_seconds) if s is not None))


@torch.no_grad()
def _fill(model: Any, pooling: StatePooling, head: Any, temperature: float) -> None:
    classify: nn.Linear = head.per_clip
    model.projector.load_state_dict(head.per_frame.state_dict())
    model.classifier.weight.copy_(classify.weight / temperature)
    model.classifier.bias.copy_(classify.bias / temperature)
    if model.config.use_weighted_layer_sum:
        model.layer_weights.copy_(_layer_weights(pooling))


def _layer_weights(pooling: StatePooling) -> Tensor:
    """(L+1,) whose softmax is the pooling's weights."""
    if pooling.weights is not None:
        return pooling.weights
    return torch.tensor([math.log(weight) if weight else NOTHING for weight in pooling.fixed()])


def trained_on(pooling: StatePooling, pre_norm: bool) -> str:
    """Describe the state or states that the head was trained on."""
    last = "transformers' last_hidden_state" + (", after the final LayerNorm" if pre_norm else "")
    if last_only(pooling):
        return f"state {pooling.depth}, the last ({last})"
    if pooling.kind == "layer":
        return f"state {pooling.last} of 0 … {pooling.depth} (what enters block {pooling.last}, counted from 0)"
    kinds = {
        "mean": "the plain mean",
        "without_embedding": "the plain mean but for state 0",
        "weighted": "a learned sum",
    }
    return f"{kinds[pooling.kind]} of the states 0 … {pooling.depth}, the last of which is {last}"
