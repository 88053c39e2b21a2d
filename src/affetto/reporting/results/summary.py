"""Summary of a report in plain words: the runs, what is missing, the highest scores, and cautions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from affetto.reporting.render.stamps import SYNTHETIC
from affetto.reporting.render.text import signed_text
from affetto.reporting.results.analysis import Evidence
from affetto.reporting.results.contrasts import by_folds
from affetto.reporting.results.naming import Naming, corpus_title, split_title
from affetto.reporting.results.parts import other_configurations
from affetto.reporting.results.records import EDITION, Configuration, Results
from affetto.reporting.stats.estimation import FEW_SPEAKERS, FOLDS
from affetto.splits.audit import OVERLAP_FLAG_PERCENT
from affetto.targets.registry import PLAIN
from affetto.training.spec import DEFAULT_RECIPE, RECOMMENDED_ON


@dataclass(frozen=True, kw_only=True)
class Highlight:
    """Configuration with the highest macro F1 on one corpus, with its score, the baseline's and chance, all ×100."""

    corpus: str
    split: str
    name: str
    mean: float
    deviation: float | None
    low: float
    high: float
    over: str
    """Units of the interval, `6 speakers`."""
    chance: float
    probe: float | None
    """Score of the baseline; None where none was run."""
    is_probe: bool
    """True if the baseline itself has the highest score."""
    clips: int
    speakers: int
    rivals: int
    """Number of configurations of which it is the highest."""
    synthetic: bool
    effective: float
    """Number of equally large speakers that would be as informative."""

    @property
    def score(self) -> str:
        return f"{self.mean:.1f}" + ("" if self.deviation is None else f" ± {self.deviation:.1f}")

    @property
    def between(self) -> str:
        return f"{self.low:.1f}–{self.high:.1f}"

    @property
    def words(self) -> str:
        """One to three sentences."""
        name = self.name[:1].upper() + self.name[1:]
        start = f"{name} has the highest macro F1, {self.score} (95 % interval {self.between} over {self.over})"
        if self.is_probe:
            comparison = " Nothing that was trained scores higher." if self.rivals > 1 else ""
            return f"{start}: the baseline itself, logistic regression on the frozen states.{comparison}"
        if self.probe is None:
            return f"{start}. No probe was run beside it; chance is {self.chance:.1f}."
        gap = signed_text(self.mean - self.probe)
        return f"{start}. The probe, the baseline, has {self.probe:.1f} ({gap}); chance is {self.chance:.1f}."

    def to_dict(self) -> dict[str, object]:
        """The highlight for `--json`."""
        return {
            "corpus": self.corpus,
            "split": self.split,
            "configuration": self.name,
            "macro_f1": self.mean,
            "interval": [self.low, self.high],
            "probe": self.probe,
            "chance": self.chance,
        }


@dataclass(frozen=True)
class Summary:
    """Opening of a report."""

    overview: tuple[str, ...]
    """Sentences on the runs, and on what is missing."""
    highlights: tuple[Highlight, ...]
    """Highest score of each corpus and split."""
    caveats: tuple[str, ...]
    """Cautions, a sentence or two each."""


def summarise(evidence: Evidence) -> Summary:
    """Summarise the results."""
    highlights = tuple(_highlights(evidence))
    return Summary(tuple(_overview(evidence)), highlights, tuple(_caveats(evidence, highlights)))


def _overview(evidence: Evidence) -> list[str]:
    results = evidence.results
    if not results.every_run:
        count = len(results.every_evaluation)
        return [f"{count} test{'s' if count > 1 else ''} of trained models on other corpora; no run of its own."]
    configs = results.every_configuration
    naming = Naming(configs)
    methods = _list_words(naming.parts["method"](config) for config in configs)
    corpora = _list_words(corpus_title(config.axes.corpus) for config in configs)
    backbones = _list_words(config.axes.title for config in configs)
    recipes = _list_words(config.axes.recipe for config in configs)
    splits = _list_words(split_title(config.split or "default") for config in configs)
    targets = _list_words(config.axes.target for config in configs)
    of_targets = "" if targets == PLAIN else f" target {targets};"
    lines = [
        f"{methods[:1].upper()}{methods[1:]} on {corpora}, with {backbones};{of_targets} recipe {recipes}; {splits}. "
        + _done_sentence(len(results.every_done), len(results.every_run))
    ]
    groups = {
        "failed": results.in_state("failed"),
        "cannot be used": results.in_state("broken"),
        "begun and not finished": results.in_state("begun", "running"),
        "not begun": results.in_state("waiting"),
    }
    parts = [f"{len(runs)} {words}" for words, runs in groups.items() if runs]
    if parts:
        lines.append(f"Missing: {', '.join(parts)}. A missing result is shown as —, and never filled in.")
    return lines


