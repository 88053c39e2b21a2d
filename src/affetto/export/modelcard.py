"""Model card: training data, scores, intended use and limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from affetto._version import __version__
from affetto.backbones.catalogue import BACKBONES
from affetto.measures.intervals import title
from affetto.measures.registry import shown_measures
from affetto.measures.scores import completed


def model_card(name: str, card: Mapping[str, Any], metrics: Mapping[str, Any], base: str, repo: str) -> str:
    """Write README.md: `card` is the model's, `metrics` the run's, `base` the backbone's name for others."""
    synthetic = bool(card["synthetic"]) or bool(metrics["synthetic"])
    final = metrics.get("final") or {}
    values = {
        "front": _front(name, metrics, base, synthetic),
        "name": name,
        "repo": repo,
        "version": __version__,
        "synthetic": SYNTHETIC if synthetic else "",
        "labels": ", ".join(card["blueprint"]["labels"]),
        "base": base,
        "method": metrics["method"],
        "recipe": metrics["recipe"],
        "corpus": metrics["corpus"],
        "clips": metrics["clips"],
        "licence": card["licence"] or "not known to affetto; ask the source of the corpus",
        "split": metrics["split"],
        "checksum": metrics["split_checksum"],
        "scores": _scores(metrics),
        "classes": _classes(metrics["test"]),
        "untested": _untested(final),
        "seconds": _window(card),
        "digest": card["backbone"]["digest"],
    }
    return CARD.format(**values)


def base_name(card: Mapping[str, Any], base: str | None) -> str:
    """Choose the backbone's public name: `base`, else the hub id of its key, else the name that training used."""
    name: str = base or card["backbone"]["name"]
    if base is None and not card["backbone"]["random_weights"] and name in BACKBONES:
        return BACKBONES[name].hub_id or name
    return name


def _front(name: str, metrics: Mapping[str, Any], base: str, synthetic: bool) -> str:
    """Write the YAML that the hub reads, model-index included."""
    from huggingface_hub import EvalResult, ModelCardData

    test = completed(metrics["test"])
    results = [
        EvalResult(
            task_type="audio-classification",
            task_name="Speech emotion recognition",
            dataset_type=metrics["corpus"],
            dataset_name=metrics["corpus"] + (" (synthetic speech)" if synthetic else ""),
            dataset_split=f"{metrics['split']}, test",
            metric_type=measure.hub_type or measure.name,
            metric_name=measure.title,
            metric_value=round(test[measure.name], 4),
        )
        for measure in shown_measures()
        if measure.name in test
    ]
    tags = ["speech-emotion-recognition", "affetto", metrics["method"], *(["synthetic"] if synthetic else [])]
    return ModelCardData(
        library_name="affetto",
        pipeline_tag="audio-classification",
        tags=tags,
        model_name=name,
        eval_results=results,
        base_model=base if "/" in base and not Path(base).is_absolute() else None,
    ).to_yaml()


def _scores(metrics: Mapping[str, Any]) -> str:
    test = completed(metrics["test"])
    interval = test["interval"]
    level, over, units = round(100 * interval["level"]), interval["over"], interval["units"]
    by = title(interval.get("by"))
    probe = metrics.get("probe", {}).get("test")
    if probe:
        probe = completed(probe)
    lines = [f"| | test | {level} % interval |", "| --- | ---: | ---: |"]
    if probe:
        lines = [lines[0] + " probe |", lines[1] + " ---: |"]
    for measure in shown_measures():
        if measure.name not in test:
            continue  # needs probabilities, and the run was made before the measure
        ends = interval.get(measure.name)  # None of a run that was made before the measure
        cells = [measure.title, measure.text(test[measure.name])]
        cells.append("–".join(measure.text(end) for end in ends) if ends else "—")
        if probe:
            cells.append(measure.text(probe[measure.name]) if measure.name in probe else "—")
        lines.append(f"| {' | '.join(cells)} |")
    plain = ", ".join(measure.title for measure in shown_measures() if measure.name in test and not measure.in_per_cent)
    scale = f"Per cent ({plain}: as computed)" if plain else "Per cent"
    caption = f"\n\n{scale}, {test['n']} test clips; intervals by {by} over {units} {over}."
    if probe:
        caption += " The probe is logistic regression on the frozen backbone."
    return "\n".join(lines) + caption


def _classes(test: Mapping[str, Any]) -> str:
    lines = ["| emotion | precision | recall | F1 | clips |", "| --- | ---: | ---: | ---: | ---: |"]
    for label, row in test["per_class"].items():
        cells = " | ".join(_percent(row[name]) for name in ("precision", "recall", "f1"))
        lines.append(f"| {label} | {cells} | {row['n']} |")
    return "\n".join(lines)


def _untested(final: Mapping[str, Any]) -> str:
    if not final.get("trained"):
        return ""
    return (
        "The scores are those of the folds' models, each tested on speakers it was not trained on. This model\n"
        "was trained on all speakers and was not tested itself.\n"
    )


def _window(card: Mapping[str, Any]) -> str:
    seconds = card["audio"]["seconds"]
    return "whole clips" if seconds is None else f"the first {seconds:g} s of a clip"


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


SYNTHETIC = "\n> **Trained on synthetic speech. It is a demonstration, of no use on real recordings.**\n"
CARD = """---
{front}
---

# {name}
{synthetic}
Names the emotion in a recording of speech: {labels}. Method `{method}` on `{base}`, made with affetto {version}.

## Use

```python
import affetto

model = affetto.load("{repo}")
print(model("clip.wav").probabilities)
```

The folder holds what was trained and the head; the backbone is found by its name and checked by its weights' SHA-256
(`{digest}`); `affetto.load(…, backbone=DIR)` takes it from
a folder. It was trained on {seconds}; longer recordings are covered by windows.

## Training data

{corpus}, {clips} clips; recipe `{recipe}`. Licence of the data: {licence}.
The licence of the data may bind what is made from them.

## How well it does

Split `{split}`, by speakers, checksum `{checksum}`.

{scores}

{classes}

{untested}
## Intended use and limits

For research on speech and emotion, and for sorting recordings whose results a person looks at. The scores are of the
corpus above alone; how well it does on other languages, microphones, ages and ways of speaking was not measured, and
acted emotions are not spontaneous ones. A voice does not show what a person feels: the answer says which training
clips a recording sounds like. Do not use it to judge a person.

**European law.** Regulation (EU) 2024/1689 (AI Act), Article 5(1)(f), prohibits AI systems that infer emotions of
people at the workplace and in education institutions, but for medical or safety reasons. Elsewhere emotion recognition
from biometric data, of which a voice is one, counts as high-risk (Annex III), and people must be told that they are
exposed to it (Article 50(3)).
"""
