"""`ctc`: speech to characters by connectionist temporal classification (Graves et al. 2006), for every encoder family.

wav2vec 2.0, HuBERT and WavLM by transformers' `…ForCTC` and its loss; Whisper's encoder under a linear layer of
affetto and PyTorch's CTC loss; the layer is saved beside an ordinary Whisper checkpoint.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from affetto.specialize.heads import SpeechEncoderCTC, carried_over, origin
from affetto.specialize.objective import PARENTS, Item, Objective, WaveObjective, padded_labels
from affetto.specialize.parents import Parent, same_vocabulary
from affetto.specialize.text import END, PAD, START
from affetto.specialize.whisper import save_encoder

MASKED_FRAME = "masked_spec_embed"
"""Parameter in place of a masked frame: it gets no gradient if no frame is masked."""
HEAD_FILE = "ctc_head.safetensors"
"""The linear layer over Whisper's encoder, beside the checkpoint that transformers reads."""


class CTC(WaveObjective):
    name, unit = "ctc", "characters"

    def build(self) -> None:
        assert self.vocabulary is not None
        encoder, numbers = self.backbone.model, self.vocabulary.numbers
        config = encoder.config
        config.vocab_size, config.pad_token_id = len(numbers), numbers[PAD]
        config.bos_token_id, config.eos_token_id = numbers[START], numbers[END]
        # One long sentence would outweigh many short ones, or none: a sum, divided by all characters of a step.
        config.ctc_loss_reduction, config.ctc_zero_infinity = "sum", True
        augment = self.settings.spec_augment
        config.apply_spec_augment = self.parent.config_values["apply_spec_augment"] if augment is None else augment
        family = self.backbone.record
        assert family.stock_ctc_class is not None
        self.model = family.stock_ctc_class(config)
        setattr(self.model, family.stock_encoder, encoder)
        folder = self.parent.folder if same_vocabulary(self.parent.folder, numbers) else None
        carried = carried_over(self.model, folder, f"{family.stock_encoder}.")
        self.heads = origin(self.model, carried, f"{family.stock_encoder}.")
        self.notes += _note_on(self.heads, self.parent)
        self.exact()

    def trainable(self) -> dict[str, nn.Parameter]:
        config = self.backbone.model.config
        masks = config.apply_spec_augment and config.mask_time_prob > 0
        return {name: p for name, p in super().trainable().items() if masks or not name.endswith(MASKED_FRAME)}

    def new_parts(self) -> list[nn.Module]:
        return [self.model.lm_head]

    def fits(self, samples: int, text: str) -> bool:
        return self.frames(samples) >= frames_needed(text)

    def item(self, wave: np.ndarray, text: str, random: np.random.Generator) -> Item:
        assert self.vocabulary is not None
        return Item(self.backbone.prepare(wave), len(wave), tuple(self.vocabulary.encode(text)))

    def batch(self, items: list[Item]) -> dict[str, Tensor]:
        return self.waves(items) | {"labels": padded_labels(items)}

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        out = self.model(**self.inputs(batch), labels=batch["labels"])
        return out.loss, (batch["labels"] >= 0).sum()

    def transcribe(self, batch: dict[str, Tensor]) -> list[str]:
        assert self.vocabulary is not None
        best = self.model(**self.inputs(batch)).logits.argmax(-1).tolist()
        lengths = [self.frames(n) for n in batch["samples"].tolist()]
        return [self.vocabulary.decode_ctc(row[:n]) for row, n in zip(best, lengths, strict=True)]

    def save(self, folder: Path) -> None:
        assert self.vocabulary is not None
        self.model.config.ctc_loss_reduction = "mean"
        self.save_model(self.model, folder)
        self.vocabulary.save_ctc(folder)


class WhisperCTC(Objective):
    name, unit = "ctc", "characters"

    def build(self) -> None:
        assert self.vocabulary is not None
        self.model = SpeechEncoderCTC(self.backbone, len(self.vocabulary.tokens))
        self.notes += _note_on(self.heads, self.parent)

    def new_parts(self) -> list[nn.Module]:
        return [self.model.lm_head]

    def checkpointed(self) -> list[Any]:
        return [self.backbone.model]

    def fits(self, samples: int, text: str) -> bool:
        return -(-samples // 320) >= frames_needed(text)

    def item(self, wave: np.ndarray, text: str, random: np.random.Generator) -> Item:
        assert self.vocabulary is not None
        return Item(self.backbone.prepare(wave), len(wave), tuple(self.vocabulary.encode(text)))

    def batch(self, items: list[Item]) -> dict[str, Tensor]:
        frames = torch.tensor([item.input.shape[-1] // 2 for item in items])
        mels = torch.zeros(len(items), items[0].input.shape[0], 2 * int(frames.max()))
        for row, item in enumerate(items):
            mels[row, :, : item.input.shape[-1]] = item.input
        return {"mels": mels, "frames": frames, "labels": padded_labels(items)}

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        scores = self.model(batch["mels"], batch["frames"].cpu())
        labelled = batch["labels"] >= 0
        log_probabilities = scores.float().log_softmax(-1).transpose(0, 1)
        with torch.backends.cudnn.flags(enabled=False):
            loss = nn.functional.ctc_loss(
                log_probabilities,
                batch["labels"][labelled],
                batch["frames"],
                labelled.sum(-1),
                blank=0,
                reduction="sum",
                zero_infinity=True,
            )
        return loss, labelled.sum()

    def transcribe(self, batch: dict[str, Tensor]) -> list[str]:
        assert self.vocabulary is not None
        best = self.model(batch["mels"], batch["frames"].cpu()).argmax(-1).tolist()
        return [self.vocabulary.decode_ctc(row[:n]) for row, n in zip(best, batch["frames"].tolist(), strict=True)]

    def save(self, folder: Path) -> None:
        assert self.vocabulary is not None
        save_encoder(self, folder)
        head = {name: t.detach().cpu().contiguous() for name, t in self.model.lm_head.state_dict().items()}
        save_file(head, folder / HEAD_FILE, {"tokens": "".join(f"{token}\n" for token in self.vocabulary.tokens)})


def _note_on(heads: str, parent: Parent) -> list[str]:
    if parent.folder is None or heads == PARENTS:
        return []
    return [f"the layer over characters is {heads}: {parent.folder} has none for this vocabulary"]


def frames_needed(text: str) -> int:
    """Number of frames that CTC needs: one per character, and one for a blank between two equal characters."""
    return len(text) + sum(a == b for a, b in pairwise(text))
