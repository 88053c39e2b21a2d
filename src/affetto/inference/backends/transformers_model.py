"""Any affetto classifier as a transformers model: every head and method, one folder, no code from the folder.

    waves (batch, samples), zero-padded, with an attention mask  →  logits (batch, outputs)

The stock feature extractor hands on the wave as it is; the model takes each clip by itself, unpadded, and covers one
that is longer than its window as `affetto predict` does. The softmax of the logits is what `affetto predict` says:
the temperature is in them, and of several windows they are the logarithm of the mean probability. Of a target of
several labels it is the sigmoid (`problem_type` multi_label_classification); of one with dimensions (regression) the
logits are the values: probabilities of its labels, if it has any, and the dimensions on the scale of the corpus.

With `labels` there is the target's loss too, so that the model can be trained further: all of it but the front end, as
by full fine-tuning.

On import the classes are registered with transformers' Auto classes; `affetto.hf` is the public name for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForAudioClassification,
    PretrainedConfig,
    PreTrainedModel,
    Wav2Vec2FeatureExtractor,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from affetto.backbones.checkpoints import from_config
from affetto.inference.windows import cover
from affetto.models.methods.base import EMBEDDING, NOTHING
from affetto.models.prefix import collate
from affetto.models.saved import assemble
from affetto.targets.target import PLAIN_LOSS

MODEL_TYPE = "affetto"


class AffettoConfig(PretrainedConfig):
    """Configuration in `config.json`: `classifier` is the blueprint of the merged model, `backbone` its family,
    transformers' configuration and the preprocessing; window and hop are in samples of 16 kHz."""

    model_type = MODEL_TYPE

    def __init__(
        self,
        classifier: dict[str, Any] | None = None,
        backbone: dict[str, Any] | None = None,
        window_samples: int = 64_000,
        hop_samples: int = 32_000,
        confidence_temperature: float = 1.0,
        affetto_card: dict[str, Any] | None = None,
        **fields: Any,
    ) -> None:
        self.classifier, self.backbone = classifier or {}, backbone or {}
        self.window_samples, self.hop_samples = window_samples, hop_samples
        # transformers takes a plain `temperature` for one of generating text.
        self.confidence_temperature = confidence_temperature
        self.affetto_card = affetto_card or {}
        super().__init__(**fields)


