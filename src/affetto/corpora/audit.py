"""What a corpus holds, and what is wrong with it: `affetto corpora inspect`.

Every clip is decoded once at its own rate, in blocks, by as many threads as there are cores (libsndfile, NumPy and
hashlib release the interpreter's lock); of each only a digest and a few numbers are kept. A problem is reported and
changes nothing: no clip is dropped and no count is altered by it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from affetto.audio import SHORTEST_SECONDS
from affetto.corpora.emozionalmente import human_recall, human_uar
from affetto.corpora.manifest import Clip, Manifest

CROP_SECONDS = 4.0
"""The window of the paper (IV-B): what lies beyond it is not heard unless the window is changed."""
SILENT_PEAK = 10 ** (-60 / 20)
FULL_SCALE = 0.999
CLIPPED_RUN = 4
"""As many samples in a row at full scale are a flat top; fewer can be a normalised peak."""
CLIPPED_SHARE = 0.001
"""The share of a clip's samples in flat tops from which it is reported: below, nobody hears it."""
_BLOCK_FRAMES = 1 << 20
_AHEAD = 64
_TRUNCATED = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
"""What libsndfile notes of a WAV that promises more than is there; it reads such a file without a word."""
_STREAMED_BYTES = 0x7FFF_0000
"""Programs that write to a pipe do not know the length, and put one near 2 or 4 GiB in the header."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with one clip: `problem` is the kind, `detail` what was seen."""

    file: str
    problem: str
    detail: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What was heard of one clip. `digest` is of its decoded samples, None where there are none to compare."""

    seconds: float | None = None
    rate_hz: int = 0
    channels: int = 0
    digest: bytes | None = None
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Inspection:
    """The audit of a manifest; `to_json` is its whole, `affetto.corpora.audit.render` what a person reads."""

    manifest: Manifest
    problems: tuple[Problem, ...]
    seconds: np.ndarray
    """The lengths of the clips that could be opened, in the manifest's order."""
    rates: Counter[int] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)
    decoded: bool = True

    def to_json(self) -> dict[str, object]:
        manifest = self.manifest
        recall = human_recall(manifest)
        return {
            "corpus": manifest.corpus,
            "clips": len(manifest.clips),
            "speakers": len(manifest.speakers),
            "per_emotion": manifest.per_emotion(),
            "problems": [asdict(problem) for problem in self.problems],
            "official": dict(manifest.official),
            "per_speaker": dict(sorted(Counter(clip.speaker for clip in manifest.clips).items())),
            "gender": self.genders(),
            "parts": dict(Counter(clip.part for clip in manifest.clips if clip.part)),
            "prompts": len({clip.prompt for clip in manifest.clips if clip.prompt}),
            "duration": self.duration(),
            "rates": {str(rate): n for rate, n in sorted(self.rates.items())},
            "channels": {str(channels): n for channels, n in sorted(self.channels.items())},
            "raters": {"uar": human_uar(manifest), "recall": recall} if recall else None,
            "notes": list(manifest.notes),
            "licence": manifest.licence,
            "synthetic": manifest.synthetic,
            "decoded": self.decoded,
            "root": str(manifest.root),
        }

    def genders(self) -> dict[str, dict[str, int]]:
        """Speakers and clips per gender; `unknown` where the corpus does not say."""
        clips = Counter(clip.gender or "unknown" for clip in self.manifest.clips)
        speakers = Counter(gender for _, gender in {(c.speaker, c.gender or "unknown") for c in self.manifest.clips})
        return {gender: {"speakers": speakers[gender], "clips": clips[gender]} for gender in sorted(clips)}

    def duration(self) -> dict[str, float] | None:
        """Seconds, over the clips that could be opened; None where there are none."""
        if not self.seconds.size:
            return None
        found = {"total_seconds": self.seconds.sum(), "mean_seconds": self.seconds.mean()}
        found |= {"std_seconds": self.seconds.std(), "median_seconds": np.median(self.seconds)}
        found |= {"min_seconds": self.seconds.min(), "max_seconds": self.seconds.max()}
        found["share_over_4_seconds"] = (self.seconds > CROP_SECONDS).mean()
        return {name: round(float(value), 4) for name, value in found.items()}


