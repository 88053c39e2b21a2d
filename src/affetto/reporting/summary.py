"""The opening of a report in plain words: what was run, what is missing, what is best, and what to beware of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from affetto.reporting.contrasts import by_folds
from affetto.reporting.render.stamps import SYNTHETIC
from affetto.reporting.render.text import signed_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.naming import Naming, corpus_title, split_title
from affetto.reporting.results.records import EDITION, Configuration
from affetto.reporting.stats.estimation import FEW_SPEAKERS, FOLDS
from affetto.splits.audit import OVERLAP_FLAG_PERCENT

RECOMMENDED_ON = "emovo"
"""The corpus that the shape of the recommended recipe was chosen on (docs/decisions.md)."""


@dataclass(frozen=True)
class Highlight:
    """The highest macro F1 on one corpus, ×100, beside the probe and chance."""

    corpus: str
    split: str
    name: str
    mean: float
    deviation: float | None
    low: float
    high: float
    over: str
    chance: float
    probe: float | None
    is_probe: bool
    clips: int
    speakers: int
    rivals: int
    """How many configurations it was the highest of."""
    synthetic: bool
    effective: float
    """How many speakers of equal size would tell as much."""

    @property
    def score(self) -> str:
        return f"{self.mean:.1f}" + ("" if self.deviation is None else f" ± {self.deviation:.1f}")

    @property
    def between(self) -> str:
        return f"{self.low:.1f}–{self.high:.1f}"

    @property
    def words(self) -> str:
        name = self.name[:1].upper() + self.name[1:]
        told = f"{name} has the highest macro F1, {self.score} (95 % interval {self.between} over {self.over})"
        if self.is_probe:
            more = " Nothing that was trained scores higher." if self.rivals > 1 else ""
            return f"{told}: the baseline itself, logistic regression on the frozen states.{more}"
        if self.probe is None:
            return f"{told}. No probe was run beside it; chance is {self.chance:.1f}."
        gap = signed_text(self.mean - self.probe)
        return f"{told}. The probe, the baseline, has {self.probe:.1f} ({gap}); chance is {self.chance:.1f}."


@dataclass(frozen=True)
class Summary:
    what: tuple[str, ...]
    """Sentences on what was run, and what is missing."""
    highlights: tuple[Highlight, ...]
    caveats: tuple[str, ...]


def summary(evidence: Evidence) -> Summary:
    highlights = tuple(_highlights(evidence))
    return Summary(tuple(_what(evidence)), highlights, tuple(_caveats(evidence, highlights)))


def _what(evidence: Evidence) -> list[str]:
    if not evidence.results.runs:
        count = len(evidence.results.evaluations)
        return [f"{count} test{'s' if count > 1 else ''} of trained models on other corpora; no run of its own."]
    results, naming = evidence.results, Naming(evidence.results.configurations)
    done, planned = len(results.done), len(results.runs)
    ones = evidence.results.configurations
    told = {
        "corpora": _listed(dict.fromkeys(corpus_title(one.axes.corpus) for one in ones)),
        "backbones": _listed(dict.fromkeys(one.axes.title for one in ones)),
        "methods": _listed(dict.fromkeys(naming.parts["method"](one) for one in ones)),
        "recipes": _listed(dict.fromkeys(one.axes.recipe for one in ones)),
    }
    splits = _listed(dict.fromkeys(split_title(one.split or "default") for one in ones))
    what = told["methods"][:1].upper() + told["methods"][1:]
    lines = [
        f"{what} on {told['corpora']}, with {told['backbones']}; recipe {told['recipes']}; {splits}. "
        + _done(done, planned)
    ]
    failed, broken = results.in_state("failed"), results.in_state("broken")
    begun, waiting = results.in_state("begun", "running"), results.in_state("waiting")
    parts = [
        f"{len(runs)} {what}" for runs, what in
        ((failed, "failed"), (broken, "cannot be used"), (begun, "begun and not finished"), (waiting, "not begun"))
        if runs
    ]  # fmt: skip
    if parts:
        lines.append(f"Missing: {', '.join(parts)}. What is missing is shown as —, and never filled in.")
    return lines


def _done(done: int, planned: int) -> str:
    if done == planned:
        return "The one run is done." if planned == 1 else f"All {planned} runs are done."
    return f"{done} of {planned} run{'s' if planned > 1 else ''} {'is' if done == 1 else 'are'} done."


def _highlights(evidence: Evidence) -> list[Highlight]:
    found = []
    groups: dict[tuple[str, str], list[Configuration]] = {}
    for one in evidence.configurations:
        groups.setdefault((one.axes.corpus, one.split), []).append(one)
    for (corpus, split), ones in groups.items():
        naming = Naming(ones, hide=("corpus", "split"))
        best = max(ones, key=lambda one: evidence.spread(one).mean)
        spread, estimate, baseline = evidence.spread(best), evidence.estimate(best), evidence.baseline(best)
        found.append(Highlight(
            corpus_title(corpus), split_title(split), naming.label(best), 100 * spread.mean,
            None if spread.deviation is None else 100 * spread.deviation, 100 * estimate.low, 100 * estimate.high,
            f"{estimate.units[0]:,} {estimate.over[0]}",
            100 * fmean(run.test["chance"]["macro_f1"] for run in best.done),
            None if baseline is None else 100 * evidence.spread(baseline).mean, best.axes.method == "probe",
            best.done[0].test["n"], len(best.done[0].test["per_speaker"]), len(ones), best.synthetic,
            estimate.effective[0],
        ))  # fmt: skip
    return found


def _caveats(evidence: Evidence, highlights: Sequence[Highlight]) -> list[str]:
    lines = _of_what_was_run(evidence)
    lines += _of_seeds(evidence)
    alone = [each.corpus for each in highlights if each.over.endswith("clips")]
    if alone:
        lines.append(
            f"{_listed(dict.fromkeys(alone))}: too few speakers were tested. There intervals are over clips, and say "
            "nothing about other voices."
        )
    for one in highlights:
        if one.over.endswith("speakers") and one.effective < FEW_SPEAKERS:
            uneven = f", as telling as {one.effective:.0f} of equal size" if one.effective < 0.8 * one.speakers else ""
            lines.append(
                f"{one.corpus}, {one.split}: {one.speakers} speakers were tested{uneven}. So few carry wide intervals, "
                "and no difference is called significant."
            )
    if by_folds(evidence.configurations):
        lines.append(FOLDS)
    if most := max((one.rivals for one in highlights if one.rivals > 1), default=0):
        lines.append(
            f"The highest of up to {most} configurations was picked on the test speakers: its score is somewhat "
            "optimistic."
        )
    titles = {run.metrics["split_checksum"]: run.axes.corpus for run in evidence.results.done if run.metrics}
    for checksum, split in evidence.results.splits.items():
        known = [fold["prompt_overlap_percent"] for fold in split.audit["folds"]]
        worst = max((overlap for overlap in known if overlap is not None), default=0.0)
        if worst > OVERLAP_FLAG_PERCENT:
            corpus = corpus_title(titles.get(checksum, split.corpus))
            lines.append(
                f"{corpus}, {split_title(split.protocol)}: {worst:.0f} % of the test clips have a "
                "sentence that is also spoken in training; the score may owe to known words."
            )
    return lines


def _of_seeds(evidence: Evidence) -> list[str]:
    """A caution where one seed was run: its score is one draw of the method's."""
    single = [each for each in evidence.trained if (system := evidence.system(each)) and len(system.seeds) == 1]
    if not single:
        return []
    of = "all" if len(single) == len(evidence.trained) else f"{len(single)} of {len(evidence.trained)}"
    return [
        f"One seed was run of {of} configurations: their scores, intervals and verdicts are about the models that were "
        "trained, and not about the methods. Another seed gives another score; run three or more."
    ]


