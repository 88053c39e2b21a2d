"""Contents and faults of a corpus: `affetto corpora inspect`.

Every clip is decoded once, in blocks, by as many threads as there are cores (libsndfile, NumPy and hashlib release the
interpreter's lock). The marks of its content (`content.py`) and a few numbers stay in memory. A problem is reported and
changes nothing: no clip is dropped, and all counts stay as they are.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice

import numpy as np
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from affetto.corpora.amounts import amount, verb
from affetto.corpora.annotation_facts import annotation_facts, annotation_table
from affetto.corpora.clip_check import Findings, check
from affetto.corpora.content import Content, groups
from affetto.corpora.labels import DROP, EMOTIONS
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.names import look_alikes_note
from affetto.corpora.ratings import human_recall, human_uar
from affetto.corpora.registry import CORPORA

CROP_SECONDS = 4.0
"""The window of the paper (IV-B): a model does not hear the rest, unless the window is changed."""
EQUAL_LENGTHS = 20
"""Number of clips from which equal lengths are no chance."""
_AHEAD = 64
_CHANNELS = {1: "mono", 2: "stereo"}


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of one clip: `problem` is its kind."""

    file: str
    problem: str
    detail: str


@dataclass(frozen=True)
class Inspection:
    """The audit of a manifest: `to_json` for programs, `affetto.corpora.audit.render` for people."""

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
            "key": manifest.key or None,
            "official": dict(manifest.official),
            "mapped": _relabelled(manifest, is_dropped=False),
            "dropped": _relabelled(manifest, is_dropped=True),
            "per_speaker": dict(sorted(Counter(clip.speaker for clip in manifest.clips).items())),
            "gender": self.genders(),
            "parts": dict(Counter(clip.part for clip in manifest.clips if clip.part)),
            "prompts": len({clip.prompt for clip in manifest.clips if clip.prompt}),
            "duration": self.duration(),
            "rates": {str(rate): n for rate, n in sorted(self.rates.items())},
            "channels": {str(channels): n for channels, n in sorted(self.channels.items())},
            "raters": {"uar": human_uar(manifest), "recall": recall} if recall else None,
            "annotations": annotation_facts(manifest),
            "notes": list(self.notes),
            "licence": manifest.licence,
            "synthetic": manifest.synthetic,
            "decoded": self.decoded,
            "root": str(manifest.root),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """The reader's notes, and those on speakers whose names hardly differ and on clips of one length."""
        return (*self.manifest.notes, *look_alikes_note(self.manifest.speakers), *self._length_note())

    def _length_note(self) -> tuple[str, ...]:
        if self.seconds.size < EQUAL_LENGTHS or np.ptp(self.seconds) > 1e-3:
            return ()
        return (
            f"every clip is {self.seconds[0]:.2f} s long: this copy was probably cut or padded; words may be missing",
        )

    def genders(self) -> dict[str, dict[str, int]]:
        """Speakers and clips per gender; `unknown` where the corpus does not say."""
        clips = Counter(clip.gender or "unknown" for clip in self.manifest.clips)
        speakers = Counter(gender for _, gender in {(c.speaker, c.gender or "unknown") for c in self.manifest.clips})
        return {gender: {"speakers": speakers[gender], "clips": clips[gender]} for gender in sorted(clips)}

    def duration(self) -> dict[str, float] | None:
        """Seconds, over the clips that could be opened; None where there are none."""
        if not self.seconds.size:
            return None
        values = {"total_seconds": self.seconds.sum(), "mean_seconds": self.seconds.mean()}
        values |= {"std_seconds": self.seconds.std(), "median_seconds": np.median(self.seconds)}
        values |= {"min_seconds": self.seconds.min(), "max_seconds": self.seconds.max()}
        values["share_over_4_seconds"] = (self.seconds > CROP_SECONDS).mean()
        return {name: round(float(value), 4) for name, value in values.items()}


