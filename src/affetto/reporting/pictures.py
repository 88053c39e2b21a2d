"""Which figures a report has: each with a name, words for those who cannot see it, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from affetto.reporting import ablation_sheets, calibration, costs, figures, strips, tables
from affetto.reporting import reliability as reliable
from affetto.reporting.intervals import interval_words
from affetto.reporting.layers import state_sizes
from affetto.reporting.render.picture import Picture, slug
from affetto.reporting.render.stamps import stamp_of
from affetto.reporting.render.text import percent_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming, backbone_title, corpus_title, method_title, split_title
from affetto.reporting.results.records import Configuration
from affetto.reporting.stats.estimation import Estimate

MOST_PANELS = 9
MOST = 8
"""Configurations of a corpus that are each drawn; of more only the highest, and its baseline."""


Group = tuple[str, str, tuple[Configuration, ...]]
"""Corpus, split, and the configurations on both."""


def grouped(evidence: Evidence) -> list[Group]:
    found: dict[tuple[str, str], list[Configuration]] = {}
    for one in evidence.configurations:
        found.setdefault((one.axes.corpus, one.split), []).append(one)
    return [(corpus, split, tuple(ones)) for (corpus, split), ones in found.items()]


def methods(evidence: Evidence) -> list[Picture]:
    """A figure a corpus: macro F1 with interval, speakers and chance."""
    made = []
    for corpus, split, ones in grouped(evidence):
        naming = Naming(ones, hide=("corpus", "split"))
        rows = [_row(evidence, one, naming.label(one)) for one in ones]
        title = f"Macro F1: {_under(corpus, split, naming)}"
        name = f"methods-{stem(evidence, corpus, split)}"
        told = "; ".join(f"{row['name']} {tables.estimate(row)}" for row in rows)
        synthetic = all(one.synthetic for one in ones)
        made.append(Picture(name, title, f"{title}. {told}.", _drawing(figures.method_bars, rows, title, synthetic)))
    return made


def speakers(evidence: Evidence) -> list[Picture]:
    """A figure a corpus: UAR within each speaker."""
    made = []
    for corpus, split, ones in grouped(evidence):
        shown = ones if len(ones) <= MOST else _chosen(evidence, ones)
        naming = Naming(shown, hide=("corpus", "split"))
        scores = {naming.label(one): _speakers(one) for one in shown}
        title = f"UAR by speaker: {_under(corpus, split, naming)}"
        chance = 1 / len(shown[0].done[0].test["labels"])
        name = f"speakers-{stem(evidence, corpus, split)}"
        said = stamp_of(shown)

        def draw(
            path: Path, scores: Any = scores, title: str = title, chance: float = chance, said: str = said
        ) -> Path:
            return strips.speaker_strips(scores, path, title, chance, said)

        made.append(Picture(name, title, f"{title}. The same values stand in the table.", draw))
    return made


def confusions(evidence: Evidence) -> list[Picture]:
    """Of each corpus the configuration with the highest macro F1 first, then the others where they are few."""
    first: list[Picture] = []
    rest: list[Picture] = []
    for corpus, split, ones in grouped(evidence):
        naming = Naming(ones, hide=("corpus", "split"))
        best = highest(evidence, ones)
        for one in sorted(ones, key=lambda each: each is not best) if len(ones) <= MOST else [best]:
            scores = _pooled(evidence, one)
            title = f"Confusion: {naming.label(one)}, {_under(corpus, split, naming)}"
            name = f"confusion-{stem(evidence, corpus, split)}-{slug(naming.label(one))}"
            draw = partial(_confusion, scores=scores, title=title, synthetic=one.synthetic, seeds=len(one.done))
            picture = Picture(name, title, f"{title}. {_told(scores)}", draw)
            (first if one is best else rest).append(picture)
    return [*first, *rest]


def layers(evidence: Evidence) -> list[Picture]:
    """Sizes of the hidden states, a panel a configuration that has measured them."""
    groups = dict(list(ablation_sheets.state_groups(evidence).items())[:MOST_PANELS])
    if not groups:
        return []
    title = "Sizes of the hidden states"
    said = stamp_of(evidence.configurations)

    def draw(path: Path) -> Path:
        return state_sizes(groups, path, title, said)

    return [Picture("states", title, f"{title}. The same values stand in the table.", draw)]


def reliability_groups(evidence: Evidence) -> list[Group]:
    return [
        (corpus, split, ones if len(ones) <= MOST else tuple(_chosen(evidence, ones)))
        for corpus, split, ones in grouped(evidence)
    ]


def reliability_picture(evidence: Evidence, group: Group) -> Picture:
    corpus, split, ones = group
    naming = Naming(ones, hide=("corpus", "split"))
    found = {naming.label(one): calibration.calibration(s) for one in ones if (s := evidence.system(one))}
    title = f"Reliability: {_under(corpus, split, naming)}"
    said = stamp_of(ones)

    def draw(path: Path) -> Path:
        return reliable.reliability_curves(found, path, title, said)

    told = "; ".join(f"{name} ECE {100 * one.ece:.1f}" for name, one in found.items())
    return Picture(f"reliability-{stem(evidence, corpus, split)}", title, f"{title}. {told}.", draw)


def reliability(evidence: Evidence) -> list[Picture]:
    """A figure a corpus."""
    return [reliability_picture(evidence, group) for group in reliability_groups(evidence)]


def cost(evidence: Evidence) -> list[Picture]:
    """A figure a corpus: what is trained and how long it took, against macro F1."""
    made = []
    for corpus, split, ones in grouped(evidence):
        points, lines, estimates = [], [], []
        for one in ones:
            runs = [run.metrics for run in one.done if run.metrics and "wall_seconds" in run.metrics]
            method, backbone = method_title(one.axes.method), backbone_title(one.axes)
            estimate, score = evidence.estimate(one), 100 * evidence.spread(one).mean
            if runs:
                estimates.append(estimate)
                points.append(
                    costs.Point(
                        method=method,
                        backbone=backbone,
                        score=score,
                        low=100 * estimate.low,
                        high=100 * estimate.high,
                        trained=max(1, runs[0]["trainable_parameters"]),
                        seconds=max(0.1, fmean(run["wall_seconds"] for run in runs)),
                    )
                )
            else:
                lines.append(costs.Line(method=method, backbone=backbone, score=score))
        if len(points) + len(lines) > 1 and points:
            title = f"Cost against macro F1: {_under(corpus, split, Naming(ones))}"
            interval = interval_words(estimates)
            draw = partial(_cost, points=points, lines=lines, title=title, interval=interval, stamp=stamp_of(ones))
            name = f"cost-{stem(evidence, corpus, split)}"
            made.append(Picture(name, title, f"{title}. The same values stand in the tables.", draw))
    return made


def _cost(path: Path, **drawn: Any) -> Path:
    return costs.cost_against_score(path=path, **drawn)


def _pooled(evidence: Evidence, one: Configuration) -> dict[str, Any]:
    """For the figure of confusions: the counts of all seeds together, the scores as in the tables, clips once."""
    scores, estimate = evidence.pooled(one), evidence.estimate(one)
    tests = [run.test for run in one.done]
    for label, each in scores["per_class"].items():
        each["f1"] = fmean(test["per_class"][label]["f1"] for test in tests)
    return scores | {
        "macro_f1": evidence.spread(one).mean,
        "uar": evidence.spread(one, "uar").mean,
        "n": tests[0]["n"],
        "chance": tests[0]["chance"],
        "interval": _interval(estimate),
    }


def _row(evidence: Evidence, one: Configuration, name: str) -> dict[str, Any]:
    """A row for the figure of methods: mean over seeds, interval with seeds averaged, each speaker's mean."""
    estimate = evidence.estimate(one)
    speakers = {speaker for run in one.done for speaker in run.test["per_speaker"]}
    of_speaker = {
        speaker: {"macro_f1": fmean(r.test["per_speaker"][speaker]["macro_f1"] for r in one.done)}
        for speaker in speakers
    }
    return {
        "name": name,
        "macro_f1": evidence.spread(one).mean,
        "n": one.done[0].test["n"],
        "synthetic": one.synthetic,
        "interval": _interval(estimate),
        "chance": fmean(run.test["chance"]["macro_f1"] for run in one.done),
        "per_speaker": of_speaker,
    }