def _done_sentence(done: int, planned: int) -> str:
    if done == planned:
        return "The one run is done." if planned == 1 else f"All {planned} runs are done."
    return f"{done} of {planned} run{'s' if planned > 1 else ''} {'is' if done == 1 else 'are'} done."


def _highlights(evidence: Evidence) -> list[Highlight]:
    groups: dict[tuple[str, str], list[Configuration]] = {}
    for config in evidence.configurations:
        groups.setdefault((config.axes.corpus, config.split), []).append(config)
    return [_highlight(evidence, corpus, split, configs) for (corpus, split), configs in groups.items()]


def _highlight(evidence: Evidence, corpus: str, split: str, configs: Sequence[Configuration]) -> Highlight:
    best = max(configs, key=lambda config: evidence.spread(config).mean)
    spread, estimate, baseline = evidence.spread(best), evidence.estimate(best), evidence.baseline(best)
    test = best.done[0].test
    return Highlight(
        corpus=corpus_title(corpus),
        split=split_title(split),
        name=Naming(configs, hide=("corpus", "split")).label(best),
        mean=100 * spread.mean,
        deviation=None if spread.deviation is None else 100 * spread.deviation,
        low=100 * estimate.low,
        high=100 * estimate.high,
        over=f"{estimate.units[0]:,} {estimate.over[0]}",
        chance=100 * fmean(run.test["chance"]["macro_f1"] for run in best.done),
        probe=None if baseline is None else 100 * evidence.spread(baseline).mean,
        is_probe=best.axes.is_baseline,
        clips=test["n"],
        speakers=len(test["per_speaker"]),
        rivals=len(configs),
        synthetic=best.synthetic,
        effective=estimate.effective[0],
    )


def _caveats(evidence: Evidence, highlights: Sequence[Highlight]) -> list[str]:
    lines = [*_origin_caveats(evidence), *_seed_caveats(evidence), *_speaker_caveats(highlights)]
    if by_folds((*evidence.configurations, *other_configurations(evidence))):
        lines.append(FOLDS)
    if most := max((highlight.rivals for highlight in highlights if highlight.rivals > 1), default=0):
        lines.append(
            f"The highest of up to {most} configurations was picked on the test speakers: its score is somewhat "
            "optimistic."
        )
    return lines + _sentence_caveats(evidence)


def _speaker_caveats(highlights: Sequence[Highlight]) -> list[str]:
    """Cautions about intervals over clips, and over few speakers."""
    lines = []
    over_clips = [highlight.corpus for highlight in highlights if highlight.over.endswith("clips")]
    if over_clips:
        lines.append(
            f"{_list_words(over_clips)}: too few speakers were tested. Their intervals are over clips, and say nothing "
            "about other voices."
        )
    for highlight in highlights:
        if highlight.over.endswith("speakers") and highlight.effective < FEW_SPEAKERS:
            is_uneven = highlight.effective < 0.8 * highlight.speakers
            uneven = f", as telling as {highlight.effective:.0f} of equal size" if is_uneven else ""
            lines.append(
                f"{highlight.corpus}, {highlight.split}: {highlight.speakers} speakers were tested{uneven}. With so "
                "few the intervals are wide, and no difference is called significant."
            )
    return lines


