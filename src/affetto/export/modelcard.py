"""Model card: training data, scores, intended use and limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from affetto._version import __version__
from affetto.backbones.catalogue import BACKBONES
from affetto.export.abstention import abstention_section
from affetto.export.stress_table import stress_table
from affetto.export.terms import law_section, licence_section
from affetto.inference.notices import NOTICES
from affetto.measures.classification import MACRO_F1, UAR
from affetto.measures.intervals import title
from affetto.measures.regression import CCC
from affetto.measures.scores import completed
from affetto.models.novelty import Novelty
from affetto.targets.registry import target_of
from affetto.targets.scored import Scored
from affetto.targets.target import Target


def model_card(
    name: str,
    card: Mapping[str, Any],
    metrics: Mapping[str, Any],
    base: str,
    repo: str,
    *,
    rows: Sequence[Mapping[str, Any]],
    novelty: Novelty | None,
    stress: Mapping[str, Any] | None = None,
) -> str:
    """Write README.md: `card` is the model's, `metrics` the run's, `base` the backbone's name for others.

    `rows` are the run's test predictions, `novelty` the statistics of the training clips; None: it has none. `stress`
    is the content of the run's stress test; None: there was none.
    """
    synthetic = bool(card["synthetic"]) or bool(metrics["synthetic"])
    final = metrics.get("final") or {}
    target = target_of(card["blueprint"])
    values = {
        "front": _front(name, metrics, base, synthetic, target),
        "name": name,
        "repo": repo,
        "version": __version__,
        "synthetic": SYNTHETIC if synthetic else "",
        "predicts": _predicts(target),
        "answer": "\n".join(f'print(model("clip.wav").{field})' for field in _fields(target)),
        "base": base,
        "method": metrics["method"],
        "recipe": metrics["recipe"],
        "corpus": "; ".join(_corpora(metrics)),
        "licence": licence_section(card),
        "split": metrics["split"],
        "checksum": metrics["split_checksum"],
        "scores": _scores(metrics, target),
        "classes": "\n\n".join([*_details(target, card, metrics), *([stress_table(stress)] if stress else [])]),
        "abstention": abstention_section(rows if target.has_classes else (), novelty),
        "untested": _untested(final),
        "seconds": _window(card),
        "digest": card["backbone"]["digest"],
        "law": law_section(),
        "notices": "\n".join(f"- `{language}`: {text}" for language, text in NOTICES.items()),
    }
    return CARD.format(**values)


def base_name(card: Mapping[str, Any], base: str | None) -> str:
    """Choose the backbone's public name: `base`, else the hub id of its key, else the name that training used."""
    name: str = base or card["backbone"]["name"]
    if base is None and not card["backbone"]["random_weights"] and name in BACKBONES:
        return BACKBONES[name].hub_id or name
    return name


def _corpora(metrics: Mapping[str, Any]) -> list[str]:
    """Name the tested corpus and those that joined the training, with their clips."""
    joined = metrics.get("auxiliary", {}).items()
    return [f"{metrics['corpus']}, {metrics['clips']} clips"] + [
        f"{name}, {facts['used']} clips in training alone" for name, facts in joined
    ]


def _predicts(target: Target) -> str:
    """Describe what the model predicts."""
    parts = []
    if target.has_classes:
        parts.append(f"Names the emotion in a recording of speech: {', '.join(target.labels)}.")
    elif target.labels:
        parts.append(f"Names the emotions in a recording of speech, one or several: {', '.join(target.labels)}.")
    if target.has_dimensions:
        ranges = ", ".join(f"{name} ({ends.low:g} to {ends.high:g})" for name, ends in target.dimensions.items())
        parts.append(f"Gives numbers for a recording of speech: {ranges}.")
    return " ".join(parts)


def _fields(target: Target) -> list[str]:
    """List the fields of a prediction that hold its values."""
    fields = {"probabilities": target.labels, "dimensions": target.dimensions}
    return [name for name, values in fields.items() if values]


def _details(target: Target, card: Mapping[str, Any], metrics: Mapping[str, Any]) -> list[str]:
    """Write tables beside the scores: classes, labels with thresholds, intervals of dimensions, human raters."""
    confidence, test, tables = card.get("confidence", {}), metrics["test"], []
    if target.has_classes:
        tables.append(_classes(test))
    elif target.labels:
        tables.append(_labels(test, confidence.get("thresholds", {})))
    if target.has_dimensions and "conformal" in confidence:
        tables.append(_conformal(confidence))
    if kinds := confidence.get("sets", {}).get("measured", {}).get("kinds"):
        tables.append(_sets(confidence["sets"], kinds))
    if rows := _ceiling(target, metrics.get("human_ceiling")):
        raters = "invented rater" if metrics["synthetic"] else "rater"
        head = [f"| each {raters} against the others | score | comparisons |", "| --- | ---: | ---: |"]
        tables.append("\n".join([*head, *rows]))
    return tables


def _ceiling(target: Target, ceiling: Mapping[str, Any] | None) -> list[str]:
    """Write rows with the scores of the raters of the test clips, in what the model predicts."""
    if ceiling is None:
        return []
    labels = ceiling["labels"] if target.has_classes else None
    rows = [(measure.title, measure.text(labels[measure.name]), labels["n"]) for measure in (MACRO_F1, UAR) if labels]
    for name in target.dimensions:
        if scores := ceiling["dimensions"].get(name):
            rows.append((f"{CCC.title} of {name}", CCC.text(scores[CCC.name]), scores["n"]))
    return [f"| {' | '.join(map(str, row))} |" for row in rows]