def inspect(
    manifest: Manifest, *, decode: bool = True, progress: Callable[[int, int], None] | None = None
) -> Inspection:
    """Check every clip of a manifest; without `decode` only the headers are read.

    `progress(done, total)` is called after each clip, in the calling thread.
    """
    problems: list[Problem] = []
    lengths: list[float] = []
    rates: Counter[int] = Counter()
    channels: Counter[int] = Counter()
    contents: dict[str, Content] = {}
    for done, (clip, findings) in enumerate(_checked(manifest, decode), start=1):
        problems += [Problem(clip.name, kind, detail) for kind, detail in findings.faults]
        if findings.seconds is not None:
            lengths.append(findings.seconds)
            rates.update([findings.rate_hz] if findings.rate_hz else [])
            channels.update([findings.channels] if findings.channels else [])
        contents[clip.id] = findings.content
        if progress:
            progress(done, len(manifest.clips))
    problems += _duplicates(manifest, contents)
    return Inspection(
        manifest=manifest,
        problems=tuple(problems),
        seconds=np.array(lengths),
        rates=rates,
        channels=channels,
        decoded=decode,
    )


def faults_note(manifest: Manifest, *, progress: Callable[[int, int], None] | None = None) -> tuple[str, ...]:
    """A note on clips that cannot be used, by their headers; () where there are none. `progress` as in `inspect`."""
    faults = []
    for done, (clip, findings) in enumerate(_checked(manifest, decode=False), start=1):
        faults += [(clip, *fault) for fault in findings.faults]
        if progress:
            progress(done, len(manifest.clips))
    if not faults:
        return ()
    kinds = Counter(kind for _, kind, _ in faults)
    counts = ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())
    clip, kind, detail = faults[0]
    problems = f"{amount(len(faults), 'problem')} in the headers of {amount(len(manifest.clips), 'clip')}"
    return (f"{problems}: {counts}; the first: {clip.name} is {kind} ({detail}); `affetto corpora inspect` lists all",)


def contents_of(manifest: Manifest, *, progress: Callable[[int, int], None] | None = None) -> dict[str, Content] | None:
    """The marks of the content of each clip, by its id; None where a clip cannot be opened.

    `progress(done, total)` is called after each clip, in the calling thread.
    """
    contents: dict[str, Content] = {}
    for done, (clip, findings) in enumerate(_checked(manifest, decode=True), start=1):
        if findings.seconds is None:
            return None
        contents[clip.id] = findings.content
        if progress:
            progress(done, len(manifest.clips))
    return contents


def _relabelled(manifest: Manifest, *, is_dropped: bool) -> dict[str, object] | None:
    """Labels that count as another class, or those whose clips are left out; None where the reader counts none."""
    if manifest.relabelled is None:
        return None
    changes = (change for change in manifest.relabelled if (change.target == DROP) is is_dropped)
    return {change.label: change.to_json() for change in changes}


def _duplicates(manifest: Manifest, contents: dict[str, Content]) -> Iterator[Problem]:
    """Each clip that is a copy of an earlier one."""
    clips = {clip.id: clip for clip in manifest.clips}
    for first, *copies in groups(contents):
        for copy in copies:
            exact = contents[copy].samples == contents[first].samples
            yield Problem(clips[copy].name, "duplicate", _difference(clips[copy], clips[first], exact))


def _difference(clip: Clip, twin: Clip, exact: bool) -> str:
    """The labels and speakers in which a copy differs from the other clip."""
    text = f"the same samples as {twin.name}" if exact else f"the same recording as {twin.name}, with other samples"
    if clip.emotion != twin.emotion:
        text += f", under different labels ({clip.emotion} and {twin.emotion})"
    if clip.speaker != twin.speaker:
        text += f", under different speakers ({clip.speaker} and {twin.speaker})"
    return text


def _checked(manifest: Manifest, decode: bool) -> Iterator[tuple[Clip, Findings]]:
    """Each clip with its findings, in the manifest's order; only a few are under way at any time."""
    clips = iter(manifest.clips)
    waiting: deque[tuple[Clip, Future[Findings]]] = deque()
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        while True:
            for clip in islice(clips, _AHEAD - len(waiting)):
                waiting.append((clip, pool.submit(check, manifest.path(clip), clip.start, clip.end, decode=decode)))
            if not waiting:
                return
            clip, future = waiting.popleft()
            yield clip, future.result()


