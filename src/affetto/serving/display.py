"""Answer of a model as the page shows it: HTML of one recording, for every target."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from affetto import audio
from affetto.inference.decision import NO_SPEECH, NOVEL
from affetto.inference.predictor import Prediction, Predictor
from affetto.models.licences import forbidding, read_licences, unclear
from affetto.serving import bars, drawing
from affetto.serving.cautions import COVERAGE, LEAST_SPEECH_SECONDS
from affetto.serving.curves import curves
from affetto.serving.plane import plane
from affetto.serving.texts import Texts
from affetto.targets.plane import PLANE, spans_plane

if TYPE_CHECKING:
    from affetto.inference.timeline import Segment

STYLE = """
.affetto-note {padding: .6em .8em; border-radius: .5em; background: #fff4d6; color: #4a3b00}
.affetto-notice p {margin: 0 0 .4em} .affetto-notice summary {cursor: pointer; font-size: .9rem}
.affetto-notice p, .affetto-notice details, .affetto-notice summary {color: inherit}
.affetto-problem {padding: .6em .8em; border-radius: .5em; background: #fde2e0; color: #7a1008}
.affetto-timeline svg {width: 100%; height: 110px; display: block}
.affetto-times {display: flex; justify-content: space-between; font-size: .85rem; opacity: .8}
.affetto-key {display: inline-flex; align-items: center; margin-right: 1em}
.affetto-key i {width: .8em; height: .8em; border-radius: 50%; margin-right: .35em}
.affetto-picture {--strong: #0072b2; --soft: rgba(0, 114, 178, .18)}
.dark .affetto-picture {--strong: #56b4e9; --soft: rgba(86, 180, 233, .25)}
.affetto-plane {display: block; width: 100%; max-width: 24rem; margin: 0 auto}
.affetto-plane .affetto-words text {fill: currentColor; font-size: 12px}
.affetto-plane .affetto-frame * {fill: none; stroke: currentColor; stroke-opacity: .35}
.affetto-plane .affetto-frame path {stroke-dasharray: 3 4}
.affetto-interval {fill: var(--soft); stroke: var(--strong); stroke-opacity: .5}
.affetto-path * {stroke: var(--strong); stroke-width: 2}
.affetto-path circle, .affetto-point {fill: var(--strong)}
.affetto-path .affetto-begin {fill: none}
.affetto-bar {margin: .7em 0}
.affetto-track {position: relative; height: .7em; border-radius: .35em; background: rgba(128, 128, 128, .25)}
.affetto-track i {position: absolute; top: 0; bottom: 0; border-radius: .35em}
.affetto-track .affetto-band {background: var(--soft); border: 1px solid var(--strong)}
.affetto-track .affetto-mark {width: .7em; margin-left: -.35em; background: var(--strong)}
.affetto-track .affetto-fill {left: 0; background: var(--strong)}
.affetto-track .affetto-faint {opacity: .35}
.affetto-curve {margin-top: .6em}
.affetto-curve svg {height: 60px; border-radius: .3em; background: rgba(128, 128, 128, .1)}
.affetto-curve path {fill: none; vector-effect: non-scaling-stroke}
.affetto-curve .affetto-middle {stroke: currentColor; stroke-opacity: .3; stroke-dasharray: 3 4}
.affetto-curve .affetto-line {stroke: var(--strong); stroke-width: 2.5}
"""


def summary(result: Prediction, predictor: Predictor, model: str, texts: Texts) -> str:
    """Compose the notes that belong to an answer, and what was heard."""
    notes = [texts.synthetic] if predictor.card.get("synthetic") else []
    notes += [texts.abstained] if predictor.target.has_classes and result.abstained else []
    notes += licence_lines(predictor, texts)
    note = "".join(f'<p class="affetto-note">{line}</p>' for line in notes)
    return f"{note}<p>{texts.summary.format(seconds=result.seconds_heard, model=escape(model))}</p>"


def caution_notes(result: Prediction, missing: Sequence[str], texts: Texts) -> str:
    """Compose what an answer with cautions says beside the emotion: a set, the novelty, the speech, or a refusal.

    `missing`: cautions that the model cannot take.
    """
    warnings, lines = [], []
    if result.refused == NO_SPEECH:
        warnings.append(texts.no_speech.format(seconds=result.speech_seconds, least=LEAST_SPEECH_SECONDS))
    elif result.refused == NOVEL:
        warnings.append(texts.novel.format(share=result.novelty))
    else:
        if result.label_set is not None:
            labels = ", ".join(texts.labels.get(label, label) for label in result.label_set)
            lines.append(texts.label_set.format(labels=escape(labels), level=COVERAGE))
        if result.novelty is not None:
            lines.append(texts.familiar.format(share=result.novelty))
        if result.speech_seconds is not None:
            lines.append(texts.speech.format(seconds=result.speech_seconds))
    if missing:
        warnings.append(texts.lacks.format(cautions=", ".join(texts.cautions[name] for name in missing)))
    warned = "".join(f'<p class="affetto-note" role="status">{line}</p>' for line in warnings)
    return warned + "".join(f'<p class="affetto-caution">{line}</p>' for line in lines)


def licence_lines(predictor: Predictor, texts: Texts) -> list[str]:
    """Compose the notes on the licences of a model's training data."""
    licences = read_licences(predictor.card)
    groups = {texts.forbidden_use: forbidding(licences), texts.unclear_use: unclear(licences)}
    return [
        text.format(corpora=escape(", ".join(dict.fromkeys(entry.corpus for entry in entries))))
        for text, entries in groups.items()
        if entries
    ]


def problem(words: str, detail: str = "") -> str:
    """Compose a message about what went wrong; `detail` is the text of a refusal."""
    detail = f"<small>{escape(detail)}</small>" if words and detail else escape(detail)
    return f'<p class="affetto-problem" role="alert">{words} {detail}</p>'


def details(result: Prediction, predictor: Predictor, segments: Sequence[Segment], texts: Texts) -> str:
    """Draw what is not the probabilities of one label: several labels, the plane, and bars of other dimensions."""
    target, parts = predictor.target, []
    if result.labels is not None:
        none = "" if result.labels else f"<p>{texts.none_applies}</p>"
        drawn = bars.label_bars(result.probabilities, result.labels, texts.labels)
        parts.append(f"<h3>{texts.several}</h3>{drawn}{none}")
    if target.has_dimensions:
        parts.append(f"<h3>{texts.dimensions}</h3>{_dimensions(result, predictor, segments, texts)}")
    return "".join(parts)


def _dimensions(result: Prediction, predictor: Predictor, segments: Sequence[Segment], texts: Texts) -> str:
    scales, values = predictor.target.dimensions, result.dimensions
    parts, rest = [], values
    if spans_plane(values):
        path = [(segment.dimensions[PLANE[0]], segment.dimensions[PLANE[1]]) for segment in segments]
        caption = "<br>".join(
            f"{escape(texts.names.get(name, name))} <b>{bars.number(values[name], result.intervals.get(name))}</b>"
            for name in PLANE
        )
        parts.append(f"{plane(scales, values, result.intervals, path, texts.names)}<p>{caption}</p>")
        parts.append(f"<p>{texts.path}</p>" if len(path) > 1 else "")
        rest = {name: value for name, value in values.items() if name not in PLANE}
    parts.append(bars.dimension_bars(scales, rest, result.intervals, texts.names))
    if result.intervals:
        level = predictor.card["confidence"]["conformal"]["level"]
        parts.append(f"<p><small>{texts.interval.format(level=level)}</small></p>")
    return "".join(parts)


def over_time(wave: np.ndarray, predictor: Predictor, segments: Sequence[Segment], texts: Texts) -> str:
    """Draw a recording (samples,) with its segments: their emotions in colours, their dimensions as curves."""
    target = predictor.target
    picture = drawing.timeline(wave, audio.RATE_HZ, segments, target.labels, texts.labels)
    seconds = len(wave) / audio.RATE_HZ
    lines = curves(seconds, segments, target.dimensions, texts.names) if segments else ""
    none = "" if segments else f"<p>{texts.timeline_none}</p>"
    return f"<h3>{texts.timeline}</h3>{picture}{lines}{none}"