def _of_what_was_run(evidence: Evidence) -> list[str]:
    results, lines = evidence.results, []
    if results.synthetic or results.partly_synthetic:
        whole = "All" if results.synthetic else "Some"
        lines.append(
            f"{whole} of this is {SYNTHETIC}: it shows that the machinery works, and says nothing about how "
            "well real models do on real speech."
        )
    if any(run.stand_in for run in results.runs):
        lines.append("Small backbones with random weights stood in for the named ones: a miniature.")
    elif any(run.axes.random_weights for run in results.done):
        lines.append("Some of the backbones have random weights.")
    lines += _editions(evidence)
    recipes = {(run.axes.dataset, run.axes.recipe, run.synthetic) for run in results.done}
    if (RECOMMENDED_ON, "recommended", False) in recipes:
        lines.append(
            "The shape of the recommended recipe was chosen on EMOVO as a whole, so its lead there is somewhat "
            "optimistic; whatever data decide was decided inside each fold."
        )
    return lines


def _editions(evidence: Evidence) -> list[str]:
    """Names that stand for several things in this report."""
    lines, done = [], evidence.results.done
    for name in dict.fromkeys(run.axes.dataset for run in done):
        editions = list(dict.fromkeys(corpus_title(run.axes.corpus) for run in done if run.axes.dataset == name))
        if len(editions) > 1:
            lines.append(
                f"{corpus_title(name)} was run with different labels or clips, which are kept apart: "
                f"{_listed(editions)}. Scores of one and of another do not compare."
            )
    for name in dict.fromkeys(run.axes.backbone.partition(EDITION)[0] for run in done if EDITION in run.axes.backbone):
        lines.append(f"The backbone {name} was loaded with different weights, which are kept apart.")
    return lines


def _listed(items: Sequence[str] | dict[str, None]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    names = list(items)
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