def _sentence_caveats(evidence: Evidence) -> list[str]:
    """Cautions about test sentences that are also spoken in training."""
    worst: dict[tuple[str, str], float] = {}
    corpora = {run.metrics["split_checksum"]: run.axes.corpus for run in evidence.results.every_done if run.metrics}
    for checksum, split in evidence.results.splits.items():
        overlaps = [fold["prompt_overlap_percent"] for fold in split.audit["folds"]]
        place = corpus_title(corpora.get(checksum, split.corpus)), split_title(split.protocol)
        worst[place] = max([worst.get(place, 0.0), *(overlap for overlap in overlaps if overlap is not None)])
    return [
        f"{corpus}, {split}: {share:.0f} % of the test clips have a sentence that is also spoken in training; the "
        "score may be due to known words."
        for (corpus, split), share in worst.items()
        if share > OVERLAP_FLAG_PERCENT
    ]


def _seed_caveats(evidence: Evidence) -> list[str]:
    """Caution where one seed was run: its score is one draw of the method's."""
    of_others = [config for config in other_configurations(evidence) if not config.axes.is_baseline]
    trained = (*evidence.trained, *of_others)
    configs = [config for config in trained if len(config.done) == 1]
    if not configs:
        return []
    of = "all" if len(configs) == len(trained) else f"{len(configs)} of {len(trained)}"
    return [
        f"One seed was run of {of} configurations: their scores, intervals and verdicts are about the models that were "
        "trained, and not about the methods. Another seed gives another score; run three or more."
    ]


def _origin_caveats(evidence: Evidence) -> list[str]:
    """Cautions about synthetic speech, random weights, editions, and the corpus of the recommended recipe."""
    results, lines = evidence.results, []
    if results.synthetic or results.partly_synthetic:
        amount = "All" if results.synthetic else "Some"
        lines.append(
            f"{amount} of this is {SYNTHETIC}: it shows that the machinery works, and says nothing about how "
            "well real models do on real speech."
        )
    if any(run.stand_in for run in results.every_run):
        lines.append("Small backbones with random weights stood in for the named ones: a miniature.")
    elif any(run.axes.random_weights for run in results.every_done):
        lines.append("Some of the backbones have random weights.")
    lines += _edition_caveats(evidence)
    return lines + _recipe_caveats(results)


def _recipe_caveats(results: Results) -> list[str]:
    """Caution about the corpora on which, as a whole, a part of the recommended recipe was chosen."""
    runs = [run for run in results.every_done if run.axes.recipe == DEFAULT_RECIPE and not run.synthetic]
    titles: dict[str, list[str]] = {}
    for name, part in RECOMMENDED_ON.items():
        if any(run.axes.dataset == name for run in runs):
            titles.setdefault(part, []).append(corpus_title(name))
    if not titles:
        return []
    parts = _list_words([f"{part} on {_list_words(names)}" for part, names in titles.items()])
    return [
        f"The recommended recipe was chosen on whole corpora of this report: {parts}. Its lead there is somewhat "
        "optimistic; whatever data decide was decided inside each fold."
    ]


def _edition_caveats(evidence: Evidence) -> list[str]:
    """Cautions about names that stand for several editions in this report."""
    lines, done = [], evidence.results.done
    for name in dict.fromkeys(run.axes.dataset for run in done):
        editions = list(dict.fromkeys(corpus_title(run.axes.corpus) for run in done if run.axes.dataset == name))
        if len(editions) > 1:
            lines.append(
                f"{corpus_title(name)} was run with different labels or clips, which are kept apart: "
                f"{_list_words(editions)}. Scores of different editions cannot be compared."
            )
    joined = dict.fromkeys(name for run in done for name in run.axes.auxiliary.split("+") if EDITION in name)
    for name in dict.fromkeys(name.partition(EDITION)[0] for name in joined):
        editions = [corpus_title(edition) for edition in joined if edition.partition(EDITION)[0] == name]
        lines.append(
            f"{corpus_title(name)} joined the training with different labels or clips: {_list_words(editions)}. Runs "
            "with different ones are different systems, and no seeds of one."
        )
    for name in dict.fromkeys(run.axes.backbone.partition(EDITION)[0] for run in done if EDITION in run.axes.backbone):
        lines.append(f"The backbone {name} was loaded with different weights, which are kept apart.")
    return lines


def _list_words(items: Iterable[str]) -> str:
    """Distinct items in their order: `a`, `a and b`, `a, b and c`."""
    names = list(dict.fromkeys(items))
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
