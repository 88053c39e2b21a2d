"""One fold from its clips to its predictions: choose on non-test speakers, fit, refit, test.

Whatever data decides (state, strength, epochs) is decided on the fold's training and validation speakers;
the test clips are read once, at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from accelerate import Accelerator

from affetto.corpora.amounts import amount
from affetto.corpora.manifest import Clip
from affetto.models import state_sizes
from affetto.models.classifier import Classifier
from affetto.models.methods.registry import METHODS
from affetto.models.pooling import StateSpan
from affetto.splits import Fold
from affetto.training.build import Builder
from affetto.training.data import Data
from affetto.training.display import Display
from affetto.training.fold_tasks import FoldTasks
from affetto.training.log import Log
from affetto.training.loop import Fit
from affetto.training.place import Place
from affetto.training.predict import predict
from affetto.training.probes import Probes
from affetto.training.runs import LOG, PREDICTIONS, PROBE_PREDICTIONS, RunFolder
from affetto.training.selection import Choice, Probe
from affetto.training.spec import RunSpec
from affetto.training.stacking import FitRequest, Steps, fitted
from affetto.training.strangeness import FoldClips, Strangeness
from affetto.training.trained import FINAL, Trained

STATES_CLIPS = 32
"""Test clips on which the sizes of states are measured, where that is asked for."""
SELECT, REFIT = "select", "refit"
"""The stages of a log before FINAL: by validation; on train + validation."""

Rows = list[dict[str, Any]]


Save = Callable[[Trained, RunFolder], None]


@dataclass
class FoldTrainer:
    """Fits and tests folds of one run; `save` keeps each model."""

    spec: RunSpec
    data: Data
    builder: Builder
    accelerator: Accelerator
    display: Display
    identity: str
    save: Save
    at_once: int = 1
    """Folds that are fitted side by side, each in a slot of the builder."""

    def __post_init__(self) -> None:
        self.target = self.data.target
        self.clips = {clip.id: clip for clip in self.data.manifest.clips}
        learned = (*self.data.manifest.clips, *self.data.auxiliary.clips)
        self.truth = self.data.copies.spread({clip.id: self.target.encode(clip) for clip in learned})
        self.settings = self.spec.settings
        self.probes = Probes(builder=self.builder, data=self.data, settings=self.settings, truth=self.truth)
        self.tasks = FoldTasks(
            data=self.data,
            settings=self.settings,
            probes=self.probes,
            truth=self.truth,
            seed=self.spec.seed,
            identity=self.identity,
        )
        self.strangeness = Strangeness(self.builder, self.truth, self.accelerator)
        self.several = len(self.data.split.folds) > 1
        self.chooses = self.settings.model.is_chosen or self.settings.training.warm_start == "probe"
        self.free_slots = list(range(self.at_once))
        for ids in self._fitted():  # an error ends the run before anything is computed
            self.tasks.check(ids)
        self.beside = self.spec.probe and METHODS.find(self.spec.method).takes_steps
        """True if the probe is run beside the method."""

    def _fitted(self) -> Iterator[tuple[str, ...]]:
        """Clips of the tested corpus that each fit learns from."""
        for fold in self.data.split.folds:
            yield fold.train
            if self.settings.training.refit:
                yield fold.train + fold.validation
        if self.several and self.spec.makes_final:
            yield tuple(self.clips)

    # A fold --------------------------------------------------------------------------------------

    def run(self, fold: Fold, folder: RunFolder, position: str) -> Steps[dict[str, Any]]:
        """Fit and test one fold, or read what was written when it was done before."""
        saved = folder.read("fold.json")
        if saved is not None:
            files = PREDICTIONS | ({"probe": PROBE_PREDICTIONS} if self.beside else {})
            return {"summary": saved} | {part: folder.read_lines(file) for part, file in files.items()}
        self.free_slots.remove(slot := min(self.free_slots))
        display = self.display if self.at_once == 1 else self.display.part()
        result = yield from self._run(fold, Place(folder, display, slot), position)
        self.free_slots.append(slot)  # an error ends the whole run
        return result

    def _run(self, fold: Fold, place: Place, position: str) -> Steps[dict[str, Any]]:
        folder = place.folder
        place.display.begin(f"fold {fold.name} ({position})" if self.several else "training")
        trained_on = fold.train + fold.validation
        choice = self._choice(trained_on, folder)
        result: dict[str, Any] = {}
        best_epoch, classifier, span = yield from self._select(fold, choice, place, result)
        if self.settings.training.refit:
            classifier, span, _ = yield from self._fit(
                trained_on, None, epochs=best_epoch, name=fold.name, stage=REFIT, choice=choice, place=place
            )
        decision = self.target.decision(result["validation"])
        result["test"] = self._as_rows(fold.test, self._values(classifier, fold.test), fold.name, decision)
        folder.write_lines(PREDICTIONS["test"], result["test"])
        summary: dict[str, Any] = {
            "name": fold.name,
            "best_epoch": best_epoch,
            "test": self.target.scores(result["test"]),
            "validation": self.target.scores(result["validation"]),
            "seconds": round(sum(record["seconds"] for record in folder.read_lines(LOG)), 3),
        }
        if choice is not None:
            summary["choice"] = choice.to_json()
        if self.spec.record_states and fold == self.data.split.folds[0]:
            summary["states"] = self._sizes(classifier, fold)
        if self.beside:
            result["probe"], summary["probe"] = self._probe(fold, choice, folder)
        summary["confidence"] = self.target.confidence([result])
        confidence = summary["confidence"] | self.target.label_sets([result])
        novelty = self.strangeness.of_fold(classifier, self._fitted_on(fold), fold.test)
        self.save(Trained(classifier, span, fold.name, is_tested=True, confidence=confidence, novelty=novelty), folder)
        folder.write("fold.json", summary)
        folder.drop_checkpoint()
        place.display.end(self._summary_line(summary))
        return {"summary": summary, **result}

    def _select(
        self, fold: Fold, choice: Choice | None, place: Place, result: dict[str, Any]
    ) -> Steps[tuple[int, Classifier, StateSpan]]:
        """Fit on the training clips, judged by the validation clips: the best epoch, and the model of it.

        Where a refit follows and this stage was done before, the model is a fresh one: it is not needed.
        """
        epochs, refit, folder = self.settings.training.epochs, self.settings.training.refit, place.folder
        done = folder.read("select.json") if refit else None
        if done is not None:
            result["validation"] = folder.read_lines(PREDICTIONS["validation"])
            return done["best_epoch"], self.builder.fresh(self._span(choice), place.slot), self._span(choice)
        classifier, span, progress = yield from self._fit(
            fold.train, fold.validation, epochs=epochs, name=fold.name, stage=SELECT, choice=choice, place=place
        )
        values = self._values(classifier, fold.validation)
        rows = self._as_rows(fold.validation, values, fold.name)
        if self.target.is_tuned:
            rows = self._as_rows(fold.validation, values, fold.name, self.target.decision(rows))
        result["validation"] = rows
        folder.write_lines(PREDICTIONS["validation"], result["validation"])
        if refit:
            folder.write("select.json", {"best_epoch": progress.best_epoch})
        return progress.best_epoch, classifier, span

    def _fitted_on(self, fold: Fold) -> tuple[str, ...]:
        """Clips that the fold's tested model is trained on."""
        return fold.train + fold.validation if self.settings.training.refit else fold.train

    def _sizes(self, classifier: Classifier, fold: Fold) -> dict[str, Any]:
        """Sizes of the tested model's states, on a few of its test clips, spread evenly over them."""
        clips = sorted(fold.test)
        rows = sorted({round(row) for row in np.linspace(0, len(clips) - 1, STATES_CLIPS)})
        waves = (self.data.sources[clips[row]].load(self.settings.audio.seconds) for row in rows)
        return {"fold": fold.name, **state_sizes.measure(classifier, waves)}

    def final(self, epochs: int, folder: RunFolder, confidence: dict[str, Any]) -> Steps[dict[str, Any]]:
        """The model that is used: on all speakers, for `epochs`; its state is chosen on all of them too."""
        saved = folder.read("final.json")
        if saved is not None:
            return saved
        self.display.begin("final model")
        clips = tuple(clip.id for clip in self.data.manifest.clips)
        choice = self._choice(clips, folder)
        classifier, span, _ = yield from self._fit(
            clips, None, epochs=epochs, name=FINAL, stage=FINAL, choice=choice, place=Place(folder, self.display, 0)
        )
        folds = [
            FoldClips(trained=self._fitted_on(fold), tested=fold.test, model=folder.fold(fold.name).model)
            for fold in self.data.split.folds
        ]
        novelty = self.strangeness.of_final(classifier, clips, folds)
        self.save(Trained(classifier, span, FINAL, is_tested=False, confidence=confidence, novelty=novelty), folder)
        summary: dict[str, Any] = {"epochs": epochs} | ({} if choice is None else {"choice": choice.to_json()})
        folder.write("final.json", summary)
        folder.drop_checkpoint()
        count = len(self.data.auxiliary.join(clips))
        self.display.end(f"trained on all {count} clips for {epochs} epoch{'s' if epochs != 1 else ''}")
        return summary

    def _fit(
        self,
        ids: tuple[str, ...],
        validation: tuple[str, ...] | None,
        epochs: int,
        name: str,
        stage: str,
        choice: Choice | None,
        place: Place,
    ) -> Steps[tuple[Classifier, StateSpan, Fit]]:
        span, folder = self._span(choice), place.folder
        classifier = self.builder.fresh(span, place.slot)
        start = None
        if self.settings.training.warm_start == "probe":
            assert choice is not None and span.layer is not None
            start = replace(choice, layer=span.layer)
        task = self.tasks.make(ids, validation, epochs=epochs, name=f"{name} {stage}", start=start)
        log = Log(folder, stage)

        def on_epoch(progress: Fit) -> None:
            log.update(progress.history)
            place.display.epoch(progress, self.target)

        request = FitRequest(
            classifier=classifier,
            data=self.builder.prefixes(classifier),
            task=task,
            settings=self.settings.training,
            accelerator=self.accelerator,
            augment=self.settings.augment,
            checkpoint_file=folder.checkpoint,
            on_epoch=on_epoch,
            on_step=place.display.advance,
            architecture=self.builder.architecture(classifier, span),
        )
        progress = yield from fitted(request)
        log.update(progress.history)  # where all epochs were done before, none has reported
        return classifier, span, progress

    # The probe -----------------------------------------------------------------------------------

    def _span(self, choice: Choice | None) -> StateSpan:
        """The states that pooling takes: as set, or as chosen."""
        model = self.settings.model
        if choice is None:
            assert not model.is_chosen
            return StateSpan(self._layer(), model.counts[0])
        return StateSpan(choice.layer if model.layer == "auto" else self._layer(), choice.states)

    def _layer(self) -> int | None:
        """The highest state that pooling takes, where it is not chosen."""
        layer = self.settings.model.layer
        assert layer != "auto"
        return self.builder.backbone.depth if layer is None and self.chooses else layer

    def _choice(self, ids: tuple[str, ...], folder: RunFolder) -> Choice | None:
        """State and strength chosen on these clips; kept, so that a run that goes on need not choose again."""
        if not self.chooses:
            return None
        saved = folder.read("choice.json")
        if saved is not None:
            return Choice.from_json(saved)
        free = self.settings.model.layer == "auto"
        choice = self.probes.choose(ids, self._states() if free else [self._layer() or 0])
        folder.write("choice.json", choice.to_json())
        return choice

    def _states(self) -> range:
        """The states that the method can take: one that changes blocks needs a block below its state."""
        changes = METHODS.find(self.spec.method).changes_blocks
        return range(self.settings.training.first_block + 1 if changes else 0, self.builder.backbone.depth + 1)

    def _probe(self, fold: Fold, choice: Choice | None, folder: RunFolder) -> tuple[Rows, dict[str, Any]]:
        """The baseline beside the method: its state is free, whatever the method's is."""
        trained_on = fold.train + fold.validation
        states = range(self.builder.backbone.depth + 1)
        if choice is None or self.settings.model.layer != "auto" or self._states() != states:
            choice = self.probes.choose(trained_on, states)
        decision = None
        if self.target.is_tuned:  # by a probe that has not learned from the validation clips
            before = self.probes.fit(fold.train, choice)
            decision = self.target.decision(self._probe_rows(before, choice, fold.validation, fold.name))
        rows = self._probe_rows(self.probes.fit(trained_on, choice), choice, fold.test, fold.name, decision)
        folder.write_lines(PROBE_PREDICTIONS, rows)
        return rows, {"test": self.target.scores(rows), "choice": choice.to_json()}

    def _probe_rows(self, probe: Probe, choice: Choice, ids: tuple[str, ...], fold: str, decision: Any = None) -> Rows:
        return self._as_rows(ids, probe.values(self.probes.features(ids, choice), self.target), fold, decision)

    # Predictions ---------------------------------------------------------------------------------

    def _values(self, classifier: Classifier, ids: tuple[str, ...]) -> np.ndarray:
        """Values of clips (clips, outputs)."""
        data, device = self.builder.prefixes(classifier), self.accelerator.device
        return predict(classifier, data, ids, device, self.accelerator)

    def _as_rows(self, ids: Sequence[str], values: np.ndarray, fold: str, decision: Any = None) -> Rows:
        """Lines of a predictions file. `decision` is what the target tuned on validation clips (`Target.decision`)."""
        rows = []
        for clip, numbers in zip([self.clips[i] for i in ids], values, strict=True):
            row: dict[str, Any] = {"file": clip.name, "speaker": clip.speaker}
            row |= self.target.truth_fields(clip) | self.target.fields(numbers, decision)
            if self.several:
                row["fold"] = fold
            if len(self.spec.corpora) > 1:
                row["corpus"] = clip.corpus
            rows.append(row | known_of(clip))
        return rows

    def _summary_line(self, summary: dict[str, Any]) -> str:
        """A fold's result in words, with the probe's."""
        text, epochs = self.target.summary(summary["test"]), self.settings.training.epochs
        if "probe" in summary:
            text += f" (probe {self.target.summary(summary['probe']['test'])})"
        text += f" on {amount(summary['test']['n'], 'test clip')}"
        return text + (f", epoch {summary['best_epoch']} of {epochs}" if epochs else "")


def known_of(clip: Clip) -> dict[str, Any]:
    """Fields that reports group predictions by, as far as the corpus has them: gender, sentence, votes of raters."""
    fields: dict[str, Any] = {"gender": clip.gender} if clip.gender else {}
    fields |= {"prompt": clip.prompt} if clip.prompt else {}
    ratings = dict(clip.extra).get("raters")
    return fields | ({"ratings": dict(Counter(ratings.split("|")))} if ratings else {})
