"""Cross-corpus testing: every run of a grid on the corpora that it was not trained on.

Results lie in the runs' folders (`RunFolder.crossed`), so that they go where a run goes; what is there is not done
again, unless the corpus has changed. Clips are used as in training: their beginning, by way of the stored frozen
states, so that what seeds and methods share, or training has left there, is computed once. Of a run this is tested:

    tested   a run of one fold: the model that its own scores are of
    final    a run with folds that ends with a model of all speakers: that one
    folds    a run with folds that does not (a grid's): the model of every fold; the scores are over all of their
             answers, each clip as many times as there are folds, as the run's own scores are over all folds
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from affetto.corpora import prompts
from affetto.corpora.labels import entries_for
from affetto.corpora.manifest import Manifest
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.evaluation.seen import trained_on
from affetto.evaluation.testing import TestClips, choose, decision_of, read_test_clips, row_of, summary
from affetto.experiments.readings import Reading
from affetto.experiments.states import GridFolder
from affetto.inference.backends.trained import resolve_precision
from affetto.models import storage
from affetto.models.prefix import PrefixData
from affetto.models.saved import load_classifier
from affetto.targets.registry import target_of_run
from affetto.training import device as devices
from affetto.training.build import store_of
from affetto.training.clips import refuse_or_name
from affetto.training.predict import predict
from affetto.training.runs import FOLDS, METRICS, MODEL, PREDICTIONS, SPEC, RunFolder
from affetto.training.spec import CorpusSpec

_Answers = tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class _Finished:
    """A finished run of a grid."""

    run: RunFolder
    corpora: tuple[CorpusSpec, ...]
    """Corpora that its own scores are of."""
    auxiliary: tuple[CorpusSpec, ...]
    store_precision: str
    keep_other: bool

    @property
    def trained_on(self) -> tuple[CorpusSpec, ...]:
        return (*self.corpora, *self.auxiliary)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A finished run, and the corpus that it is to be tested on."""

    run: RunFolder
    trained_on: tuple[CorpusSpec, ...]
    store_precision: str
    corpus: str

    @property
    def name(self) -> str:
        return f"{self.run.path.name} on {self.corpus}"


@dataclass
class Outcome:
    """Counts of pairs: done now or before, and the errors of failed ones by name."""

    pairs: int = 0
    done: int = 0
    new: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, pair: Pair, corpus: _TestCorpus) -> str:
        """Do the test of a pair, and count it; returns its result or error, empty if it was done before."""
        try:
            text = corpus.test(pair)
            self.new += bool(text)
            self.done += 1
        except UserError as problem:
            self.failed[pair.name] = text = str(problem)
        return text


def cross(
    grid: Path,
    corpora: Mapping[str, str],
    *,
    labels: Mapping[str, str] | None = None,
    options: Mapping[str, Mapping[str, str]] | None = None,
    exclude_shared: bool = False,
    device: str = "auto",
    skip_bad: bool = False,
    say: Callable[[str], None] = lambda _: None,
    tell: Callable[[int, int, str], None] = lambda _done, _all, _text: None,
) -> Outcome:
    """Test each finished run of the grid in `grid` on each of `corpora` ({name: path}).

    Without `corpora` they are those that runs of the grid were tested on: a corpus that only joined trainings is
    tested where it is named. Labels are mapped as in the grid, and readers have its options; `labels` has more entries
    of the label map, `options` more options by corpus, those of "" for all of them. With `exclude_shared` clips whose
    sentence is spoken in the training corpus too are left out. `tell(pairs done, pairs in all, what was done last)`
    reports. A pair that fails does not stop the others. Raises UserError where
    there is nothing to test.
    """
    runs = _finished(GridFolder(grid))
    grid_corpora = _places(corpus for run in runs for corpus in run.trained_on)
    places = dict(corpora) or _places(corpus for run in runs for corpus in run.corpora)
    pairs = _pairs(runs, places)
    if not pairs:
        raise UserError(
            f"nothing to cross in {grid}: its runs were trained on {', '.join(sorted(grid_corpora))}; "
            "give a corpus to test on: --corpus NAME=PATH"
        )
    entries_for(labels or {}, [], {**grid_corpora, **places})  # for its error
    # A grid has one switch, one label map and one set of options for all of its runs.
    keep_other = any(run.keep_other for run in runs)
    reading = Reading.of_plan(plan["runs"]) if (plan := GridFolder(grid).plan()) else Reading()
    options = options or {}
    outcome = Outcome(len(pairs))
    for name, path in places.items():
        corpus = _TestCorpus(
            name=name,
            path=path,
            options={**reading.options.get(name, {}), **options.get("", {}), **options.get(name, {})},
            labels={**reading.labels, **(labels or {})},
            places={**grid_corpora, **places},
            exclude_shared=exclude_shared,
            skip_bad=skip_bad,
            keep_other=keep_other,
            device=device,
            say=say,
        )
        for pair in (pair for pair in pairs if pair.corpus == name):
            text = outcome.add(pair, corpus)
            tell(outcome.done + len(outcome.failed), len(pairs), f"{pair.name}: {text}" if text else "")
    return outcome