def inspect(
    manifest: Manifest, *, decode: bool = True, progress: Callable[[int, int], None] | None = None
) -> Inspection:
    """Hear every clip of a manifest; without `decode` only the headers are read.

    `progress(done, total)` is called after each clip, in the calling thread.
    """
    problems: list[Problem] = []
    lengths: list[float] = []
    rates: Counter[int] = Counter()
    channels: Counter[int] = Counter()
    first: dict[bytes, Clip] = {}
    for done, (clip, probe) in enumerate(_probes(manifest, decode), start=1):
        problems += [Problem(clip.name, kind, detail) for kind, detail in probe.problems]
        if probe.seconds is not None:
            lengths.append(probe.seconds)
            rates[probe.rate_hz] += 1
            channels[probe.channels] += 1
        if probe.digest is not None:
            twin = first.setdefault(probe.digest, clip)
            if twin is not clip:
                problems.append(Problem(clip.name, "duplicate", _alike(clip, twin)))
        if progress:
            progress(done, len(manifest.clips))
    return Inspection(manifest, tuple(problems), np.array(lengths), rates, channels, decode)


def _alike(clip: Clip, twin: Clip) -> str:
    """How a clip whose samples are those of another one differs from it otherwise."""
    said = f"the same samples as {twin.name}"
    if clip.emotion != twin.emotion:
        said += f", under different labels ({clip.emotion} and {twin.emotion})"
    if clip.speaker != twin.speaker:
        said += f", under different speakers ({clip.speaker} and {twin.speaker})"
    return said


def _probes(manifest: Manifest, decode: bool) -> Iterator[tuple[Clip, Probe]]:
    """Each clip with its probe, in the manifest's order; only a few are under way at any time."""
    clips = iter(manifest.clips)
    waiting: deque[tuple[Clip, Future[Probe]]] = deque()
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        while True:
            for clip in islice(clips, _AHEAD - len(waiting)):
                waiting.append((clip, pool.submit(probe, manifest.path(clip), clip.start, clip.end, decode=decode)))
            if not waiting:
                return
            clip, future = waiting.popleft()
            yield clip, future.result()


