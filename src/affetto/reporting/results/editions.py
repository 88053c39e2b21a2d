"""Editions: corpora with other labels or clips, and backbones with other weights, that share a name.

Scores on four emotions and on seven, or on other clips, cannot be compared, and no seed of the one is a seed of the
other. Where a report has several editions of a corpus or a backbone, each gets a name of its own; tables, baselines and
comparisons, which go by names, then never mix them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from affetto.reporting.results.records import CLIPS, EDITION, LABELS, Run

DIGITS = 8
"""Number of hexadecimal digits of a digest in a name."""


@dataclass(frozen=True)
class Dataset:
    """Clips and labels of a run."""

    labels: tuple[str, ...]
    """Sorted labels."""
    clips: int
    digest: str
    """SHA-256 of the clips, their labels and their audio."""


def with_editions(runs: Sequence[Run]) -> list[Run]:
    """Add the edition of corpora and backbone to the runs' axes, where several share a name."""
    return _by_weights(_by_auxiliary(_by_dataset(runs)))


def _by_dataset(runs: Sequence[Run]) -> list[Run]:
    equals = _equal_digests(runs)
    editions: dict[str, dict[Dataset, str]] = {}
    for corpus in {run.axes.corpus for run in runs}:
        datasets = [_dataset(run, equals) for run in runs if run.axes.corpus == corpus and run.is_done]
        editions[corpus] = _edition_names(list(dict.fromkeys(datasets)))
    renamed = []
    for run in runs:
        dataset = _dataset(run, equals) if run.is_done else _expected_dataset(run, runs, equals)
        edition = editions[run.axes.corpus].get(dataset, "") if dataset else ""
        corpus = f"{run.axes.corpus}{EDITION}{edition}" if edition else run.axes.corpus
        renamed.append(replace(run, axes=replace(run.axes, corpus=corpus)))
    return renamed


def _equal_digests(runs: Sequence[Run]) -> dict[str, str]:
    """{digest of annotated clips: that of the same clips with their labels alone}.

    Runs that learn from annotations have digests of them too. Theirs are the clips of another run if the audio, the
    labels and the number are; statistics of two runs on one clip check its truth.
    """
    plain: dict[Hashable, str] = {}
    done = sorted((run for run in runs if run.is_done), key=lambda run: run.target.learns_from_annotations)
    equals = {}
    for run in done:
        assert run.metrics is not None
        audio = run.facts.get("audio")
        key = (run.axes.corpus, audio, tuple(sorted(run.labels)), run.metrics.get("clips"))
        if audio and run.target.learns_from_annotations:
            equals[_digest(run)] = plain.setdefault(key, _digest(run))
        elif audio:
            plain.setdefault(key, _digest(run))
    return equals


def _dataset(run: Run, equals: Mapping[str, str]) -> Dataset:
    assert run.metrics is not None
    digest = _digest(run)
    return Dataset(tuple(sorted(run.labels)), int(run.metrics.get("clips") or 0), equals.get(digest, digest))


def _digest(run: Run) -> str:
    digests = "\n".join(str(run.facts.get(name, "")) for name in ("manifest", "audio"))
    return hashlib.sha256(digests.encode()).hexdigest() if digests.strip() else ""


def _expected_dataset(run: Run, runs: Sequence[Run], equals: Mapping[str, str]) -> Dataset | None:
    """Dataset of an unfinished run: by its digest, else that of its grid, else the only one of its corpus."""
    rivals = [rival for rival in runs if rival.is_done and rival.axes.corpus == run.axes.corpus]
    digest = _digest(run)
    for group in (
        [rival for rival in rivals if digest and _digest(rival) == digest],
        [rival for rival in rivals if not digest and rival.path.parent == run.path.parent],
        [rival for rival in rivals if not digest],
    ):
        datasets = {_dataset(rival, equals) for rival in group}
        if len(datasets) == 1:
            return datasets.pop()
    return None


def _edition_names(datasets: Sequence[Dataset]) -> dict[Dataset, str]:
    """Distinct names: the number of labels or their list, then the number of clips or a digest."""
    label_sets = list(dict.fromkeys(dataset.labels for dataset in datasets))
    sizes = Counter(map(len, label_sets))
    names = {}
    for dataset in datasets:
        parts = []
        if len(label_sets) > 1:
            count = len(dataset.labels)
            parts.append(f"{count}-{LABELS}" if sizes[count] == 1 else "-".join(dataset.labels))
        rivals = [rival for rival in datasets if rival.labels == dataset.labels]
        if len(rivals) > 1:
            is_double = Counter(rival.clips for rival in rivals)[dataset.clips] > 1
            parts.append(f"{CLIPS}-{dataset.digest[:DIGITS]}" if is_double else f"{dataset.clips}-{CLIPS}")
        names[dataset] = ",".join(parts)
    return names


