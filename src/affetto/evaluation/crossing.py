"""Train on one corpus, test on another: every run of a grid on the corpora that it was not trained on.

Results lie in the runs' folders (`RunFolder.crossed`), so that they go where a run goes; what is there is not done
again, unless the corpus has changed. Clips are heard as in training: their beginning, by way of the stored frozen
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

from affetto.corpora import prompts as spoken
from affetto.corpora.manifest import Manifest
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.evaluation.seen import trained_on
from affetto.evaluation.testing import Heard, choose, read_heard, row_of, summary
from affetto.experiments.states import GridFolder
from affetto.inference.backends.trained import resolve_precision
from affetto.inference.predictor import temperature_of
from affetto.models import storage
from affetto.models.prefix import PrefixData
from affetto.models.saved import load_classifier
from affetto.training import device as devices
from affetto.training.build import store_of
from affetto.training.data import refuse_or_name
from affetto.training.predict import predict
from affetto.training.runs import FOLDS, METRICS, MODEL, PREDICTIONS, SPEC, RunFolder
from affetto.training.spec import CorpusSpec

_Answers = tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
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
    """What has become of the pairs: how many are done, newly or before, and by name what went wrong."""

    pairs: int = 0
    done: int = 0
    new: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def cross(
    grid: Path, corpora: Mapping[str, str], *, exclude_shared: bool = False, device: str = "auto",
    skip_bad: bool = False, say: Callable[[str], None] = lambda _: None,
    tell: Callable[[int, int, str], None] = lambda _done, _all, _what: None,
) -> Outcome:  # fmt: skip
    """Test each finished run of the grid in `grid` on each of `corpora` ({name: path}; none: the grid's own).

    With `exclude_shared` clips whose sentence is spoken in the training corpus too are left out. `tell(pairs done,
    pairs in all, what was done last)` reports. A pair that fails does not stop the others. Raises UserError where
    there is nothing to test.
    """
    runs = _finished(GridFolder(grid))
    own = {c.name or Path(c.path).name: c.path for _, trained, _ in runs for c in trained}
    places = dict(corpora) or own
    pairs = [
        Pair(run, trained, precision, name)
        for name in places
        for run, trained, precision in runs
        if name not in {corpus.name for corpus in trained}
    ]
    if not pairs:
        raise UserError(
            f"nothing to cross in {grid}: its runs were trained on {', '.join(sorted(own))}, and there is no other "
            "corpus; give --corpus NAME=PATH"
        )
    outcome = Outcome(len(pairs))
    for name, path in places.items():
        target = _Target(name, path, {**own, **places}, exclude_shared, skip_bad, device, say)
        for pair in pairs:
            if pair.corpus != name:
                continue
            try:
                told = target.test(pair)
                outcome.new += bool(told)
                outcome.done += 1
            except UserError as problem:
                outcome.failed[pair.name] = told = str(problem)
            tell(outcome.done + len(outcome.failed), len(pairs), f"{pair.name}: {told}" if told else "")
    return outcome


@dataclass
class _Target:
    """A corpus to test on, read once for all runs."""

    name: str
    path: str
    places: dict[str, str]
    exclude_shared: bool
    skip_bad: bool
    device: str
    say: Callable[[str], None]
    _shared: dict[str, frozenset[str]] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)

    @property
    def heard(self) -> Heard:
        if isinstance(self._heard, UserError):
            raise self._heard
        return self._heard

    @cached_property
    def _heard(self) -> Heard | UserError:
        spec = CorpusSpec(name=self.name, path=self.path)
        try:
            return read_heard((spec,), {}, skip_bad=self.skip_bad, say=self.say)
        except UserError as problem:  # kept too: a corpus that cannot be used is not read again for each run
            return problem

    def test(self, pair: Pair) -> str:
        """Test the run's model or models, unless that is done; what came out in a few words, empty where it was."""
        shared = self.shared(pair.trained_on) if self.exclude_shared else frozenset()
        leave_out = {clip.id for clip in self.heard.manifest.clips if spoken.sentence(clip) in shared}
        # Where nothing is shared the result is the plain one, and lies there.
        place = pair.run.crossed(self.name, unshared=bool(leave_out))
        before = place.read(METRICS)
        if before is not None and before.get("tested_on") == self.heard.digest:
            return ""
        kind, models = _models(pair.run)
        rows: list[dict[str, Any]] = []
        temperatures: list[float] = []
        counts: list[dict[str, Any]] = []
        for folder in models:
            own, card, left_out = self._answers(folder, pair.store_precision, leave_out)
            counts.append(left_out)
            rows += [{**row, "fold": card["trained_on"]} for row in own] if kind == FOLDS else own
            temperatures += [temperature_of(card)] * len(own)
        metrics = summary(pair.run.path.name, card, self.heard, rows, _of_all(counts), temperatures) | {
            "model": kind, "models": len(models), "tested_on": self.heard.digest, "crossed": self.name,
            "shared_sentences_left_out": {"sentences": sorted(shared), "clips": len(leave_out)},
        }  # fmt: skip
        place.write_lines(PREDICTIONS["test"], rows)
        place.write(METRICS, metrics)
        return f"macro F1 {100 * metrics['test']['macro_f1']:.1f}"

    def _answers(self, folder: Path, store_precision: str, leave_out: Set[str]) -> _Answers:
        """A row a clip by the model in this folder, the model's card, and what was left out."""
        classifier, card = load_classifier(folder / MODEL)
        device = devices.choose(self.device)
        classifier = classifier.to(device).compute_in(resolve_precision("auto", card["precision"], device))
        chosen, left_out = choose(
            self.heard, classifier.labels, trained_on(folder), leave_out=leave_out, say=self._say_once
        )
        seconds = card["audio"]["seconds"]
        store = store_of(classifier, card["backbone"]["digest"], seconds, store_precision, device)
        sources = {clip.id: self.heard.sources[clip.id] for clip in chosen}
        data = PrefixData(classifier, store, sources, self.heard.digests, seconds)
        storage.prune(storage.limit_bytes(), keep=store.folder)
        bad = data.prepare()
        storage.touch(store.folder)
        if bad:
            refuse_or_name(bad, len(self.heard.manifest.clips), self.skip_bad, self.say)
            left_out["unusable"] |= bad
            chosen = [clip for clip in chosen if clip.id not in bad]
        if not chosen:
            raise UserError(f"none of the {len(sources)} clips could be used; mend them")
        found = predict(classifier, data, [clip.id for clip in chosen], device)
        rows = [
            row_of(clip, dict(zip(classifier.labels, map(float, values), strict=True)), several=False)
            for clip, values in zip(chosen, found, strict=True)
        ]
        return rows, card, left_out

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self.say(f"{self.name}: {line}")

    def shared(self, trained_on: tuple[CorpusSpec, ...]) -> frozenset[str]:
        """The sentences that this corpus shares with those."""
        found: frozenset[str] = frozenset()
        for corpus in trained_on:
            if corpus.path not in self._shared:
                manifest = self._manifest(corpus)
                self._shared[corpus.path] = spoken.shared(manifest, self.heard.manifest)
                for silent in (m for m in (manifest, self.heard.manifest) if not spoken.tells(m)):
                    self.say(f"note: {silent.corpus} tells no sentences: those it shares with others are not left out")
            found |= self._shared[corpus.path]
        return found

    def _manifest(self, corpus: CorpusSpec) -> Manifest:
        name = corpus.name or Path(corpus.path).name
        path = Path(self.places[name])
        if not path.exists():
            raise UserError(
                f"which sentences {self.name} shares with {name} cannot be told: there is no {path}; "
                f"give --corpus {name}=PATH"
            )
        return open_corpus(corpus.name, path, options=corpus.options)


def _of_all(left_out: list[dict[str, Any]]) -> dict[str, Any]:
    """What several models' tests have left out: clips that were trained on count once for each model."""
    reasons = [counts["trained_on_by"] for counts in left_out]
    summed = {reason: sum(counts[reason] for counts in reasons) for reason in reasons[0]}
    return left_out[-1] | {
        "trained_on": sum(counts["trained_on"] for counts in left_out),
        "trained_on_by": summed | {"speakers": max(counts["speakers"] for counts in reasons)},
    }


def _finished(grid: GridFolder) -> list[tuple[RunFolder, tuple[CorpusSpec, ...], str]]:
    """The runs of a grid that are done, with the corpora that each was trained on and its store's precision."""
    plan = grid.plan()
    assert plan is not None
    found = []
    for entry in plan["runs"]:
        run = grid.run(entry["run"])
        spec = run.read(SPEC)
        if spec is not None and (run.path / METRICS).is_file():
            corpora = tuple(CorpusSpec.model_validate(corpus) for corpus in spec["spec"]["corpora"])
            found.append((run, corpora, spec["spec"]["settings"]["store"]["precision"]))
    if not found:
        raise UserError(f"no run of the grid in {grid.path} is done yet: `affetto grid run` goes on with it")
    return found


def _models(run: RunFolder) -> tuple[str, list[Path]]:
    """Which kind of model is tested, and the folders that `load` takes. Raises UserError where there is none."""
    several = (run.path / FOLDS).is_dir()
    if (run.path / MODEL).is_dir():
        return ("final" if several else "tested"), [run.path]
    models = sorted(_with_model((run.path / FOLDS).iterdir())) if several else []
    if not models:
        raise UserError(f"{run.path} has no model; remove the folder and run the grid again")
    return FOLDS, models


def _with_model(folders: Iterable[Path]) -> list[Path]:
    return [folder for folder in folders if (folder / MODEL).is_dir()]
