"""Predictor of a folder that was exported for transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affetto.audio import RATE_HZ
from affetto.errors import UserError
from affetto.inference.backends.trained import ClassifierPredictor
from affetto.inference.predictor import Predictor
from affetto.models.card import checked
from affetto.models.device import capabilities
from affetto.models.parallel import decoding_threads
from affetto.quiet import quiet_transformers
from affetto.training import device as devices


class StockPredictor(Predictor):
    """transformers' own class and feature extractor, in affetto's windows."""

    def __init__(self, model: Any, extractor: Any, device: torch.device, long_clips: str) -> None:
        longest = getattr(extractor, "chunk_length", None)  # Whisper's, in seconds
        labels = [model.config.id2label[number] for number in range(model.config.num_labels)]
        super().__init__(labels, model.config.affetto_card, longest_seconds=longest, long_clips=long_clips)
        self.model, self.extractor, self.device, self.precision = model.to(device), extractor, device, "float32"
        self.within = self.temperature
        if not capabilities(device).clips_side_by_side:
            self.decoders = decoding_threads()

    @torch.no_grad()
    def window_probabilities(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        rows = []
        for wave in waves:
            inputs = self.extractor(wave, sampling_rate=RATE_HZ, return_tensors="pt").to(self.device)
            # The temperature is within the model's last layer; the predictor brings it in after the windows' mean.
            logits = self.model(**inputs).logits.double() * self.within
            rows.append(self.target.activate(logits)[0].cpu().numpy())
        return np.stack(rows)


def load_exported(folder: Path, *, device: str, precision: str, long_clips: str) -> Predictor:
    """Load a folder made by `affetto export --to hf`; see `loading.load`."""
    from transformers import AutoConfig, AutoFeatureExtractor, AutoModelForAudioClassification

    from affetto.inference.backends.transformers_model import AffettoForAudioClassification

    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            model = AutoModelForAudioClassification.from_pretrained(
                folder, config=config, trust_remote_code=False, attn_implementation=stock_attention(config)
            ).eval()
        if isinstance(model, AffettoForAudioClassification):
            card = checked(model.config.affetto_card, str(folder))
            whole = ClassifierPredictor(model.classifier, card, devices.choose(device), precision, long_clips)
            whole.files = _files(folder)
            return whole
        extractor = AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=False)
    except UserError:
        raise
    except Exception as problem:  # transformers, safetensors and torch raise many kinds
        raise UserError(f"{folder}: cannot be loaded ({problem}); export the model again") from None
    if precision not in ("auto", "float32"):
        raise UserError(f"{folder} holds transformers' own class, which computes in float32: leave --precision out")
    checked(model.config.affetto_card, str(folder))
    predictor = StockPredictor(model, extractor, devices.choose(device), long_clips)
    predictor.files = _files(folder)
    return predictor


def _files(folder: Path) -> tuple[Path, ...]:
    """Files of an export that decide its answers."""
    return tuple(sorted(file for pattern in ("*.safetensors", "*.json") for file in folder.glob(pattern)))


def stock_attention(config: Any) -> str:
    """transformers' own code for attention: a folder may name a repository of compiled code, and is not obeyed."""
    from transformers import AutoModelForAudioClassification

    model: Any = AutoModelForAudioClassification._model_mapping[type(config)]
    return "sdpa" if model._supports_sdpa else "eager"