def probe(path: Path, start: float | None = None, end: float | None = None, *, decode: bool = True) -> Probe:
    """What one clip holds; whatever is wrong with it is in the probe, nothing is raised for it."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return Probe(problems=(("unreadable", "not an ordinary file"),))
        if status.st_size == 0:
            return Probe(problems=(("empty", "0 bytes"),))
        with soundfile.SoundFile(str(path)) as file:
            return _listen(file, start, end, decode)
    except FileNotFoundError:
        return Probe(problems=(("missing", "no such file"),))
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError, OSError) as problem:
        reason = str(getattr(problem, "error_string", problem)).strip().rstrip(".")
        return Probe(problems=(("unreadable", reason),))


def _listen(file: soundfile.SoundFile, start: float | None, end: float | None, decode: bool) -> Probe:
    rate_hz, channels = file.samplerate, file.channels
    first = round((start or 0.0) * rate_hz)
    last = file.frames if end is None else min(round(end * rate_hz), file.frames)
    if file.frames == 0:
        return Probe(problems=(("empty", "a header and no samples"),))
    if first >= last:
        said = f"its section starts at {start or 0:g} s, the file has {file.frames / rate_hz:.2f} s"
        return Probe(problems=(("unreadable", said),))
    seconds = (last - first) / rate_hz
    problems = []
    cut = _TRUNCATED.search(file.extra_info)
    if cut and int(cut[1]) < _STREAMED_BYTES:
        problems.append(("truncated", f"the header promises {cut[1]} bytes of samples, {cut[2]} are there"))
    if seconds < SHORTEST_SECONDS:
        problems.append(("too short", f"{seconds:.3f} s; a clip needs at least {SHORTEST_SECONDS} s"))
    if not decode:
        return Probe(seconds, rate_hz, channels, None, tuple(problems))
    ear = _Ear()
    file.seek(first)
    left = last - first
    while left > 0:
        block = file.read(min(left, _BLOCK_FRAMES), dtype="float32", always_2d=True)
        if not len(block):
            problems.append(("truncated", f"{left} of {last - first} samples are not there"))
            break
        ear.hear(block)
        left -= len(block)
    problems += ear.problems()
    return Probe(seconds, rate_hz, channels, None if ear.silent else ear.digest.digest(), tuple(problems))


class _Ear:
    """What is said of samples that are heard block by block, each of shape (frames, channels)."""

    def __init__(self) -> None:
        self.digest = hashlib.blake2b(digest_size=16)
        self._samples = self._not_finite = self._flat = 0
        self._peak = 0.0

    def hear(self, block: np.ndarray) -> None:
        self.digest.update(block.data)
        self._samples += block.size
        finite = np.isfinite(block)
        self._not_finite += block.size - int(finite.sum())
        height = np.abs(np.where(finite, block, 0.0))
        peak = float(height.max())
        self._peak = max(self._peak, peak)
        if peak >= FULL_SCALE:
            self._flat += _flat_tops(height)

    @property
    def silent(self) -> bool:
        return self._peak < SILENT_PEAK

    def problems(self) -> list[tuple[str, str]]:
        found = []
        if self._not_finite:
            found.append(("non-finite", f"{self._not_finite} of {self._samples} samples are NaN or infinite"))
        if self.silent:
            level = f"its peak is {20 * np.log10(self._peak):.0f} dBFS" if self._peak else "zero throughout"
            found.append(("silent", level))
        if self._flat > CLIPPED_SHARE * self._samples:
            found.append(("clipped", f"{self._flat / self._samples:.2%} of its samples are in flat tops at full scale"))
        return found


def _flat_tops(height: np.ndarray) -> int:
    """How many samples, by their magnitudes (frames, channels), lie in runs of `CLIPPED_RUN` or more at full scale."""
    edges = np.diff(np.pad(height >= FULL_SCALE, ((1, 1), (0, 0))).astype(np.int8), axis=0)
    runs = np.argwhere(edges.T == -1)[:, 1] - np.argwhere(edges.T == 1)[:, 1]
    return int(runs[runs >= CLIPPED_RUN].sum())


def render(inspection: Inspection, *, shown: int = 20) -> Group:
    """The audit for a terminal: what it is, who speaks, how the emotions fall, and the first `shown` problems."""
    manifest = inspection.manifest
    stamp = " [bold reverse] SYNTHETIC [/] made by this project, no human speech" * manifest.synthetic
    name = f"[bold]{escape(manifest.corpus)}[/]{stamp}"
    parts: list[RenderableType] = [name, _facts(inspection), _emotions(inspection)]
    parts += [f"[yellow]note[/] {escape(note)}" for note in manifest.notes]
    if not inspection.problems:
        return Group(*parts, f"[green]no problems[/] {'found' if inspection.decoded else 'in the headers'}")
    kinds = Counter(problem.problem for problem in inspection.problems)
    said = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
    parts.append(f"[red]{len(inspection.problems)} problems[/], which change no count: {said}")
    table = Table("file", "problem", "detail", box=None)
    for problem in inspection.problems[:shown]:
        table.add_row(escape(problem.file), problem.problem, escape(problem.detail))
    parts.append(table)
    if len(inspection.problems) > shown:
        parts.append(f"… and {len(inspection.problems) - shown} more (all are in the JSON)")
    return Group(*parts)


def _facts(inspection: Inspection) -> Table:
    manifest, duration = inspection.manifest, inspection.duration()
    genders = ", ".join(f"{found['speakers']} {gender}" for gender, found in inspection.genders().items())
    table = Table(box=None, show_header=False)
    table.add_row("clips", f"{len(manifest.clips):,}")
    table.add_row("speakers", f"{len(manifest.speakers):,} ({genders})")
    if duration:
        mean, std, least, most = (duration[f"{name}_seconds"] for name in ("mean", "std", "min", "max"))
        longer = f"{duration['share_over_4_seconds']:.0%} over {CROP_SECONDS:g} s"
        table.add_row("duration", f"{duration['total_seconds'] / 60:,.1f} min in all")
        table.add_row("a clip", f"{mean:.2f} ± {std:.2f} s, {least:.2f} to {most:.2f} s, {longer}")
        table.add_row("rates", ", ".join(f"{n:,} at {hz / 1000:g} kHz" for hz, n in inspection.rates.most_common()))
        table.add_row("channels", ", ".join(f"{n:,} with {k}" for k, n in inspection.channels.most_common()))
    if manifest.licence:
        table.add_row("licence", escape(manifest.licence))
    table.add_row("root", escape(str(manifest.root)))
    return table


def _emotions(inspection: Inspection) -> Table:
    """Clips per emotion, beside the official counts and the raters' recall where the corpus has them."""
    manifest = inspection.manifest
    recall = human_recall(manifest)
    official = {} if manifest.synthetic else manifest.official
    table = Table("emotion", box=None)
    raters = "invented raters' recall" if manifest.synthetic else "human recall"
    for title in ("clips", *["official"] * bool(official), *[raters] * bool(recall)):
        table.add_column(title, justify="right")
    for label, clips in manifest.per_emotion().items():
        row = [label, f"{clips:,}"]
        row += [f"{official.get(label, 0):,}"] * bool(official) + [f"{recall.get(label, 0):.3f}"] * bool(recall)
        table.add_row(*row)
    uar = human_uar(manifest)
    if uar is not None:
        table.add_row("mean", *[""] * (1 + bool(official)), f"{uar:.3f}", style="bold")
    return table
