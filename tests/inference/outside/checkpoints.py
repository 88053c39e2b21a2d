"""Small random checkpoints of transformers' own audio classifiers, written by transformers itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

WAVES: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "classifier_proj_size": 12,
}
MEL: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 24,
    "vocab_size": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "max_source_positions": 100,
    "classifier_proj_size": 12,
}
STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2": ("Wav2Vec2", WAVES),
    "xlsr": ("Wav2Vec2", WAVES | STABLE),
    "hubert": ("Hubert", WAVES),
    "wavlm": ("WavLM", WAVES),
    "whisper": ("Whisper", MEL),
}
LABELS = ("ang", "hap", "neu", "zeal")


def write_checkpoint(folder: Path, family: str = "wav2vec2", labels: tuple[str, ...] = LABELS, **fields: Any) -> Path:
    """Write a checkpoint of a family's stock class with weights at random; `fields` are of its configuration."""
    name, shape = FAMILIES[family]
    config = getattr(transformers, f"{name}Config")(
        **shape,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
        **fields,
    )
    stock = "ForAudioClassification" if family == "whisper" else "ForSequenceClassification"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = getattr(transformers, name + stock)(config)
        with torch.no_grad():  # larger than transformers' own, so that clips differ
            for weight in (*model.projector.parameters(), *model.classifier.parameters()):
                weight.normal_()
    model.save_pretrained(folder)
    if family == "whisper":
        transformers.WhisperFeatureExtractor(chunk_length=2).save_pretrained(folder)
    else:
        mask = config.feat_extract_norm == "layer"
        transformers.Wav2Vec2FeatureExtractor(return_attention_mask=mask).save_pretrained(folder)
    return folder


def write_speech_head(
    folder: Path, names: tuple[str, ...] = ("arousal", "dominance", "valence"), **fields: Any
) -> tuple[Path, dict[str, torch.Tensor]]:
    """Write a checkpoint as audEERING's dimensional wav2vec 2.0, with its names of tensors and its configuration.

    Returns the weights of the head too: `dense.weight` (width, width), `out_proj.bias` (outputs,), ….
    """
    config = transformers.Wav2Vec2Config(
        **WAVES | STABLE | {"final_dropout": 0.1},
        num_labels=len(names),
        id2label=dict(enumerate(names)),
        label2id={name: number for number, name in enumerate(names)},
        **{"problem_type": "regression", "pooling_mode": "mean"} | fields,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        encoder = transformers.Wav2Vec2Model(config).eval()
        width = config.hidden_size
        head = {
            "dense.weight": torch.randn(width, width),
            "dense.bias": torch.randn(width),
            "out_proj.weight": 0.2 * torch.randn(len(names), width),
            "out_proj.bias": torch.full((len(names),), 0.5),
        }
    encoder.save_pretrained(folder)
    weights = {f"wav2vec2.{name}": weight for name, weight in load_file(folder / "model.safetensors").items()}
    weights |= {f"classifier.{name}": weight for name, weight in head.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    change_config(folder, architectures=["Wav2Vec2ForSpeechClassification"])
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    return folder, head


def change_config(folder: Path, **fields: Any) -> None:
    """Change fields of `config.json`."""
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))
