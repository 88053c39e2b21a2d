"""`masked`: wav2vec 2.0's own pre-training (Baevski et al. 2020), by transformers' `Wav2Vec2ForPreTraining`.

Its loss is contrastive over masked frames plus diversity of the codebook. The latter is a property of a batch, by its
definition: it looks at the mean use of codes over all masked frames in it; padding is in neither.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from affetto.specialize.heads import carried_over, origin
from affetto.specialize.masking import draw_mask, draw_negatives
from affetto.specialize.objective import PARENTS, Item, WaveObjective


class Masked(WaveObjective):
    name, unit = "masked", "masked frames"

    def build(self) -> None:
        from transformers import Wav2Vec2ForPreTraining

        encoder = self.backbone.model
        encoder.config.apply_spec_augment = True  # else the encoder ignores the mask
        if not hasattr(encoder, "masked_spec_embed"):
            encoder.masked_spec_embed = nn.Parameter(torch.rand(encoder.config.hidden_size))
            encoder.config.mask_time_prob = self.settings.mask_share  # with 0 it would not be loaded again
        self.model = Wav2Vec2ForPreTraining(encoder.config)
        self.model.wav2vec2 = encoder
        carried = carried_over(self.model, self.parent.folder, "wav2vec2.")
        self.heads = origin(self.model, carried, "wav2vec2.")
        if self.parent.folder is not None and self.heads != PARENTS:
            self.notes.append(
                f"codebook and projections are {self.heads}: {self.parent.folder} has none that fit, as no fine-tuned "
                "checkpoint has; until the new ones are learned they pull the encoder about. A pre-trained checkpoint "
                "has them"
            )
        self.exact()

    def new_parts(self) -> list[nn.Module]:
        model = self.model
        return [model.quantizer, model.project_hid, model.project_q]

    def _choose_what_trains(self) -> None:
        super()._choose_what_trains()
        self.backbone.model.masked_spec_embed.requires_grad_(True)

    def at_step(self, step: int) -> None:
        first, last, factor = self.settings.gumbel
        self.model.set_gumbel_temperature(max(first * factor**step, last))

    def item(self, wave: np.ndarray, text: str, random: np.random.Generator) -> Item:
        prepared = self.backbone.prepare(wave)
        mask = draw_mask(random, self.frames(len(prepared)), self.settings.mask_share, self.settings.mask_span)
        return Item(
            prepared, len(wave), mask=mask, negatives=draw_negatives(random, mask, self.model.config.num_negatives)
        )

    def batch(self, items: list[Item]) -> dict[str, Tensor]:
        batch = self.waves(items)
        frames = self.frames(batch["input_values"].shape[1])
        mask = torch.zeros(len(items), frames, dtype=torch.bool)
        # The model looks them up among the frames of all clips in a row: each clip's begin at row * frames.
        negatives = torch.arange(len(items))[:, None, None] * frames
        negatives = negatives.repeat(1, frames, self.model.config.num_negatives)
        for row, item in enumerate(items):
            assert item.mask is not None and item.negatives is not None
            mask[row, : len(item.mask)] = torch.from_numpy(item.mask)
            negatives[row, : len(item.mask)] += torch.from_numpy(item.negatives)
        return batch | {"mask": mask, "negatives": negatives}

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        out = self.model(
            **self.inputs(batch), mask_time_indices=batch["mask"], sampled_negative_indices=batch["negatives"]
        )
        return out.loss, batch["mask"].sum()

    def save(self, folder: Path) -> None:
        self.save_model(self.model, folder)
