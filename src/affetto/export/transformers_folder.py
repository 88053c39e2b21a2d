"""A folder that transformers' pipeline runs: by affetto's registered class, or by a stock class where that can be.

Both hold all weights, the backbone's included, and the temperature; both are loaded again and compared with the
trained model before the folder appears.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from affetto.audio import RATE_HZ
from affetto.errors import UserError
from affetto.export import parity, stock
from affetto.export.folder import new_folder
from affetto.export.source import without_paths
from affetto.export.terms import law_section, licence_section
from affetto.inference.predictor import HOP, Predictor
from affetto.models.methods.registry import METHODS
from affetto.quiet import quiet_transformers
from affetto.targets.target import Target

if TYPE_CHECKING:
    from affetto.inference.backends.trained import ClassifierPredictor

TOLERANCE = 1e-4
"""Largest difference from the trained model's values before the export is refused; see `parity.Parity`."""


def export_hf(
    predictor: Predictor, out: Path, *, stock_class: bool = False, say: Callable[[str], None] = lambda _: None
) -> parity.Parity:
    """Write the folder `out`. `predictor` is one of affetto's own models, on the CPU in float32.

    `stock_class`: transformers' own class, which needs no affetto. Raises UserError where no stock class can be this
    model, and if the folder gives other answers than the model.
    """
    from affetto.inference.backends.trained import ClassifierPredictor

    assert isinstance(predictor, ClassifierPredictor)
    classifier, card = predictor.classifier, predictor.card
    if classifier.backbone.layer_norm_swap != "none":
        raise UserError("model.layer_norm_swap is an ablation: export it with --to onnx")
    if stock_class:
        reason = stock.obstacle(classifier, card["blueprint"])
        if reason is not None:
            raise UserError(
                f"no stock class of transformers' can be this model: {reason}. Leave --stock out: the folder then runs "
                "after `import affetto.hf`"
            )
    waves = _clips(predictor, stock_class)
    reference = {id(wave): predictor.calibrated(predictor.window_probabilities([wave])[0]) for wave in waves}
    with new_folder(out) as folder, quiet_transformers():
        say("writing the model")
        if stock_class:
            model, extractor = stock.build(
                classifier, without_paths(card), predictor.window_seconds, predictor.temperature
            )
        else:
            model, extractor = _affetto_model(predictor)
        model.save_pretrained(folder)
        extractor.save_pretrained(folder)
        (folder / "README.md").write_text(_readme(predictor, stock_class, out.name), encoding="utf-8")
        result = parity.compare(lambda wave: reference[id(wave)], _reloaded(folder), waves, predictor.target)
        parity.refuse(result, TOLERANCE, "the folder for transformers")
    return result


def _clips(predictor: ClassifierPredictor, stock_class: bool) -> list[np.ndarray]:
    """Waves to compare on; some stock classes (Whisper's) take one length only."""
    waves = parity.clips(predictor.window_seconds)
    seconds = stock.clip_seconds(predictor.classifier.backbone, predictor.window_seconds) if stock_class else None
    if seconds is not None:
        waves = [np.resize(wave, seconds * RATE_HZ) for wave in waves]
    return waves


def _affetto_model(predictor: Any) -> tuple[Any, Any]:
    """Make affetto's registered class: the merged classifier, and an extractor that leaves the wave as it is."""
    from transformers import Wav2Vec2FeatureExtractor

    from affetto.inference.backends.transformers_model import AffettoConfig, AffettoForAudioClassification

    classifier, card = predictor.classifier, predictor.card
    backbone, blueprint = classifier.backbone, copy.deepcopy(card["blueprint"])
    blueprint["method"] = METHODS.find(blueprint["method"]["name"]).plan_after_merge(blueprint["method"])
    window = round(predictor.window_seconds * RATE_HZ)
    config = AffettoConfig(
        classifier=blueprint,
        backbone={
            "family": backbone.family,
            "config": backbone.model.config.to_diff_dict(),
            "preprocessing": backbone.preprocessing,
        },
        window_samples=window,
        hop_samples=max(1, round(HOP * window)),
        confidence_temperature=predictor.temperature,
        affetto_card=without_paths(card),
        id2label=dict(enumerate(predictor.target.output_names)),
        label2id={name: number for number, name in enumerate(predictor.target.output_names)},
        **({} if predictor.target.problem_type is None else {"problem_type": predictor.target.problem_type}),
    )
    model: Any = AffettoForAudioClassification(config)
    model.eval()
    model.classifier.load_state_dict(classifier.state_dict())
    return model, Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)