class AffettoForAudioClassification(PreTrainedModel):
    """Made by `affetto export MODEL --to hf`, loaded by transformers after `import affetto.hf`."""

    config_class = AffettoConfig
    base_model_prefix = "classifier"
    main_input_name = "input_values"
    accepts_loss_kwargs = False
    """The loss is a mean over the batch; transformers' Trainer divides it where it accumulates gradients."""

    def __init__(self, config: AffettoConfig) -> None:
        super().__init__(config)
        backbone = from_config(**config.backbone)
        self.classifier = assemble(backbone, config.classifier).merge(whole_clips=True)
        self.post_init()  # type: ignore[no-untyped-call]
        self._choose_trainable()
        self.train(False)

    def _init_weights(self, module: Any) -> None:
        """Nothing starts at random: a weight that the folder lacks is an error, see `from_pretrained`."""

    @classmethod
    def from_pretrained(cls, *arguments: Any, output_loading_info: bool = False, **options: Any) -> Any:
        """As transformers' own; raises OSError where the folder lacks a weight, which it would leave as it was made."""
        loaded: Any = super().from_pretrained(*arguments, output_loading_info=True, **options)
        model, report = loaded
        absent = sorted({*report["missing_keys"], *(key[0] for key in report["mismatched_keys"])})
        if absent:
            raise OSError(f"{arguments[0] if arguments else 'the folder'} lacks {absent[0]}; export the model again")
        # Loaded parameters are new ones, all of which would train.
        model._choose_trainable()
        return (model, report) if output_loading_info else model

    def _choose_trainable(self) -> None:
        """Let train what lies above the front end and below the pooled state."""
        classifier = self.classifier.requires_grad_(False)
        for module in (*self._encoder_modules(), classifier.pooling, classifier.head):
            module.requires_grad_(True)

    def _encoder_modules(self) -> list[torch.nn.Module]:
        """Modules above the front end and below pooling."""
        classifier = self.classifier
        backbone, last, norm = classifier.backbone, classifier.pooling.last, classifier.backbone.final_norm()
        modules = [*backbone.embedding_modules(), *backbone.blocks[:last], classifier.method]
        return modules if norm is None or last < backbone.depth else [*modules, norm]

    def freeze_feature_encoder(self) -> None:
        """Do nothing: the front end never trains. Scripts for transformers' own classes call this."""

    def freeze_base_model(self) -> None:
        """Exclude the encoder from training, with what a method added to it: pooling and head remain."""
        for module in self._encoder_modules():
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        # Training starts at the front end. Without it the cut lies above all blocks: each clip runs alone.
        self.classifier.method.lowest_block = EMBEDDING if mode else NOTHING
        return super().train(mode)

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput:
        """Compute the logits of clips, with gradient in training mode, and their loss where `labels` are given.

        `input_values` (batch, samples), 16 kHz; `attention_mask` (batch, samples), 1 where the clip is. `labels` are
        those that `Target.encode_labels` takes. The loss is of calibrated outputs, the mean over a clip's windows.
        """
        with torch.set_grad_enabled(self.training and torch.is_grad_enabled()):
            windows = []
            for number, row in enumerate(input_values):
                length = len(row) if attention_mask is None else int(attention_mask[number].sum())
                wave = row[:length].float().cpu().numpy()
                windows.append(list(cover([wave], self.config.window_samples, self.config.hop_samples)))
            clips = self._outputs(windows)
            loss = None if labels is None else self._loss(torch.stack([windows.mean(0) for windows in clips]), labels)
            return SequenceClassifierOutput(loss=loss, logits=torch.stack([self._logits(clip) for clip in clips]))

    def _loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """The target's loss of outputs (batch, outputs), a scalar; each clip counts the same."""
        target, count = self.classifier.target, len(self.classifier.labels)
        if target.has_classes:
            scaled = outputs[:, :count] / self.config.confidence_temperature
            outputs = torch.cat([scaled, outputs[:, count:]], dim=1)
        shape = (len(outputs), *target.label_shape)
        if labels.shape != shape:
            raise ValueError(f"labels have the shape {tuple(labels.shape)}; this model's have {shape}")
        labels = labels.to(outputs.device, outputs.dtype if target.label_shape else torch.int64)
        truth = target.encode_labels(labels)
        loss = target.loss(truth.cpu(), PLAIN_LOSS).to(outputs.device)
        return loss.of_batch(outputs, truth, torch.full((len(outputs),), 1 / len(outputs), device=outputs.device))

    def _outputs(self, clips: list[list[np.ndarray]]) -> Sequence[Tensor]:
        """Windows (samples,) of each clip → their outputs (windows, outputs).

        In training all are one padded batch, as in affetto's own; otherwise each runs alone.
        """
        prefixes = [self.classifier.prefix(window) for windows in clips for window in windows]
        batches = [prefixes] if self.training else [[prefix] for prefix in prefixes]
        rows = torch.cat([self.classifier(*collate(batch, self.device)) for batch in batches])
        return rows.split([len(windows) for windows in clips])

    def _logits(self, logits: Tensor) -> Tensor:
        """Outputs of a clip's windows (windows, outputs) → logits (outputs,), calibrated."""
        target, temperature = self.classifier.target, self.config.confidence_temperature
        if len(logits) == 1 and not target.has_dimensions:
            return logits[0] / temperature
        mean = target.activate(logits.double()).mean(0)
        count = len(target.labels)
        if not target.has_classes:
            return (mean if target.has_dimensions else torch.logit(mean)).to(logits.dtype)
        of_labels = mean[:count].log() / temperature
        if target.has_dimensions:
            of_labels = torch.cat([torch.softmax(of_labels, 0), mean[count:]])
        return of_labels.to(logits.dtype)


AutoConfig.register(MODEL_TYPE, AffettoConfig, exist_ok=True)
AutoModelForAudioClassification.register(AffettoConfig, AffettoForAudioClassification, exist_ok=True)
AutoFeatureExtractor.register(AffettoConfig, Wav2Vec2FeatureExtractor, exist_ok=True)
