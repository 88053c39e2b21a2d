"""A long recording of a corpus's clips with pauses between them, what is true of it, and how near a timeline comes.

Of each clip the truth is where it sounds, from the first to the last hundredth of a second that is no more than 40 dB
below its loudest: the silence before and behind, which corpora keep, is nobody's speech.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

PAUSE_SECONDS = (0.5, 3.0)
TONE = 10 ** (-60 / 20)
"""Root mean square of the noise that lies under the whole recording: -60 dB of full scale."""
SOUNDING = 10 ** (-40 / 20)
"""Of the loudest level of a clip."""
FRAME_SECONDS = 0.01
Segment = Mapping[str, Any]
"""What a timeline in JSON holds: `start`, `end`, `emotion`."""


@dataclass(frozen=True)
class Clip:
    """A clip in the recording; times in seconds from the recording's start."""

    emotion: str
    cut: tuple[float, float]
    """The whole of it."""
    start: float
    end: float
    """Where it sounds."""


def record(clips: Sequence[tuple[Path, str]], seconds: float, path: Path, seed: int) -> list[Clip]:
    """Write files, each with its emotion, to a mono recording of at least `seconds` at their own rate; what it holds.

    In random order, each once before one comes again. Written as it is made: memory does not grow with its length.
    """
    random = np.random.default_rng(seed)
    rate_hz = soundfile.info(str(clips[0][0])).samplerate
    made: list[Clip] = []
    order: list[int] = []
    with soundfile.SoundFile(path, "w", rate_hz, 1, subtype="PCM_16") as out:
        at = 0  # samples so far

        def add(wave: np.ndarray) -> None:
            nonlocal at
            out.write(wave + TONE * random.standard_normal(len(wave)))
            at += len(wave)

        def pause() -> None:
            add(np.zeros(round(random.uniform(*PAUSE_SECONDS) * rate_hz)))

        pause()
        while at < seconds * rate_hz:
            order = order or random.permutation(len(clips)).tolist()
            file, emotion = clips[order.pop()]
            samples, its_rate_hz = soundfile.read(file, always_2d=True)
            assert its_rate_hz == rate_hz, f"{file}: {its_rate_hz} Hz, not {rate_hz}"
            wave, begin = samples.mean(axis=1), at
            first, last = sounding(wave, rate_hz)
            add(wave)
            cut = (begin / rate_hz, at / rate_hz)
            made.append(Clip(emotion, cut, (begin + first) / rate_hz, (begin + last) / rate_hz))
            pause()
    return made


def sounding(wave: np.ndarray, rate_hz: int) -> tuple[int, int]:
    """The first sample of a wave (samples,) that sounds, and the one after the last."""
    size = round(FRAME_SECONDS * rate_hz)
    frames = np.pad(wave, (0, -len(wave) % size)).reshape(-1, size)
    level = np.sqrt((frames**2).mean(axis=1))
    loud = np.flatnonzero(level >= SOUNDING * level.max())
    return int(loud[0]) * size, min(len(wave), (int(loud[-1]) + 1) * size)


# -- how near a timeline comes ------------------------------------------------------------------------------------


def detection(clips: Sequence[Clip], segments: Sequence[Segment]) -> dict[str, Any]:
    """How well speech was found: shares of seconds, and how far its stretches' edges lie from the nearest true ones."""
    true = sum(clip.end - clip.start for clip in clips)
    found = sum(one["end"] - one["start"] for one in segments)
    both = sum(seconds for _, _, seconds in overlaps(clips, segments))
    edges = stretches(segments)
    starts, stops = [clip.start for clip in clips], [clip.end for clip in clips]
    holds = [bisect_left(starts, end) - bisect_right(stops, start) for start, end in edges]
    begins, ends = [_nearest(start, starts) for start, _ in edges], [_nearest(end, stops) for _, end in edges]
    return {
        "true_seconds": round(true, 1),
        "found_seconds": round(found, 1),
        "speech_found": round(both / true, 4),
        "found_is_speech": round(both / found, 4) if found else None,
        "missed_seconds": _missed(clips, edges),
        "stretches": len(edges),
        "stretches_of_several_clips": sum(n > 1 for n in holds),
        "stretches_of_none": sum(n == 0 for n in holds),
        "begin_error_seconds": _quantiles(begins),
        "end_error_seconds": _quantiles(ends),
    }


