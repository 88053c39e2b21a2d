"""Commands that repeat finished runs, from the specs in their folders."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from affetto.reporting.results.records import Configuration, Run
from affetto.training.spec import DEFAULT_RECIPE, CorpusSpec


def command(config: Configuration) -> str | None:
    """The command of a configuration, with `$SEED` for the seeds of several runs; None where no run has its spec.

    A path of this machine is no part of it: a corpus stands for its folder in capitals, a checkpoint for its name.
    """
    run = config.done[0]
    if not run.spec:
        return None
    spec, axes = run.spec, run.axes
    words = ["affetto train"]
    for option, corpora in (("--corpus", spec["corpora"]), ("--auxiliary", spec.get("auxiliary", ()))):
        for corpus in corpora:
            words.append(f"{option} {_corpus(corpus)}")
    words += [f"--backbone {shlex.quote(_backbone(run))}", f"--method {axes.method}"]
    words += [f"--recipe {axes.recipe}"] if axes.recipe != DEFAULT_RECIPE else []
    words += [] if axes.is_plain else [f"--target {axes.target}"]
    words.append(f"--split {config.split}")
    words += [f"--split-seed {axes.split_seed}"] if axes.split_seed else []
    words += ["--random-weights"] if axes.random_weights else []
    words += [f"--set {shlex.quote(f'{name}={value}')}" for name, value in axes.settings]
    words += list(_flags(spec))
    words.append("--seed $SEED" if len(config.done) > 1 else f"--seed {axes.seed}")
    return " ".join([*words, "--out RUN"])


def _corpus(corpus: Mapping[str, Any]) -> str:
    name = corpus.get("name")
    folder = PurePath(corpus["path"]).name
    return shlex.quote(f"{name}={name.upper()}" if name else folder)


def _backbone(run: Run) -> str:
    return run.axes.backbone if not PurePath(run.axes.backbone).is_absolute() else run.axes.title


def _flags(spec: Mapping[str, Any]) -> Iterator[str]:
    """Options that name their value, and switches."""
    tested, joining = (
        [CorpusSpec.model_validate(corpus) for corpus in spec.get(part, ())] for part in ("corpora", "auxiliary")
    )
    for corpora, is_named in ((tested, len(tested) > 1), (joining, True)):
        for corpus in corpora:
            # Options without a corpus's name are for the tested corpora alone.
            prefix = f"{corpus.address}:" if is_named else ""
            for option, text in corpus.options.items():
                yield f"--option {shlex.quote(f'{prefix}{option}={text}')}"
    for name, value in (spec.get("labels") or {}).items():
        yield f"--label {shlex.quote(f'{name}={value}')}"
    switches = (
        ("keep_other", True, "--keep-other"),
        ("skip_bad", True, "--skip-bad"),
        ("allow_duplicates", True, "--allow-duplicates"),
        ("probe", False, "--no-probe"),
        ("final", False, "--no-final"),
    )
    for name, value, switch in switches:
        if spec.get(name) is value:
            yield switch
