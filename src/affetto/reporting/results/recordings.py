"""Recordings of clips that a report names, where their corpora are at hand: their paths and lengths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from affetto import audio
from affetto.corpora.labels import entries_for
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.reporting.results.records import EDITION
from affetto.training.spec import CorpusSpec


@dataclass(frozen=True)
class Recordings:
    """Clips of corpora, by the name under which they were trained on."""

    manifests: Mapping[str, Manifest]

    @classmethod
    def at(cls, places: Mapping[str, str], specs: Iterable[Mapping[str, Any]] = ()) -> Recordings:
        """Read the corpora at these places, by name, as the runs of these specs did.

        Raises UserError for a corpus that is not there or cannot be read.
        """
        specs, manifests = list(specs), {}
        for name, path in places.items():
            if not Path(path).exists():
                raise UserError(f"--audio {name}={path}: there is no such folder or table; check the path")
            readings = [reading for spec in specs for reading in _readings(spec, name)] or [{}]
            distinct = [reading for number, reading in enumerate(readings) if reading not in readings[:number]]
            first, *others = (open_corpus(name, Path(path), **reading) for reading in distinct)
            # Runs with other labels or options may have other clips of a corpus.
            clips = {clip.name: clip for manifest in (*reversed(others), first) for clip in manifest.clips}
            manifests[name] = replace(first, clips=tuple(clips.values()))
        return cls(manifests)

    @cached_property
    def _clips(self) -> dict[str, dict[str, Clip]]:
        return {name: {clip.name: clip for clip in manifest.clips} for name, manifest in self.manifests.items()}

    def find(self, corpora: str, clip: str) -> tuple[str, Clip] | None:
        """Corpus and record of a clip of `corpora` (`emovo`, or `emovo+demos`); None where it is not, or is twice."""
        names = corpus_names(corpora)
        pairs = [(name, self._clips[name][clip]) for name in names if clip in self._clips.get(name, {})]
        return pairs[0] if len(pairs) == 1 else None

    def path(self, corpora: str, clip: str) -> Path | None:
        """File of a clip; None where it is not at hand."""
        pair = self.find(corpora, clip)
        path = None if pair is None else self.manifests[pair[0]].path(pair[1])
        return path if path is not None and path.is_file() else None

    def section(self, corpora: str, clip: str) -> str:
        """Section of the file that is the clip, as a media fragment (`#t=1.5,3`); empty for a whole file."""
        pair = self.find(corpora, clip)
        if pair is None or (pair[1].start is None and pair[1].end is None):
            return ""
        start, end = pair[1].start or 0.0, pair[1].end
        return f"#t={_second(start)}" + ("" if end is None else f",{_second(end)}")

    def seconds(self, corpora: str, clip: str) -> float | None:
        """Length of a clip, by its section or the header of its file; None where it is not at hand or unreadable."""
        pair, path = self.find(corpora, clip), self.path(corpora, clip)
        if pair is None or path is None:
            return None
        try:
            end = audio.duration(path) if pair[1].end is None else pair[1].end
        except UserError:
            return None
        return end - (pair[1].start or 0.0)


def _readings(spec: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Arguments of `open_corpus` with which a run read the tested corpus of this name."""
    for content in spec.get("corpora", ()):
        corpus = CorpusSpec.model_validate(content)
        if corpus.address == name:
            yield {
                "label_map": entries_for(spec.get("labels", {}), [name]),
                "options": corpus.options,
                "keep_other": spec.get("keep_other", False),
            }


def _second(time: float) -> str:
    """A time in seconds to the millisecond, without an exponent, which media fragments do not know.

    >>> _second(1.5), _second(12345.678), _second(0.00001)
    ('1.5', '12345.678', '0')
    """
    return f"{time:.3f}".rstrip("0").rstrip(".")


def corpus_names(corpora: str) -> list[str]:
    """Names of the corpora of a configuration, without its edition.

    >>> corpus_names("emovo+demos@4-labels")
    ['emovo', 'demos']
    """
    return corpora.partition(EDITION)[0].split("+")
