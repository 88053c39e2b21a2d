"""Bars: numbers within their ranges, and labels of which several may apply; HTML without script."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape

from affetto.targets.target import Scale


def dimension_bars(
    scales: Mapping[str, Scale],
    values: Mapping[str, float],
    intervals: Mapping[str, Sequence[float]],
    words: Mapping[str, str],
) -> str:
    """Draw a track for each of `values`: its range, a mark at the value and a band over its interval."""
    return "".join(
        _dimension(words.get(name, name), value, scales[name], intervals.get(name)) for name, value in values.items()
    )


def _dimension(word: str, value: float, scale: Scale, interval: Sequence[float] | None) -> str:
    band = ""
    if interval is not None:
        low, high = (_percent(end, scale) for end in interval)
        band = f'<i class="affetto-band" style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
    return (
        f'<div class="affetto-picture affetto-bar"><div class="affetto-times"><span>{escape(word)}</span>'
        f"<b>{number(value, interval)}</b></div>"
        f'<div class="affetto-track">{band}'
        f'<i class="affetto-mark" style="left:{_percent(value, scale):.1f}%"></i></div>'
        f'<div class="affetto-times"><span>{scale.low:g}</span><span>{scale.high:g}</span></div></div>'
    )


def number(value: float, interval: Sequence[float] | None) -> str:
    """Write a value with its interval, as `3.42 (2.10–4.74)`."""
    return f"{value:.2f}" + (f" ({interval[0]:.2f}–{interval[1]:.2f})" if interval is not None else "")


def label_bars(probabilities: Mapping[str, float], labels: Collection[str], words: Mapping[str, str]) -> str:
    """Draw a bar for each probability, the most probable first; those in `labels`, which apply, have a tick."""
    ordered = sorted(probabilities.items(), key=lambda item: -item[1])
    return "".join(_label(words.get(label, label), share, label in labels) for label, share in ordered)


def _label(word: str, share: float, applies: bool) -> str:
    name = f"<b>✓ {escape(word)}</b>" if applies else f"<span>{escape(word)}</span>"
    kind = "affetto-fill" if applies else "affetto-fill affetto-faint"
    return (
        f'<div class="affetto-picture affetto-bar"><div class="affetto-times">{name}<span>{share:.0%}</span></div>'
        f'<div class="affetto-track"><i class="{kind}" style="width:{100 * share:.1f}%"></i></div></div>'
    )


def _percent(value: float, scale: Scale) -> float:
    """Position within a range, 0 to 100."""
    return min(100.0, max(0.0, 100 * (value - scale.low) / (scale.high - scale.low)))
