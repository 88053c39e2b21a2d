"""Classes of `speech_head.py`: an encoder of transformers, its pooled states, a dense layer, tanh, a projection."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import HubertModel, HubertPreTrainedModel, Wav2Vec2Model, Wav2Vec2PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput


class DenseHead(nn.Module):
    """Pooled states (batch, width) → outputs (batch, outputs). Names of its weights are those of the checkpoints."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, pooled: Tensor) -> Tensor:
        outputs: Tensor = self.out_proj(torch.tanh(self.dense(pooled)))
        return outputs


def pool(states: Tensor, mode: str) -> Tensor:
    """States (batch, frames, width) of unpadded clips → (batch, width)."""
    if mode == "max":
        return states.amax(1)
    return states.sum(1) if mode == "sum" else states.mean(1)


class Wav2Vec2Classifier(Wav2Vec2PreTrainedModel):
    """wav2vec 2.0 with the dense head."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.wav2vec2 = Wav2Vec2Model(config)
        self.classifier = DenseHead(config)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, input_values: Tensor, **_: Any) -> SequenceClassifierOutput:
        """Unpadded waves (batch, samples) → logits (batch, outputs)."""
        states = self.wav2vec2(input_values).last_hidden_state
        return SequenceClassifierOutput(logits=self.classifier(pool(states, _pooling(self.config))))


class HubertClassifier(HubertPreTrainedModel):
    """HuBERT with the dense head."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.hubert = HubertModel(config)
        self.classifier = DenseHead(config)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, input_values: Tensor, **_: Any) -> SequenceClassifierOutput:
        """Unpadded waves (batch, samples) → logits (batch, outputs)."""
        states = self.hubert(input_values).last_hidden_state
        return SequenceClassifierOutput(logits=self.classifier(pool(states, _pooling(self.config))))


def _pooling(config: Any) -> str:
    return str(getattr(config, "pooling_mode", "mean"))


CLASSIFIERS = {"wav2vec2": Wav2Vec2Classifier, "hubert": HubertClassifier}
"""Classes by the `model_type` of the encoder."""