@dataclass(frozen=True)
class Auxiliary:
    """Clips of an auxiliary corpus that joined the training of a run."""

    name: str
    clips: int
    """Number of clips in use; 0 for an unfinished run."""
    digest: str
    """SHA-256 of the clips, their labels and their audio; empty where it is not known yet."""


def _by_auxiliary(runs: Sequence[Run]) -> list[Run]:
    equals = _equal_auxiliaries(runs)
    by_run = [
        [replace(corpus, digest=equals.get(corpus, corpus.digest)) for corpus in _auxiliaries(run)] for run in runs
    ]
    done = [corpus for run, corpora in zip(runs, by_run, strict=True) if run.is_done for corpus in corpora]
    names = {}
    for name in {corpus.name for corpus in done}:
        rivals = list(dict.fromkeys(corpus for corpus in done if corpus.name == name))
        sizes = Counter(rival.clips for rival in rivals)
        for rival in rivals if len(rivals) > 1 else ():
            is_double = sizes[rival.clips] > 1
            edition = f"{CLIPS}-{rival.digest[:DIGITS]}" if is_double else f"{rival.clips}-{CLIPS}"
            names[rival] = f"{name}{EDITION}{edition}"
    renamed = []
    for run, corpora in zip(runs, by_run, strict=True):
        if not run.is_done:
            corpora = [_expected_auxiliary(corpus, run, runs, by_run) for corpus in corpora]
        titles = [names.get(corpus, corpus.name) for corpus in corpora]
        renamed.append(replace(run, axes=replace(run.axes, auxiliary="+".join(titles))))
    return renamed


def _auxiliaries(run: Run) -> list[Auxiliary]:
    digests, counts = run.facts.get("auxiliary") or {}, (run.metrics or {}).get("auxiliary") or {}
    corpora = []
    for name in run.axes.auxiliary.split("+") if run.axes.auxiliary else ():
        content = "\n".join(digests[name].values()) if name in digests else ""
        digest = hashlib.sha256(content.encode()).hexdigest() if content else ""
        corpora.append(Auxiliary(name, int(counts.get(name, {}).get("used") or 0), digest))
    return corpora


def _equal_auxiliaries(runs: Sequence[Run]) -> dict[Auxiliary, str]:
    """{auxiliary corpus with annotations: digest of that with its labels alone}, as `_equal_digests`."""
    plain: dict[Hashable, str] = {}
    equals = {}
    done = sorted((run for run in runs if run.is_done), key=lambda run: run.target.learns_from_annotations)
    for run in done:
        for corpus in _auxiliaries(run):
            audio = (run.facts.get("auxiliary") or {}).get(corpus.name, {}).get("audio")
            key = (corpus.name, corpus.clips, audio)
            if audio and run.target.learns_from_annotations:
                equals[corpus] = plain.setdefault(key, corpus.digest)
            elif audio:
                plain.setdefault(key, corpus.digest)
    return equals


def _expected_auxiliary(
    corpus: Auxiliary, run: Run, runs: Sequence[Run], by_run: Sequence[Sequence[Auxiliary]]
) -> Auxiliary:
    """Auxiliary corpus of an unfinished run, with the clips of a finished one: of its digest, else of its grid."""
    rivals = {
        other
        for rival, corpora in zip(runs, by_run, strict=True)
        for other in corpora
        if rival.is_done and other.name == corpus.name
        if (other.digest == corpus.digest if corpus.digest else rival.path.parent == run.path.parent)
    }
    return rivals.pop() if len(rivals) == 1 else corpus


def _by_weights(runs: Sequence[Run]) -> list[Run]:
    def backbone(run: Run) -> Hashable:
        return run.axes.backbone, run.axes.random_weights, run.axes.weights_seed

    digests: dict[Hashable, dict[str, None]] = {}
    for run in runs:
        if run.facts.get("weights"):
            digests.setdefault(backbone(run), {})[str(run.facts["weights"])] = None
    return [_with_weights(run, digests.get(backbone(run), {})) for run in runs]


def _with_weights(run: Run, digests: Mapping[str, None]) -> Run:
    """Name the backbone by its weights, where `digests` has several of one name."""
    weights = str(run.facts.get("weights") or "")
    if len(digests) < 2 or not weights:
        return run
    title = f"{run.axes.title}, weights {weights[:DIGITS]}"
    axes = replace(run.axes, backbone=f"{run.axes.backbone}{EDITION}{weights[:DIGITS]}", backbone_name=title)
    return replace(run, axes=axes)