def _labels(test: Mapping[str, Any], thresholds: Mapping[str, float]) -> str:
    lines = ["| label | F1 | average precision | threshold | clips |", "| --- | ---: | ---: | ---: | ---: |"]
    for label, row in test["per_label"].items():
        cells = [_percent(row["f1"]), _percent(row["average_precision"]), f"{thresholds.get(label, 0):g}", row["n"]]
        lines.append(f"| {label} | {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _conformal(confidence: Mapping[str, Any]) -> str:
    conformal = confidence["conformal"]
    level = f"{100 * conformal['level']:.0f} %"
    lines = [f"| dimension | {level} interval | test clips in it | speaker with the fewest |"]
    lines.append("| --- | ---: | ---: | ---: |")
    for name, row in conformal["dimensions"].items():
        least = min(row["per_speaker"].values())
        cells = f"± {row['half_width']:.3g} | {100 * row['coverage']:.0f} % | {100 * least:.0f} %"
        lines.append(f"| {name} | {cells} |")
    caption = f"Intervals were fitted on {confidence['fitted_on']}; new speakers may lie outside more often."
    return "\n".join(lines) + f"\n\n{caption}"


def _sets(sets: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    """Write a table of the sets of labels: size, and coverage of speakers that had no part in the limits."""
    measured = sets["measured"]
    interval = measured["interval"]
    lines = ["| sets | labels in a set | clips whose emotion is in it | interval | speaker with the fewest |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for name, row in kinds.items():
        low, high = (f"{100 * end:.0f}" for end in row["interval"])
        least = f"{100 * min(row['per_speaker'].values()):.0f} %" if "per_speaker" in row else "—"
        lines.append(f"| {name} | {row['size']:.1f} | {100 * row['coverage']:.0f} % | {low}–{high} % | {least} |")
    return "\n".join(lines) + (
        f"\n\nSets of labels that were to hold the emotion of {100 * measured['level']:.0f} % of the clips, by limits "
        f"from {sets['clips']} clips of {sets['fitted_on']}. The clips here are of speakers that had no part in the "
        f"limits; {100 * interval['level']:.0f} % intervals over {interval['units']} {interval['over']}. Use: `affetto "
        f"predict --coverage {measured['level']:g} --sets {next(iter(kinds))}`."
    )


def _front(name: str, metrics: Mapping[str, Any], base: str, synthetic: bool, target: Target) -> str:
    """Write the YAML that the hub reads, model-index included."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="audio-classification",
            task_name="Speech emotion recognition",
            dataset_type=metrics["corpus"],
            dataset_name=metrics["corpus"] + (" (synthetic speech)" if synthetic else ""),
            dataset_split=f"{metrics['split']}, test",
            metric_type=score.measure.hub_type or score.measure.name,
            metric_name=score.title,
            metric_value=round(score.value, 4),
        )
        for score in _scored(metrics["test"], target)
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


def _scored(test: Mapping[str, Any], target: Target) -> list[Scored]:
    """Collect the measures; those that an earlier version did not write follow from the confusion matrix."""
    return target.scored(completed(test) if target.has_classes else test)


def _scores(metrics: Mapping[str, Any], target: Target) -> str:
    test, interval = metrics["test"], metrics["test"]["interval"]
    level, over, units = round(100 * interval["level"]), interval["over"], interval["units"]
    by = title(interval.get("by"))
    probe = metrics.get("probe", {}).get("test")
    of_probe = {score.name: score for score in _scored(probe, target)} if probe else {}
    lines = [f"| | test | {level} % interval |", "| --- | ---: | ---: |"]
    if probe:
        lines = [lines[0] + " probe |", lines[1] + " ---: |"]
    scores = _scored(test, target)
    for score in scores:
        # A run that was made before a measure has no interval of it.
        ends = score.interval
        cells = [score.title, score.measure.text(score.value)]
        cells.append("–".join(score.measure.text(end) for end in ends) if ends else "—")
        if probe:
            baseline = of_probe.get(score.name)
            cells.append("—" if baseline is None else score.measure.text(baseline.value))
        lines.append(f"| {' | '.join(cells)} |")
    plain = ", ".join(dict.fromkeys(score.measure.title for score in scores if not score.measure.in_per_cent))
    scale = f"Per cent ({plain}: as computed)" if plain else "Per cent"
    if not any(score.measure.in_per_cent for score in scores):
        scale = "As computed"
    caption = f"\n\n{scale}, {test['n']} test clips; intervals by {by} over {units} {over}."
    if probe:
        caption += f" The probe is {target.probe_title} on the frozen backbone."
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
{predicts} Method `{method}` on `{base}`, made with affetto {version}.

## Use

```python
import affetto

model = affetto.load("{repo}")
{answer}
```

The folder holds what was trained and the head; the backbone is found by its name and checked by its weights' SHA-256
(`{digest}`); `affetto.load(…, backbone=DIR)` takes it from
a folder. It was trained on {seconds}; longer recordings are covered by windows.

## Training data

{corpus}; recipe `{recipe}`. The licence of the data may bind what is made from them.

{licence}

## How well it does

Split `{split}`, by speakers, checksum `{checksum}`.

{scores}

{classes}

{untested}
## When it should not answer

{abstention}

## Intended use and limits

For research on speech and emotion, and for sorting recordings whose results a person looks at. The scores are of the
corpus above alone; how well it does on other languages, microphones, ages and ways of speaking was not measured, and
acted emotions are not spontaneous ones. A voice does not show what a person feels: the answer says which training
clips a recording sounds like. Do not use it to judge a person.

{law}

Notice for the people exposed, to be completed with the name of the operator:

{notices}
"""