def render(inspection: Inspection, *, most: int = 20) -> Group:
    """The audit for a terminal: facts, emotions, notes, and the first problems, `most` of them."""
    manifest, problems = inspection.manifest, inspection.problems
    stamp = " [bold reverse] SYNTHETIC [/] made by this project, no human speech" * manifest.synthetic
    name = f"[bold]{escape(manifest.corpus)}[/]{stamp}"
    annotations = annotation_table(manifest)
    parts: list[RenderableType] = [name, _facts(inspection)]
    parts += [_emotions(inspection)] * bool(manifest.labels) + ([annotations] if annotations else [])
    parts += [f"[yellow]note[/] {escape(note)}" for note in inspection.notes]
    if not problems:
        return Group(*parts, f"[green]no problems[/] {'found' if inspection.decoded else 'in the headers'}")
    kinds = Counter(problem.problem for problem in problems)
    counts = ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
    number = len(problems)
    parts.append(f"[red]{amount(number, 'problem')}[/], which {verb(number, 'change')} no count: {counts}")
    table = Table("file", "problem", "detail", box=None)
    for problem in problems[:most]:
        table.add_row(escape(problem.file), problem.problem, escape(problem.detail))
    parts.append(table)
    if len(problems) > most:
        parts.append(f"… and {len(problems) - most} more (--json lists them all)")
    return Group(*parts)


def _facts(inspection: Inspection) -> Table:
    manifest, duration = inspection.manifest, inspection.duration()
    genders = ", ".join(f"{counts['speakers']} {gender}" for gender, counts in inspection.genders().items())
    table = Table(box=None, show_header=False)
    table.add_row("clips", f"{len(manifest.clips):,}")
    table.add_row("speakers", f"{len(manifest.speakers):,} ({genders})")
    if duration:
        mean, std, least, most = (duration[f"{name}_seconds"] for name in ("mean", "std", "min", "max"))
        longer = f"{duration['share_over_4_seconds']:.0%} over {CROP_SECONDS:g} s"
        table.add_row("duration", f"{duration['total_seconds'] / 60:,.1f} min in all")
        table.add_row("a clip", f"{mean:.2f} ± {std:.2f} s, {least:.2f} to {most:.2f} s, {longer}")
        table.add_row("rates", ", ".join(f"{n:,} at {hz / 1000:g} kHz" for hz, n in inspection.rates.most_common()))
        channels = (f"{n:,} {_CHANNELS.get(k, f'with {k}')}" for k, n in inspection.channels.most_common())
        table.add_row("channels", ", ".join(channels))
    parts = Counter(clip.part or "in none" for clip in manifest.clips)
    if set(parts) != {"in none"}:
        table.add_row("split", ", ".join(f"{n:,} {part}" for part, n in parts.most_common()))
    if manifest.licence or not manifest.synthetic:
        table.add_row("licence", escape(manifest.licence) or "not stated")
    if not (manifest.official or manifest.synthetic):
        table.add_row("official", _absent_counts(manifest))
    table.add_row("root", escape(str(manifest.root)))
    return table


def _absent_counts(manifest: Manifest) -> str:
    record = CORPORA.get(manifest.key)
    if record is None or record.is_format:
        return "no counts to compare with: a collection of your own"
    return f"no counts to compare with: none are known for {record.title}"


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
        row = [label if label in EMOTIONS else f"{escape(label)} (beside the seven)", f"{clips:,}"]
        row += [f"{official.get(label, 0):,}"] * bool(official) + [f"{recall.get(label, 0):.3f}"] * bool(recall)
        table.add_row(*row)
    uar = human_uar(manifest)
    if uar is not None:
        table.add_row("mean", *[""] * (1 + bool(official)), f"{uar:.3f}", style="bold")
    return table
