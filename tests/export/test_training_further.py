"""An exported folder in transformers' training: padded batches, long clips, accumulated gradients, the head alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import affetto.hf
from affetto.export.source import trained_predictor
from affetto.export.transformers_folder import export_hf
from affetto.models.dropout import Dropout
from inference.saved import saved_model
from models.systems import clips
from targets.test_losses import EVERY

WAVES = clips(0.7, 0.9, 1.9)
"""Two within the window of 1.5 s, and one that two windows cover."""
LABELS = [[1.5, 2.0], [4.5, 9.0], [3.0, 4.0]]


def exported(folder: Path, key: str, method: str, **options: Any) -> affetto.hf.AffettoForAudioClassification:
    """A model of dimensions from a folder for transformers, without dropout."""
    from transformers import AutoModelForAudioClassification

    saved = saved_model(folder / "model", key, method, target=EVERY["mse"], **options)
    export_hf(trained_predictor(saved), folder / "out")
    model = AutoModelForAudioClassification.from_pretrained(folder / "out")
    assert isinstance(model, affetto.hf.AffettoForAudioClassification)
    for module in model.modules():
        if isinstance(module, Dropout):
            module.p = 0.0
    return model


def batch() -> dict[str, Tensor]:
    from transformers import Wav2Vec2FeatureExtractor

    extractor = Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)
    inputs = extractor(WAVES, sampling_rate=16_000, return_tensors="pt", padding=True)
    return {**inputs, "labels": torch.tensor(LABELS)}


@pytest.mark.parametrize(("key", "method"), [("wav2vec2-mini", "lora"), ("whisper-mini", "adapter")])
def test_a_padded_batch_in_training_gives_what_each_window_gives_alone(key: str, method: str, tmp_path: Path) -> None:
    model = exported(tmp_path, key, method, head="statistics", pooling="weighted")
    alone = model.eval()(**batch())
    together = model.train()(**batch())
    torch.testing.assert_close(together.logits, alone.logits, atol=1e-5, rtol=1e-4)
    assert together.loss.item() == pytest.approx(alone.loss.item(), abs=1e-5)
    assert together.loss.requires_grad and not alone.loss.requires_grad


def test_the_head_alone_trains_on_demand(tmp_path: Path) -> None:
    model = exported(tmp_path, "whisper-mini", "adapter", head="statistics", pooling="weighted").train()
    model.freeze_feature_encoder()
    model.freeze_base_model()
    model(**batch()).loss.backward()
    moved = [name for name, weight in model.named_parameters() if weight.grad is not None]
    assert moved and all(".head." in name or ".pooling." in name for name in moved)


def test_gradients_that_the_trainer_accumulates_are_a_mean(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    from transformers import Trainer, TrainingArguments

    model = exported(tmp_path, "wav2vec2-mini", "lora", head="linear")
    rows = [{name: values[number] for name, values in batch().items()} for number in range(2)]
    losses = [model(**{name: values[None] for name, values in row.items()}).loss.item() for row in rows]
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "trained"),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=2,
        num_train_epochs=1,
        learning_rate=0.0,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=rows)  # type: ignore[arg-type]
    trainer.train()
    assert trainer.state.log_history[0]["loss"] == pytest.approx(sum(losses) / 2, rel=1e-3)