@dataclass
class _TestCorpus:
    """A corpus to test on, read once for all runs."""

    name: str
    path: str
    options: dict[str, str]
    labels: Mapping[str, str]
    """Label map of the grid, for all of its corpora."""
    places: dict[str, str]
    exclude_shared: bool
    skip_bad: bool
    keep_other: bool
    device: str
    say: Callable[[str], None]
    _shared: dict[str, frozenset[str]] = field(default_factory=dict)
    _lines: set[str] = field(default_factory=set)

    @property
    def clips(self) -> TestClips:
        if isinstance(self._clips, UserError):
            raise self._clips
        return self._clips

    @cached_property
    def _clips(self) -> TestClips | UserError:
        spec = CorpusSpec(name=self.name, path=self.path, options=self.options)
        labels = entries_for(self.labels, [self.name])
        try:
            return read_test_clips((spec,), labels, keep_other=self.keep_other, skip_bad=self.skip_bad, say=self.say)
        except UserError as problem:  # cached too: a corpus that cannot be used is not read again for each run
            return problem

    def test(self, pair: Pair) -> str:
        """Test the run's models unless that is done. Returns the result in a few words, empty if it was done before."""
        shared = self.shared(pair.trained_on) if self.exclude_shared else frozenset()
        leave_out = {clip.id for clip in self.clips.manifest.clips if prompts.sentence(clip) in shared}
        # Where nothing is shared the result is the plain one, and lies there.
        folder = pair.run.crossed(self.name, unshared=bool(leave_out))
        before = folder.read(METRICS)
        target = target_of_run(pair.run.read(METRICS) or {})
        digest = self.clips.digest(with_annotations=target.learns_from_annotations)
        if before is not None and before.get("tested_on") == digest:
            return ""
        kind, models = _models(pair.run)
        rows: list[dict[str, Any]] = []
        cards: list[dict[str, Any]] = []
        counts: list[dict[str, Any]] = []
        for model in models:
            answers, card, left_out = self._answers(model, pair.store_precision, leave_out)
            counts.append(left_out)
            rows += [{**row, "fold": card["trained_on"]} for row in answers] if kind == FOLDS else answers
            cards += [card] * len(answers)
        scores = summary(
            pair.run.path.name,
            target,
            self.clips,
            rows=rows,
            left_out=_combine(counts),
            cards=cards,
        )
        metrics = scores | {
            "model": kind,
            "models": len(models),
            "tested_on": digest,
            "crossed": self.name,
            "shared_sentences_left_out": {"sentences": sorted(shared), "clips": len(leave_out)},
        }
        folder.write_lines(PREDICTIONS["test"], rows)
        folder.write(METRICS, metrics)
        return target.summary(metrics["test"])

    def _answers(self, folder: Path, store_precision: str, leave_out: Set[str]) -> _Answers:
        """Test the model in this folder: a row per clip, its card, and what was left out."""
        classifier, card = load_classifier(folder / MODEL)
        device = devices.choose(self.device)
        classifier = classifier.to(device).compute_in(resolve_precision("auto", card["precision"], device))
        target = classifier.target
        tested, left_out = choose(self.clips, target, trained_on(folder), leave_out=leave_out, say=self._say_once)
        seconds = card["audio"]["seconds"]
        store = store_of(classifier, card["backbone"]["digest"], seconds, store_precision, device)
        sources = {clip.id: self.clips.sources[clip.id] for clip in tested}
        data = PrefixData(classifier, store, sources, self.clips.digests, seconds)
        storage.prune(storage.limit_bytes(), keep=store.folder)
        bad = data.prepare()
        storage.touch(store.folder)
        if bad:
            refuse_or_name(bad, len(self.clips.manifest.clips), self.skip_bad, self.say)
            left_out["unusable"] |= bad
            tested = [clip for clip in tested if clip.id not in bad]
        if not tested:
            raise UserError(f"none of the {len(sources)} clips could be used; mend them")
        values = predict(classifier, data, [clip.id for clip in tested], device)
        decision = decision_of(card)
        rows = [row_of(clip, target, row, decision=decision) for clip, row in zip(tested, values, strict=True)]
        return rows, card, left_out

    def _say_once(self, line: str) -> None:
        if line not in self._lines:
            self._lines.add(line)
            self.say(f"{self.name}: {line}")

    def shared(self, trained_on: tuple[CorpusSpec, ...]) -> frozenset[str]:
        """Find the sentences that this corpus shares with those."""
        sentences: frozenset[str] = frozenset()
        for corpus in trained_on:
            if corpus.path not in self._shared:
                manifest = self._manifest(corpus)
                self._shared[corpus.path] = prompts.shared(manifest, self.clips.manifest)
                for silent in (m for m in (manifest, self.clips.manifest) if not prompts.tells(m)):
                    self.say(f"note: {silent.corpus} has no sentences: shared ones are not left out")
            sentences |= self._shared[corpus.path]
        return sentences

    def _manifest(self, corpus: CorpusSpec) -> Manifest:
        name = corpus.address
        path = Path(self.places[name])
        if not path.exists():
            raise UserError(
                f"no {path}: it is needed to find the sentences that {self.name} shares with {name}; "
                f"give --corpus {name}=PATH"
            )
        labels = entries_for(self.labels, [name])
        return open_corpus(corpus.name, path, label_map=labels, options=corpus.options, keep_other=self.keep_other)


