"""Editions: corpora of other labels or clips, backbones of other weights, that go by one name.

Scores on four emotions and on seven, or on other clips, have nothing to do with each other, and no seed of the one is
a seed of the other. Where a report has several editions of a corpus, or of a backbone, each goes by a name of its own;
tables, baselines and comparisons, which go by names, then never mix them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from affetto.reporting.results.records import CLIPS, EDITION, LABELS, Run

DIGITS = 8


@dataclass(frozen=True)
class Dataset:
    """The clips and labels that a run was made of."""

    labels: tuple[str, ...]
    """Sorted."""
    clips: int
    digest: str
    """SHA-256 over clips, their labels and their audio."""


def with_editions(runs: Sequence[Run]) -> list[Run]:
    """The runs, each with its corpus' and its backbone's edition in its axes, where there are several of one name."""
    return _by_weights(_by_dataset(runs))


def _by_dataset(runs: Sequence[Run]) -> list[Run]:
    editions: dict[str, dict[Dataset, str]] = {}
    for corpus in {run.axes.corpus for run in runs}:
        datasets = [_dataset(run) for run in runs if run.axes.corpus == corpus and run.done]
        editions[corpus] = _names(list(dict.fromkeys(datasets)))
    named = []
    for run in runs:
        dataset = _dataset(run) if run.done else _expected(run, runs)
        edition = editions[run.axes.corpus].get(dataset, "") if dataset else ""
        corpus = f"{run.axes.corpus}{EDITION}{edition}" if edition else run.axes.corpus
        named.append(replace(run, axes=replace(run.axes, corpus=corpus)))
    return named


def _dataset(run: Run) -> Dataset:
    assert run.metrics is not None
    return Dataset(tuple(sorted(run.labels)), int(run.metrics.get("clips") or 0), _digest(run))


def _digest(run: Run) -> str:
    digests = "\n".join(str(run.facts.get(name, "")) for name in ("manifest", "audio"))
    return hashlib.sha256(digests.encode()).hexdigest() if digests.strip() else ""


def _expected(run: Run, runs: Sequence[Run]) -> Dataset | None:
    """The dataset of a run that is not done: by its digest, else that of its grid, else the only one, else None."""
    alike = [other for other in runs if other.done and other.axes.corpus == run.axes.corpus]
    digest = _digest(run)
    for group in (
        [other for other in alike if digest and _digest(other) == digest],
        [other for other in alike if not digest and other.path.parent == run.path.parent],
        [other for other in alike if not digest],
    ):
        datasets = {_dataset(other) for other in group}
        if len(datasets) == 1:
            return datasets.pop()
    return None


def _names(datasets: Sequence[Dataset]) -> dict[Dataset, str]:
    """Words that tell datasets apart: the number of labels or their names, the number of clips or a digest."""
    label_sets = list(dict.fromkeys(dataset.labels for dataset in datasets))
    sizes = Counter(map(len, label_sets))
    names = {}
    for dataset in datasets:
        parts = []
        if len(label_sets) > 1:
            count = len(dataset.labels)
            parts.append(f"{count}-{LABELS}" if sizes[count] == 1 else "-".join(dataset.labels))
        alike = [other for other in datasets if other.labels == dataset.labels]
        if len(alike) > 1:
            several = Counter(other.clips for other in alike)[dataset.clips] > 1
            parts.append(f"{CLIPS}-{dataset.digest[:DIGITS]}" if several else f"{dataset.clips}-{CLIPS}")
        names[dataset] = ",".join(parts)
    return names


def _by_weights(runs: Sequence[Run]) -> list[Run]:
    def backbone(run: Run) -> Hashable:
        return run.axes.backbone, run.axes.random_weights, run.axes.weights_seed

    digests: dict[Hashable, dict[str, None]] = {}
    for run in runs:
        if run.facts.get("weights"):
            digests.setdefault(backbone(run), {})[str(run.facts["weights"])] = None
    return [_weighed(run, digests.get(backbone(run), {})) for run in runs]


def _weighed(run: Run, digests: Mapping[str, None]) -> Run:
    weights = str(run.facts.get("weights") or "")
    if len(digests) < 2 or not weights:
        return run
    title = f"{run.axes.title}, weights {weights[:DIGITS]}"
    axes = replace(run.axes, backbone=f"{run.axes.backbone}{EDITION}{weights[:DIGITS]}", called=title)
    return replace(run, axes=axes)