def labelling(clips: Sequence[Clip], segments: Sequence[Segment]) -> dict[str, Any]:
    """How right the emotions are: over the time of true speech that was found, and clip by clip.

    A clip's emotion is the one that most of its time was given; a clip of which nothing was found is wrong.
    """
    given: list[dict[str, float]] = [defaultdict(float) for _ in clips]
    for i, j, seconds in overlaps(clips, segments):
        given[i][segments[j]["emotion"]] += seconds
    right: dict[str, float] = defaultdict(float)
    all_: dict[str, float] = defaultdict(float)
    for clip, its in zip(clips, given, strict=True):
        right[clip.emotion] += its.get(clip.emotion, 0.0)
        all_[clip.emotion] += sum(its.values())
    guesses = [max(its, key=its.__getitem__) if its else None for its in given]
    return {
        "time_accuracy": round(sum(right.values()) / max(sum(all_.values()), 1e-9), 4),
        "time_uar": round(float(np.mean([right[one] / max(all_[one], 1e-9) for one in all_])), 4),
        "clip_uar": uar([clip.emotion for clip in clips], guesses),
        "clips": len(clips),
        "clips_not_found": sum(guess is None for guess in guesses),
        "clips_of_one_emotion": sum(len(its) == 1 for its in given),
    }


def uar(truth: Sequence[str], guesses: Sequence[str | None]) -> float:
    """The mean over emotions of the share of clips that are right."""
    hits: dict[str, list[bool]] = defaultdict(list)
    for true, guess in zip(truth, guesses, strict=True):
        hits[true].append(true == guess)
    return round(float(np.mean([np.mean(one) for one in hits.values()])), 4)


def overlaps(clips: Sequence[Clip], segments: Sequence[Segment]) -> Iterator[tuple[int, int, float]]:
    """Pairs of a clip and a segment that share time: their places, and the seconds. Both are in the order of time."""
    first = 0
    for i, clip in enumerate(clips):
        while first < len(segments) and segments[first]["end"] <= clip.start:
            first += 1
        for j in range(first, len(segments)):
            if segments[j]["start"] >= clip.end:
                break
            yield i, j, min(clip.end, segments[j]["end"]) - max(clip.start, segments[j]["start"])


def stretches(segments: Sequence[Segment]) -> list[tuple[float, float]]:
    """Segments that touch, as one: (start, end) in seconds."""
    made: list[tuple[float, float]] = []
    for one in segments:
        if made and made[-1][1] == one["start"]:
            made[-1] = (made[-1][0], one["end"])
        else:
            made.append((one["start"], one["end"]))
    return made


def _missed(clips: Sequence[Clip], edges: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Seconds of clips before the first stretch over them, between stretches, behind the last; of clips not found."""
    missed = {"before": 0.0, "between": 0.0, "behind": 0.0, "whole": 0.0}
    first = 0
    for clip in clips:
        while first < len(edges) and edges[first][1] <= clip.start:
            first += 1
        over = []
        for start, end in islice(edges, first, None):
            if start >= clip.end:
                break
            over.append((max(start, clip.start), min(end, clip.end)))
        if not over:
            missed["whole"] += clip.end - clip.start
            continue
        missed["before"] += over[0][0] - clip.start
        missed["behind"] += clip.end - over[-1][1]
        missed["between"] += sum(after[0] - before[1] for before, after in pairwise(over))
    return {place: round(seconds, 1) for place, seconds in missed.items()}


def _nearest(time: float, others: Sequence[float]) -> float:
    """The distance to the nearest of some times, which are in order."""
    at = bisect_left(others, time)
    return min(abs(time - other) for other in others[max(0, at - 1) : at + 1])


def _quantiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return {name: round(float(np.percentile(values, at)), 3) for name, at in (("median", 50), ("p95", 95))}