def _combine(left_out: list[dict[str, Any]]) -> dict[str, Any]:
    """Combine what several models' tests left out: training clips count once for each model."""
    reasons = [counts["trained_on_by"] for counts in left_out]
    summed = {reason: sum(counts[reason] for counts in reasons) for reason in reasons[0]}
    return left_out[-1] | {
        "trained_on": sum(counts["trained_on"] for counts in left_out),
        "trained_on_by": summed | {"speakers": max(counts["speakers"] for counts in reasons)},
    }


def tested_corpora(grid: Path) -> dict[str, str]:
    """Corpora that finished runs of a grid were tested on, {name: path}. Raises UserError for a grid without one."""
    return _places(corpus for run in _finished(GridFolder(grid)) for corpus in run.corpora)


def _places(corpora: Iterable[CorpusSpec]) -> dict[str, str]:
    return {corpus.address: corpus.path for corpus in corpora}


def _pairs(runs: list[_Finished], places: Iterable[str]) -> list[Pair]:
    """Each run with each corpus that it was not trained on."""
    return [
        Pair(run=run.run, trained_on=run.trained_on, store_precision=run.store_precision, corpus=name)
        for name in places
        for run in runs
        if name not in {corpus.name for corpus in run.trained_on}
    ]


def _finished(grid: GridFolder) -> list[_Finished]:
    """List the finished runs of a grid, with the corpora that each was trained on and its store's precision."""
    plan = grid.plan()
    assert plan is not None
    runs = []
    for entry in plan["runs"]:
        run = grid.run(entry["run"])
        spec = run.read(SPEC)
        if spec is not None and (run.path / METRICS).is_file():
            tested, joining = spec["spec"]["corpora"], spec["spec"].get("auxiliary", ())
            runs.append(
                _Finished(
                    run=run,
                    corpora=tuple(CorpusSpec.model_validate(corpus) for corpus in tested),
                    auxiliary=tuple(CorpusSpec.model_validate(corpus) for corpus in joining),
                    store_precision=spec["spec"]["settings"]["store"]["precision"],
                    keep_other=spec["spec"].get("keep_other", False),
                )
            )
    if not runs:
        raise UserError(f"no run of the grid in {grid.path} is done yet; `affetto grid run` continues it")
    return runs


def _models(run: RunFolder) -> tuple[str, list[Path]]:
    """Find the kind of model that is tested, and the folders that `load` takes. Raises UserError if there is none."""
    several = (run.path / FOLDS).is_dir()
    if (run.path / MODEL).is_dir():
        return ("final" if several else "tested"), [run.path]
    models = sorted(_with_model((run.path / FOLDS).iterdir())) if several else []
    if not models:
        raise UserError(f"{run.path} has no model; remove the folder and run the grid again")
    return FOLDS, models


def _with_model(folders: Iterable[Path]) -> list[Path]:
    return [folder for folder in folders if (folder / MODEL).is_dir()]
