"""Checkpoints of transformers' own audio classifiers: `…ForSequenceClassification`, `WhisperForAudioClassification`.

The class is transformers' and the weights are safetensors: no code and no pickle of the folder is run. A clip is
computed alone, as transformers' own pipeline does, so that no padding beside it changes its logits: the group norm of
wav2vec 2.0 base, HuBERT base and WavLM base takes the mean over padding too, and no mask keeps it from that.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from affetto.audio import RATE_HZ
from affetto.errors import UserError
from affetto.inference.outside.model import CLASSES, DIMENSIONS, SEVERAL, UNIT, Format, OutsideModel, as_object

CONFIG, EXTRACTOR = "config.json", "preprocessor_config.json"
PROBLEMS = {"multi_label_classification": SEVERAL, "regression": DIMENSIONS}
"""Kinds of outputs by `problem_type`; all other models have classes."""
UNTRAINED = "masked_spec_embed"
"""A weight that only training uses: a checkpoint may lack it."""
FRAME_SECONDS = 0.01
"""Step of the spectrogram whose frames `max_length` of a feature extractor counts."""


def configuration(folder: Path) -> dict[str, Any]:
    """The content of `config.json`; {} where there is none."""
    try:
        return as_object(json.loads((folder / CONFIG).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return {}


def architecture(folder: Path) -> str:
    """Name of the class whose weights the folder holds; "" where its configuration has none."""
    names = configuration(folder).get("architectures")
    return str(names[0]) if isinstance(names, list) and names else ""


def is_stock(folder: Path) -> bool:
    """True for a checkpoint of one of transformers' audio classifiers that is none of affetto's exports."""
    name = architecture(folder)
    return bool(name) and "affetto_card" not in configuration(folder) and name in _stock_classes()


def open_stock(folder: Path, device: str) -> OutsideModel:
    """Load a checkpoint of a stock class. Raises UserError for one that cannot be used as it stands."""
    from transformers import AutoModelForAudioClassification

    return open_classifier(folder, device, AutoModelForAudioClassification)


def open_classifier(folder: Path, device: str, loader: Any) -> OutsideModel:
    """Load the model of a folder by `loader` (a class with `from_pretrained`), with its feature extractor."""
    from affetto.models.device import capabilities
    from affetto.models.parallel import decoding_threads
    from affetto.training import device as devices

    _check_weights(folder)
    extractor, model = _extractor(folder), _load(folder, loader)
    torch_device = devices.choose(device)
    model = model.to(torch_device).eval().requires_grad_(False)
    names = _output_names(folder, model.config)
    kind = PROBLEMS.get(model.config.problem_type or "", CLASSES)
    on_cpu = capabilities(torch_device).clips_side_by_side
    return OutsideModel(
        title=architecture(folder),
        outputs=tuple(names),
        kind=kind,
        score=_scorer(model, extractor, torch_device),
        ranges=dict.fromkeys(names, UNIT) if kind == DIMENSIONS else {},
        range_is_assumed=kind == DIMENSIONS,
        longest_seconds=_longest_seconds(extractor),
        side_by_side=on_cpu,
        decoders=0 if on_cpu else decoding_threads(),
    )


def _output_names(folder: Path, config: Any) -> list[str]:
    """Names of the outputs, in their order. Raises UserError for an output without one."""
    for number in range(config.num_labels):
        if number not in config.id2label:
            raise UserError(
                f"{folder / CONFIG}: id2label has no name of the output {number}: number the labels from 0 to "
                f"{config.num_labels - 1}, in the order of the outputs"
            )
    return [str(config.id2label[number]) for number in range(config.num_labels)]


def _stock_classes() -> set[str]:
    from transformers.models.auto.modeling_auto import MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES as NAMES

    return {str(name) for name in NAMES.values()}


def _check_weights(folder: Path) -> None:
    """Raise UserError for a folder without safetensors."""
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(pattern))
    if not pickles:
        raise UserError(f"{folder}: no weights in it (model.safetensors); copy the checkpoint again")
    raise UserError(
        f"{folder}: its weights are a pickle ({pickles[0]}), which can run code when it is loaded: convert it to "
        "model.safetensors once, by the three lines in docs/guide/4-predict.md (Models of others), or take a revision "
        "that has safetensors"
    )


def _extractor(folder: Path) -> Any:
    from transformers import AutoFeatureExtractor

    from affetto.quiet import quiet_transformers

    if not (folder / EXTRACTOR).is_file():
        raise UserError(
            f"{folder}: no {EXTRACTOR} in it, which says how the sound is prepared; copy it from the checkpoint that "
            "the model was fine-tuned from"
        )
    try:
        with quiet_transformers():
            extractor = AutoFeatureExtractor.from_pretrained(folder, trust_remote_code=False)
    except Exception as problem:  # transformers raises many kinds
        raise UserError(f"{folder / EXTRACTOR}: cannot be used ({problem}); copy the checkpoint again") from None
    rate_hz = getattr(extractor, "sampling_rate", RATE_HZ)
    if rate_hz != RATE_HZ:
        raise UserError(f"{folder}: the model takes sound of {rate_hz} Hz, and affetto hears {RATE_HZ} Hz")
    return extractor


def _load(folder: Path, loader: Any) -> Any:
    """The model in float32, every weight of it from the folder."""
    import torch
    from transformers import AutoConfig

    from affetto.inference.backends.transformers import stock_attention
    from affetto.quiet import quiet_transformers

    try:
        with quiet_transformers():
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
            model, report = loader.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                output_loading_info=True,
                attn_implementation=stock_attention(config),
            )
    except Exception as problem:  # transformers, safetensors and torch raise many kinds
        raise UserError(f"{folder}: cannot be loaded ({problem}); copy the checkpoint again") from None
    absent = sorted({*report["missing_keys"], *(key[0] for key in report["mismatched_keys"])})
    absent = [name for name in absent if not name.endswith(UNTRAINED)]
    if absent:
        unused = sorted(report["unexpected_keys"])
        beside = f"; it has {unused[0]} instead, which is none of that class" if unused else ""
        raise UserError(
            f"{folder}: {architecture(folder)} needs {absent[0]}, which the checkpoint lacks{beside}: transformers "
            "would fill it with random numbers, and every answer would be chance"
        )
    return model


def _scorer(model: Any, extractor: Any, device: Any) -> Callable[[np.ndarray], np.ndarray]:
    import torch

    @torch.no_grad()
    def score(wave: np.ndarray) -> np.ndarray:
        inputs = extractor(wave, sampling_rate=RATE_HZ, return_tensors="pt").to(device)
        logits: np.ndarray = model(**inputs).logits[0].double().cpu().numpy()
        return logits

    return score


def _longest_seconds(extractor: Any) -> float | None:
    """Longest clip that the feature extractor does not cut: Whisper's `chunk_length`, the spectrogram of AST."""
    chunk = getattr(extractor, "chunk_length", None)
    if chunk is not None:
        return float(chunk)
    frames = getattr(extractor, "max_length", None)
    return FRAME_SECONDS * frames if frames and hasattr(extractor, "num_mel_bins") else None


STOCK = Format(name="stock", title="transformers' own audio classification", matches=is_stock, open=open_stock)
