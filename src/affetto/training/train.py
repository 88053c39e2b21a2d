"""A run from its spec to its folder: corpora → split → stored prefixes → folds → final model → metrics."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from filelock import FileLock, Timeout

from affetto import locks
from affetto._version import __version__
from affetto.errors import UserError
from affetto.measures.ceiling import human_ceiling
from affetto.models.methods.registry import METHODS
from affetto.models.pooling import StateSpan
from affetto.models.saved import save_classifier
from affetto.targets.registry import identity_of, target_fields
from affetto.training import device as devices
from affetto.training.backbones import Backbones
from affetto.training.build import Builder
from affetto.training.data import read
from affetto.training.display import Display
from affetto.training.fold_means import mean_of_folds, median_epochs
from affetto.training.folds import FoldTrainer, Rows
from affetto.training.origin import origin_facts, write_datasheet
from affetto.training.processes import SharedFolder, on_all_ranks, on_main_rank
from affetto.training.provenance import peak_memory_bytes, provenance, specialised
from affetto.training.runs import METRICS, PREDICTIONS, PROBE_PREDICTIONS, TIME, TRAINED_ON, RunFolder
from affetto.training.spec import RunSpec, check
from affetto.training.stack_size import AUTO
from affetto.training.stacking import Steps, drive, fits_at_once, together
from affetto.training.trained import Trained


def train(
    spec: RunSpec,
    out: str | Path,
    *,
    device: str = "auto",
    display: Display | None = None,
    stack: str | int = AUTO,
) -> dict[str, Any]:
    """Train and test as `spec` says, into the folder `out`; returns what `metrics.json` holds.

    A finished run is not run again, an unfinished one goes on where it was. Raises UserError for
    whatever the user can mend, before anything is written where that can be known before.
    Started by `accelerate launch` or torchrun, all processes together do the one run.
    `stack` is the number of folds that are fitted as one training; `auto`: what is quickest on the device. The results
    are the same up to rounding.
    """
    (outcome,) = drive([run_steps(spec, out, device=device, display=display, stack=stack)], stack)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def run_steps(
    spec: RunSpec,
    out: str | Path,
    *,
    device: str = "auto",
    display: Display | None = None,
    stack: str | int = AUTO,
    backbones: Backbones | None = None,
) -> Steps[dict[str, Any]]:
    """Generator of a run, for `drive`, which can fit several runs together. Parameters and result as of `train`.

    `backbones`: those that runs of one method share, so that each is in memory once.
    """
    METHODS.find(spec.method)
    check(spec.settings, spec.method)
    accelerator = devices.accelerator(devices.choose(device))
    main_display = display if display is not None and accelerator.is_main_process else Display(quiet=True)
    with main_display:
        return (yield from _Run(spec, out, accelerator, main_display, stack, backbones).go())


class _Run:
    def __init__(
        self,
        spec: RunSpec,
        out: str | Path,
        accelerator: Accelerator,
        display: Display,
        stack: str | int = AUTO,
        backbones: Backbones | None = None,
    ) -> None:
        self.stack, self.backbones = stack, Backbones() if backbones is None else backbones
        self.started = time.monotonic()
        self.spec, self.accelerator, self.display = spec, accelerator, display
        self.folder = RunFolder(out) if accelerator.num_processes == 1 else SharedFolder(out, accelerator)
        self.device = accelerator.device

    def go(self) -> Steps[dict[str, Any]]:
        self.folder.examine()
        on_all_ranks(self.accelerator, self._read)
        if self.spec.skip_bad:
            # What only fails when it is decoded has to be known before there is a split and an identity.
            on_all_ranks(self.accelerator, self._prepare)
        self.data.is_final = True
        target = self.data.target
        self.facts = {
            "manifest": self.data.manifest.checksum(with_annotations=target.learns_from_annotations),
            "split": self.data.split.checksum,
            "audio": self.data.audio_digest(),
            "weights": self.builder.weights_digest,
            "preprocessing": self.builder.backbone.preprocessing,
            "precision": self.builder.precision,
            **identity_of(target),
            **self.data.auxiliary_facts(),
            **self.data.noise_facts(),
        }
        self.identity = self.spec.identity(self.facts)
        if self.folder.examine(self.identity):
            self.display.say(f"{self.folder.path} is finished already; nothing to do")
            metrics = self.folder.read(METRICS)
            assert metrics is not None
            return metrics
        # First all that may fail for the data's sake: a run that cannot begin leaves nothing behind.
        on_all_ranks(self.accelerator, self._prepare)
        spec, corpus = self.spec, self.data.corpus
        content = {
            "summary": f"{spec.method} on {corpus}, {spec.backbone}, {spec.recipe}, seed {spec.seed}",
            "affetto": __version__,
            "spec": spec.model_dump(mode="json"),
            "facts": self.facts,
        }
        self.folder.claim(self.identity, content)
        lock = FileLock(self.folder.lock, timeout=0)
        on_main_rank(self.accelerator, lambda: _take(lock))
        try:
            self.folder.sweep()
            metrics = yield from self._run()
        finally:
            lock.release()
        if self.accelerator.is_main_process:
            self.folder.lock.unlink(missing_ok=True)
        return metrics

    def _read(self) -> None:
        self.data = read(self.spec, self.display.say)
        backbone = self.backbones.load(self.spec)
        self.builder = Builder(self.spec, self.data, backbone, self.device, self.display, accelerator=self.accelerator)

    def _prepare(self) -> None:
        """Store the prefixes of all clips, as far as it is known by now at which cut."""
        training, model = self.spec.settings.training, self.spec.settings.model
        if self.spec.probe or model.is_chosen or training.warm_start == "probe":
            self.builder.statistics()
        layer = self.builder.backbone.depth if model.layer == "auto" else model.layer
        classifier = self.builder.fresh(StateSpan(layer, model.counts[0]))
        if not model.is_chosen or training.first_block == 0:
            self.builder.prefixes(classifier)

    def _run(self) -> Steps[dict[str, Any]]:
        on_main_rank(self.accelerator, lambda: self.data.split.save(self.folder.split))
        before = self.folder.read(TIME) or {"seconds": 0.0, "calls": 0}
        self.seconds_before, self.calls = before["seconds"], before["calls"] + 1
        self.folder.write(TIME, {"seconds": self.seconds_before, "calls": self.calls})
        trainer = FoldTrainer(
            spec=self.spec,
            data=self.data,
            builder=self.builder,
            accelerator=self.accelerator,
            display=self.display,
            identity=self.identity,
            save=self._save,
            at_once=self._folds_at_once(),
        )
        folds = self.data.split.folds
        several = len(folds) > 1
        if trainer.at_once > 1:
            self.display.begin(f"{len(folds)} folds")
        parts = (
            self._timed(trainer.run(fold, self.folder.fold(fold.name) if several else self.folder, f"{n}/{len(folds)}"))
            for n, fold in enumerate(folds, 1)
        )
        results = yield from together(parts, trainer.at_once)
        if trainer.at_once > 1:
            self.display.close()
        summaries = [result["summary"] for result in results]
        metrics: dict[str, Any] = {}
        for part, file in PREDICTIONS.items():
            metrics[part] = self.data.target.scores(self._pooled(results, part, file, several))
        if trainer.beside:
            metrics["probe"] = {
                "test": self.data.target.scores(self._pooled(results, "probe", PROBE_PREDICTIONS, several))
            }
        if several:
            metrics["folds"] = summaries
            metrics["mean_of_folds"] = mean_of_folds(self.data.target, summaries)
            metrics["confidence"] = self.data.target.confidence(results)
            best_epochs = [summary["best_epoch"] for summary in summaries]
            confidence = metrics["confidence"] | self.data.target.label_sets(results)
            metrics["final"] = yield from self._final(trainer, best_epochs, confidence)
        else:
            names = ("best_epoch", "choice", "confidence")
            metrics |= {key: summaries[0][key] for key in names if key in summaries[0]}
        sizes = [summary.pop("states") for summary in summaries if "states" in summary]
        metrics |= {"states": sizes[0]} if sizes else {}
        metrics |= self._circumstances()
        write_datasheet(self.folder, self.data)
        self.folder.write(METRICS, metrics)
        self.folder.drop_time()
        return metrics

    def _folds_at_once(self) -> int:
        """Folds whose fits can be one training: 1 where method or head cannot be stacked."""
        at_once = min(len(self.data.split.folds), fits_at_once(self.stack, self.accelerator))
        return at_once if self.builder.is_stackable and self.builder.method.takes_steps else 1

    def _timed(self, steps: Steps[dict[str, Any]]) -> Steps[dict[str, Any]]:
        """Run a fold, and note the run's time behind it: a call that is interrupted later has taken at least that."""
        result = yield from steps
        self.folder.write(TIME, {"seconds": self._seconds(), "calls": self.calls})
        return result

    def _seconds(self) -> float:
        """Time of this call, and of those before it up to the last fold that they finished."""
        return round(self.seconds_before + time.monotonic() - self.started, 3)

    def _pooled(self, results: list[dict[str, Any]], part: str, file: str, several: bool) -> Rows:
        rows = [row for result in results for row in result[part]]
        if several:
            self.folder.write_lines(file, rows)
        return rows

    def _final(self, trainer: FoldTrainer, best_epochs: list[int], confidence: dict[str, Any]) -> Steps[dict[str, Any]]:
        """The model that `predict` uses: on all speakers, for the folds' median number of epochs."""
        if not self.spec.makes_final:
            reason = "left out by --no-final" if not self.spec.final else "left out, since training.speakers is set"
            return {"trained": False, "note": reason}
        least = 0 if self.spec.settings.training.warm_start == "probe" else 1
        final = yield from trainer.final(median_epochs(best_epochs, least), self.folder, confidence)
        return {
            "trained": True,
            **final,
            "tested": False,
            "note": "trained on all speakers for the median of the folds' best epochs; the scores are the folds', "
            "this model was not tested itself",
        }

    def _save(self, model: Trained, folder: RunFolder) -> None:
        spec, data, backbone = self.spec, self.data, self.builder.backbone
        local = Path(spec.backbone).is_dir() and not spec.random_weights
        folder.write_lines(TRAINED_ON, self.data.seen_clips(model.trained_on if model.is_tested else None))
        card = {
            "affetto": __version__,
            "run": self.identity,
            "blueprint": self.builder.blueprint(model.span),
            "audio": spec.settings.audio.model_dump(),
            "precision": self.builder.precision,
            "backbone": {
                "name": str(Path(spec.backbone).resolve()) if local else spec.backbone,
                "family": backbone.family,
                "digest": self.builder.weights_digest,
                "random_weights": spec.random_weights,
                "weights_seed": spec.weights_seed,
                "layer_norm_swap": backbone.layer_norm_swap,
                "preprocessing": backbone.preprocessing,
            },
            "trained_on": model.trained_on,
            "tested": model.is_tested,
            "confidence": model.confidence,
            "corpus": data.corpus,
            **origin_facts(data, spec),
        }
        on_main_rank(self.accelerator, lambda: save_classifier(model.classifier, folder.model, card, model.novelty))

    def _human_ceiling(self) -> dict[str, Any]:
        """Scores of the raters of the test clips against each other; {} for classes, and where nobody rated."""
        if not self.data.target.learns_from_annotations:
            return {}
        tested = {clip for fold in self.data.split.folds for clip in fold.test}
        ceiling = human_ceiling(self.data.manifest.only(lambda clip: clip.id in tested))
        return {} if ceiling is None else {"human_ceiling": ceiling}

    def _circumstances(self) -> dict[str, Any]:
        classifier = self.builder.current
        return {
            "corpus": self.data.manifest.corpus,
            **origin_facts(self.data, self.spec),
            **({"auxiliary": dict(self.data.auxiliary.facts)} if self.data.auxiliary.facts else {}),
            "clips": len(self.data.manifest.clips),
            **self.data.copies.facts(),
            "left_out": self.data.left_out,
            "backbone": self.spec.backbone,
            "specialised": None if self.spec.random_weights else specialised(self.spec.backbone),
            **target_fields(self.data.target),
            **self._human_ceiling(),
            "method": self.spec.method,
            "recipe": self.spec.recipe,
            "precision": self.builder.precision,
            "seed": self.spec.seed,
            "split": self.data.split.protocol,
            "split_checksum": self.data.split.checksum,
            "copies_left_out": sum(sum(fold["copies_left_out"].values()) for fold in self.data.split.audit["folds"]),
            "trainable_parameters": sum(p.numel() for p in classifier.trainable().values()),
            "backbone_parameters": self.builder.backbone.parameter_count(),
            "wall_seconds": self._seconds(),
            "calls": self.calls,
            "peak_memory_bytes": peak_memory_bytes(self.device),
            "identity": self.identity,
            "provenance": provenance(self.device, self.accelerator.num_processes),
        }


def _take(lock: FileLock) -> None:
    try:
        locks.take(lock)
    except Timeout:
        raise UserError(
            f"{Path(lock.lock_file).parent}: another process is at work on this run; wait for it, or give another --out"
        ) from None
