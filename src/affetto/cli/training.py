"""`affetto train`, `affetto settings` and `affetto methods`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from affetto.cli.arguments import (
    CorpusColumns,
    CorpusOptions,
    Device,
    KeepOther,
    LabelsByCorpus,
    Quiet,
    pairs,
    run_corpora,
    stack_size,
)


def complete_method(incomplete: str) -> list[str]:
    """Names of methods that begin with `incomplete`, for the completion of a shell."""
    from affetto.models.methods.registry import METHODS

    return [name for name in METHODS if name.startswith(incomplete)]


def complete_target(incomplete: str) -> list[str]:
    """Names of targets that begin with `incomplete`, for the completion of a shell."""
    from affetto.targets.registry import TARGETS

    return [name for name in TARGETS if name.startswith(incomplete)]


TARGET_HELP = (
    "what is predicted: classes, distribution (raters' shares), multilabel, dimensions (such as arousal) or joint "
    "(classes and dimensions); by default the first that the clips have"
)
METHOD_HELP = "method of adaptation: a name of `affetto methods`, or several with + between them (lora+adapter)"


def train(
    backbone: Annotated[str, typer.Option(help="key (wav2vec2-base …), hub id (owner/name) or folder of a checkpoint")],
    method: Annotated[str, typer.Option(help=METHOD_HELP, autocompletion=complete_method)],
    out: Annotated[Path, typer.Option(help="folder of the run; an unfinished run there goes on")],
    corpus: Annotated[list[str] | None, typer.Option(metavar="NAME=PATH", help="a corpus; may be repeated")] = None,
    table: Annotated[
        list[str] | None, typer.Option(metavar="PATH", help="a CSV or TSV: file, emotion, speaker")
    ] = None,
    auxiliary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="a corpus whose clips join the training, and neither validation nor test; may be repeated",
        ),
    ] = None,
    target: Annotated[str | None, typer.Option(help=TARGET_HELP, autocompletion=complete_target)] = None,
    recipe: Annotated[
        str | None, typer.Option(help="named set of settings: recommended (the default) or paper")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="split: paper, loso, kfold:K, official, published, prompt-disjoint or column")
    ] = None,
    split_seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="seed of the split")] = 0,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="seed of the training")] = 0,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="weights at random in the shapes of the key, without pre-training")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SETTING=VALUE",
            help="change a setting, e.g. training.epochs=5; `affetto settings` lists them",
        ),
    ] = None,
    label: LabelsByCorpus = None,
    keep_other: KeepOther = False,
    option: CorpusOptions = None,
    dimension: CorpusColumns = None,
    device: Device = "auto",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="leave unusable clips out, and name them")] = False,
    allow_duplicates: Annotated[
        bool,
        typer.Option(
            "--allow-duplicates", help="leave copies of a recording out of the test part, instead of an error"
        ),
    ] = False,
    no_probe: Annotated[
        bool, typer.Option("--no-probe", help="no baseline (logistic regression) beside the result")
    ] = False,
    no_final: Annotated[
        bool, typer.Option("--no-final", help="with folds: no model trained on all speakers at the end")
    ] = False,
    record_states: Annotated[
        bool, typer.Option("--record-states", help="write the size of each hidden state to metrics.json")
    ] = False,
    stack: Annotated[
        str,
        typer.Option(metavar="auto|N", help="folds fitted together as one training; auto: 8 on a GPU, 1 on the CPU"),
    ] = "auto",
    quiet: Quiet = False,
) -> None:
    """Train and test a classifier on a corpus or on your own table."""
    from affetto.backbones.catalogue import check_backbone
    from affetto.models.methods.registry import METHODS
    from affetto.training.spec import DEFAULT_RECIPE, RunSpec, settings

    METHODS.find(method)
    if target is not None:
        from affetto.targets.registry import TARGETS

        TARGETS.find(target)
    at_once = stack_size(stack)
    recipe = recipe or DEFAULT_RECIPE
    resolved = settings(recipe, pairs(set_, "--set"), method=method, has_auxiliary=bool(auxiliary))
    check_backbone(backbone, random_weights=random_weights)
    tested, joining = run_corpora(corpus, table, auxiliary, option=option, dimension=dimension)
    spec = RunSpec(
        corpora=tested,
        auxiliary=joining,
        backbone=backbone,
        method=method,
        target=target,
        recipe=recipe,
        split=split,
        split_seed=split_seed,
        seed=seed,
        random_weights=random_weights,
        settings=resolved,
        labels=pairs(label, "--label"),
        keep_other=keep_other,
        skip_bad=skip_bad,
        probe=not no_probe,
        final=not no_final,
        record_states=record_states,
        allow_duplicates=allow_duplicates,
    )
    from affetto.training import device as devices
    from affetto.training.display import Display
    from affetto.training.train import train as run

    metrics = run(spec, out, device=device, display=Display(quiet), stack=at_once)
    if devices.speaks():
        _show(method, metrics, out)


def _show(method: str, metrics: dict[str, Any], out: Path) -> None:
    """Print the result and that of the probe as a table."""
    from affetto.reporting.over_probe import over_probe
    from affetto.reporting.render.terminal import print_sheet
    from affetto.reporting.terminal_sheets import ScoredSet, score_sheet
    from affetto.targets.registry import target_of_run

    synthetic, target = metrics["synthetic"], target_of_run(metrics)
    sets = [
        ScoredSet(
            name=method,
            scores=metrics["test"],
            target=target,
            trained=metrics["trainable_parameters"],
            seconds=metrics["wall_seconds"],
            synthetic=synthetic,
        )
    ]
    if "probe" in metrics:
        probe = metrics["probe"]["test"]
        sets.append(ScoredSet(name="probe", scores=probe, target=target, synthetic=synthetic))
    print_sheet(score_sheet(sets))
    note = over_probe(method, metrics)
    if note is not None:
        typer.echo(note, err=True)
    typer.echo(f"{out}/metrics.json has the rest. {_use(metrics, out)}")


def _use(metrics: dict[str, Any], out: Path) -> str:
    """A sentence on how to predict with the run: by its model or, without a final one, by that of a fold."""
    from affetto.training.runs import RunFolder

    if metrics.get("final", {}).get("trained", True):
        return f"Use it: affetto predict {out} FILE…"
    fold = RunFolder(out).fold(metrics["folds"][0]["name"]).path
    return f"It has no final model. Use that of a fold: affetto predict {fold} FILE…"


def show_settings(
    recipe: Annotated[str | None, typer.Option(help="recipe whose values are shown")] = None,
    method: Annotated[
        str | None,
        typer.Option(help="only settings that have an effect with this method", autocompletion=complete_method),
    ] = None,
) -> None:
    """List the settings that --set changes, with the values of a recipe."""
    from affetto.models.methods.registry import METHODS
    from affetto.training.spec import DEFAULT_RECIPE, setting_choices, setting_names, settings, without_effect

    if method is not None:
        METHODS.find(method)
    resolved = settings(recipe or DEFAULT_RECIPE, method=method)
    values = resolved.model_dump()
    choices = setting_choices()
    for name, meaning in setting_names().items():
        if method is not None and without_effect(resolved, method, name):
            continue
        section, field = name.split(".")
        if any(choice not in meaning for choice in choices.get(name, ())):
            meaning += f"; one of {', '.join(choices[name])}"
        typer.echo(f"{name}={json.dumps(values[section][field])}  # {meaning}")


def show_methods(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON and nothing else")] = False,
) -> None:
    """List the methods of adaptation and what each trains."""
    from affetto.models.methods.registry import METHODS

    facts = {name: method.summary() for name, method in METHODS.items()}
    if as_json:
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    width = max(map(len, facts))
    for name, method in facts.items():
        source = f" ({method['source']})" if method["source"] else ""
        typer.echo(f"{name:<{width}}  {method['title']}: {method['trains']}{source}")
    typer.echo("\nMethods that change different parts of a block can be combined, for example lora+adapter.")
    typer.echo("Settings of a method: affetto settings --method NAME")