def _interval(estimate: Estimate) -> dict[str, Any]:
    """What a figure is told of an interval: as `metrics.json` tells of a run's, and the seeds that are in it."""
    return {"macro_f1": [estimate.low, estimate.high], **estimate.basis, "seeds": len(estimate.seeds)}


def _confusion(path: Path, scores: Mapping[str, Any], title: str, synthetic: bool, seeds: int) -> Path:
    return figures.confusion_matrix(scores, path, title, synthetic, seeds=seeds)


def _speakers(one: Configuration, measure: str = "uar") -> dict[str, float]:
    """Of each test speaker the mean over seeds."""
    found: dict[str, list[float]] = {}
    for run in one.done:
        for speaker, scored in run.test["per_speaker"].items():
            found.setdefault(speaker, []).append(scored[measure])
    return {speaker: fmean(values) for speaker, values in sorted(found.items())}


def _chosen(evidence: Evidence, ones: Sequence[Configuration]) -> list[Configuration]:
    """Of many: those of the backbone with the highest macro F1."""
    best = highest(evidence, ones)
    alike = [one for one in ones if one.axes.backbone == best.axes.backbone]
    return sorted(alike, key=lambda one: (one is not best, -evidence.spread(one).mean))[:MOST]


def highest(evidence: Evidence, ones: Sequence[Configuration]) -> Configuration:
    return max(ones, key=lambda one: evidence.spread(one).mean)


def _under(corpus: str, split: str, naming: Naming) -> str:
    told = [naming.fixed[name] for name in ("backbone",) if name in naming.fixed]
    return ", ".join([corpus_title(corpus), split_title(split), *told])


def stem(evidence: Evidence, corpus: str, split: str) -> str:
    several = len({one.split for one in evidence.configurations if one.axes.corpus == corpus}) > 1
    return slug(f"{corpus} {split}" if several else corpus)


def _told(scores: Any) -> str:
    parts = [f"{label} F1 {percent_text(each['f1'])}" for label, each in scores["per_class"].items()]
    return "; ".join(parts) + "."


def _drawing(figure: Callable[..., Path], data: Any, title: str, synthetic: bool) -> Callable[[Path], Path]:
    return lambda path: figure(data, path, title, synthetic)