def _reloaded(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Load the folder as a user's transformers would, as a function from wave to what its pipeline gives."""
    from transformers import AutoFeatureExtractor, AutoModelForAudioClassification

    import affetto.inference.backends.transformers_model  # noqa: F401  # registers what a folder of ours names

    model = AutoModelForAudioClassification.from_pretrained(folder).eval()
    extractor = AutoFeatureExtractor.from_pretrained(folder)

    finish: Callable[[torch.Tensor], torch.Tensor] = {
        "regression": lambda logits: logits,
        "multi_label_classification": torch.sigmoid,
    }.get(model.config.problem_type, lambda logits: torch.softmax(logits, 1))

    @torch.no_grad()
    def values(wave: np.ndarray) -> np.ndarray:
        inputs = extractor(wave, sampling_rate=RATE_HZ, return_tensors="pt")
        return finish(model(**inputs).logits.double())[0].numpy()

    return values


def _readme(predictor: Any, stock_class: bool, name: str) -> str:
    classifier, card = predictor.classifier, predictor.card
    pre_norm = classifier.backbone.final_norm() is not None
    lengths = f"A clip longer than {predictor.window_seconds:g} s is covered by windows, as `affetto predict` does it."
    if stock_class:
        lengths = "transformers takes a clip whole; affetto would cover one longer than "
        lengths += f"{predictor.window_seconds:g} s by windows."
        seconds = stock.clip_seconds(classifier.backbone, predictor.window_seconds)
        if seconds is not None:
            lengths = (
                f"The stock {classifier.backbone.record.title} takes {seconds} s: on such a clip it gives affetto's "
                "answers; a shorter one is padded with silence, over which it averages too, and a longer one is cut."
            )
    synthetic = "\n**Trained on synthetic speech: of no use on real recordings.**\n" if card["synthetic"] else ""
    return README.format(
        name=name,
        synthetic=synthetic,
        lengths=lengths,
        labels=_predicted(predictor.target, card.get("confidence", {})),
        temperature_note=TEMPERATURE.format(predictor.temperature) if predictor.target.has_classes else "",
        state=stock.trained_on(classifier.pooling, pre_norm),
        needs="transformers alone" if stock_class else "transformers and affetto",
        rate_hz=RATE_HZ,
        licences=licence_section(card),
        law=law_section(),
        register="" if stock_class else "import affetto.hf\n",
    )


def _predicted(target: Target, confidence: Mapping[str, Any]) -> str:
    """Lines on what the pipeline's labels and scores are, and on how far to trust them."""
    lines = [f"Labels: {', '.join(target.labels)}."] if target.labels else []
    if target.labels and not target.has_classes:
        lines.append("Each label has a probability by itself.")
    if "thresholds" in confidence:
        thresholds = ", ".join(f"{label} {limit:g}" for label, limit in confidence["thresholds"].items())
        lines.append(f"affetto names the labels that reach their thresholds: {thresholds}.")
    if target.has_dimensions:
        ranges = ", ".join(f"{name} ({ends.low:g} to {ends.high:g})" for name, ends in target.dimensions.items())
        lines.append(f"Dimensions: {ranges}. The pipeline gives each as a label, whose score is the value.")
    conformal = confidence.get("conformal", {})
    if conformal.get("dimensions"):
        widths = ", ".join(f"{name} ± {row['half_width']:.3g}" for name, row in conformal["dimensions"].items())
        lines.append(
            f"{100 * conformal['level']:.0f} % of the validation clips lie within {widths} of the score; of new "
            "speakers' clips it may be fewer."
        )
    return "\n".join(lines)


TEMPERATURE = "The probabilities of the labels are calibrated by the temperature {:g}.\n"
README = """# {name}

A model of emotion in speech, exported by affetto. It needs {needs}.
{synthetic}
```python
import soundfile
{register}from transformers import pipeline

classify = pipeline("audio-classification", model="{name}", top_k=None)
samples, rate_hz = soundfile.read("clip.wav", dtype="float32")  # mono, {rate_hz} Hz
print(classify({{"raw": samples, "sampling_rate": rate_hz}}))
```

{labels}

The head was trained on {state}.
{lengths}
{temperature_note}
## Training data

{licences}

{law}
"""
