"""A paragraph on the method of finished runs, for an article: sentences whose facts the runs' files state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from affetto.measures.intervals import LEVEL
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import backbone_title, corpus_title, method_title, split_title
from affetto.reporting.results.records import Configuration, Run

LIBRARIES = ("affetto", "torch", "transformers", "peft", "scikit-learn")
"""Software that the paragraph names with its version."""


def methods_paragraph(evidence: Evidence) -> str:
    """Data, split, models, training, seeds, statistics and software of all finished runs; empty where none is."""
    configs = [config for config in evidence.results.every_configuration if config.done]
    if not configs:
        return ""
    runs = [run for config in configs for run in config.done]
    sentences = [
        *_data(evidence, configs),
        *_splits(configs),
        _models(configs),
        *_training(configs),
        _seeds(configs),
        _statistics(),
        _software(runs),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _data(evidence: Evidence, configs: Sequence[Configuration]) -> Iterator[str]:
    for corpus in dict.fromkeys(config.axes.corpus for config in configs):
        run = next(config.done[0] for config in configs if config.axes.corpus == corpus)
        metrics = run.metrics or {}
        split = evidence.results.splits.get(str(metrics.get("split_checksum")))
        speakers = f" of {split.audit['speakers']} speakers" if split and split.audit else ""
        labels = f", labelled as {_listed(run.labels)}" if run.labels else ""
        kind = " of synthetic speech" if run.synthetic else ""
        yield f"{corpus_title(corpus)} has {metrics.get('clips', 0):,} clips{speakers}{kind}{labels}."
    joined = dict.fromkeys(config.axes.auxiliary for config in configs if config.axes.auxiliary)
    for names in joined:
        yield f"Clips of {_listed(corpus_title(name) for name in names.split('+'))} joined the training in some runs."


def _splits(configs: Sequence[Configuration]) -> Iterator[str]:
    splits = dict.fromkeys(config.split for config in configs)
    titles = _listed(split_title(split) for split in splits)
    yield f"Tests are speaker-independent ({titles}): no speaker is in two parts."
    numbers = sorted({config.axes.speakers for config in configs} - {0})
    if numbers:
        yield (
            f"Some runs learned from fewer speakers ({_listed(map(str, numbers))} a fold, training and validation "
            "together, drawn by the seed) and were tested on the same clips."
        )


def _models(configs: Sequence[Configuration]) -> str:
    backbones = dict.fromkeys(backbone_title(config.axes) for config in configs)
    methods = dict.fromkeys(method_title(config.axes.method) for config in configs)
    many = "backbone was" if len(backbones) == 1 else "backbones were"
    return f"The {many} {_listed(backbones)}; the methods: {_listed(methods)}."


def _training(configs: Sequence[Configuration]) -> Iterator[str]:
    """Steps of the trained methods, a sentence for each recipe, and the names of the changed settings."""
    texts: dict[str, None] = {}
    for config in configs:
        spec = config.done[0].spec or {}
        training = (spec.get("settings") or {}).get("training") or {}
        if config.axes.is_baseline or not training.get("epochs"):
            continue
        rate = f"{training['lr']:g}"
        if training.get("method_lr") and training["method_lr"] != training["lr"]:
            rate += f" (weights of the method: {training['method_lr']:g})"
        texts[
            f"Under the recipe {config.axes.recipe}, models were trained by {training['optimizer']} at a rate of "
            f"{rate} in batches of {training['batch_size']} for at most {training['epochs']} epochs, of which the "
            "validation speakers chose one."
        ] = None
    yield from texts
    changed = dict.fromkeys(name for config in configs for name, _ in config.axes.settings)
    if changed:
        yield f"Some runs changed {_listed(changed)}, as the table of settings shows."


def _seeds(configs: Sequence[Configuration]) -> str:
    seeds = sorted({run.axes.seed for config in configs for run in config.done})
    if len(seeds) == 1:
        return "Each configuration was run with one seed."
    most = max(len(config.done) for config in configs)
    return f"Configurations were run with up to {most} seeds; scores are mean ± sample standard deviation over seeds."


def _statistics() -> str:
    return (
        f"Intervals are at {100 * LEVEL:.0f} % by Student's t, whose standard error is that of the jackknife over "
        "speakers and of the seeds; paired comparisons exchange the two systems within speakers, with "
        "Holm's correction."
    )


def _software(runs: Sequence[Run]) -> str:
    versions: dict[str, set[str]] = {}
    for run in runs:
        provenance = (run.metrics or {}).get("provenance") or {}
        for name, version in (provenance.get("versions") or {}).items():
            if name in LIBRARIES and version:
                versions.setdefault(name, set()).add(str(version))
    if not versions:
        return ""
    software = [f"{name} {' and '.join(sorted(versions[name]))}" for name in LIBRARIES if name in versions]
    precisions = sorted({str((run.metrics or {}).get("precision")) for run in runs})
    return f"Software: {_listed(software)}; precision: {_listed(precisions)}."


def _listed(items: Iterable[str]) -> str:
    """`a, b and c`."""
    *first, last = list(items) or [""]
    return f"{', '.join(first)} and {last}" if first else last
