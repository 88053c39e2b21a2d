"""A run from its spec to its folder: corpora → split → stored prefixes → folds → final model → metrics."""

from __future__ import annotations

import hashlib
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from filelock import FileLock, Timeout

from affetto import __version__
from affetto.audio import AudioError
from affetto.corpora.manifest import Clip, Manifest, merge
from affetto.corpora.readers import open_corpus
from affetto.errors import UserError, unknown
from affetto.models.backbone import Backbone
from affetto.models.backbones import load_backbone
from affetto.models.classifier import Classifier
from affetto.models.methods import METHODS
from affetto.models.prefix import PrefixData, PrefixStore, Source
from affetto.models.saved import assemble, save_classifier
from affetto.splits import Fold, Split, make_split
from affetto.training import device as devices
from affetto.training.display import Display
from affetto.training.evaluate import MEASURES, scores
from affetto.training.loop import Fit, Task, fit
from affetto.training.probabilities import predict
from affetto.training.provenance import peak_memory_bytes, provenance
from affetto.training.runs import LOG, METRICS, PREDICTIONS, RunFolder
from affetto.training.spec import RunSpec

DECIMALS = 6
"""Of the probabilities in the predictions files; the scores are computed from what is written there."""
FINAL = "final"


def train(spec: RunSpec, out: str | Path, *, device: str = "auto", display: Display | None = None) -> dict[str, Any]:
    """Train and test as `spec` says, into the folder `out`; returns what `metrics.json` holds.

    A finished run is not run again, an unfinished one goes on where it was. Raises UserError for
    whatever the user can mend, before anything is written where that can be known before.
    """
    with display or Display(quiet=True) as shown:
        return _Run(spec, RunFolder(out), devices.choose(device), shown).go()


@dataclass
class _Data:
    """What a run learns from, once it has been read."""

    manifest: Manifest
    split: Split
    sources: dict[str, Source]
    digests: dict[str, str]
    bad: dict[str, str]


class _Run:
    def __init__(self, spec: RunSpec, folder: RunFolder, device: torch.device, display: Display) -> None:
        self.spec, self.folder, self.device, self.display = spec, folder, device, display
        if spec.method not in METHODS:
            raise unknown("method", spec.method, METHODS)

    def go(self) -> dict[str, Any]:
        started = time.monotonic()
        self.data = self._read()
        self.backbone = load_backbone(
            self.spec.backbone, random_weights=self.spec.random_weights, weights_seed=self.spec.weights_seed
        )
        self.weights_digest = self.backbone.weights_digest()
        self.identity = self.spec.identity(self._facts())
        self.classifier = self._assemble()
        done = self._claim()
        if done is not None:
            return done
        try:
            with FileLock(self.folder.lock, timeout=0):
                metrics = self._run(started)
        except Timeout:
            raise UserError(
                f"{self.folder.path}: another process is at work on this run; wait for it, or give another --out"
            ) from None
        self.folder.lock.unlink(missing_ok=True)
        return metrics

    # Before anything is written ----------------------------------------------------------------

    def _read(self) -> _Data:
        spec = self.spec
        manifest = merge(
            [open_corpus(c.name, Path(c.path), label_map=spec.labels, options=c.options) for c in spec.corpora]
        )
        for note in manifest.notes:
            self.display.say(f"note: {note}")
        sources = {clip.id: Source(manifest.path(clip), clip.start, clip.end) for clip in manifest.clips}
        digests, bad = _digests(sources)
        manifest, bad = self._without(manifest, bad, {})
        split = make_split(manifest, spec.split, seed=spec.split_seed, digests=digests)
        for note in split.notes:
            self.display.say(f"note: {note}")
        return _Data(manifest, split, {clip.id: sources[clip.id] for clip in manifest.clips}, digests, bad)

    def _without(
        self, manifest: Manifest, bad: dict[str, str], known: dict[str, str]
    ) -> tuple[Manifest, dict[str, str]]:
        """The manifest without unusable clips, where the user allows that."""
        if bad and not self.spec.skip_bad:
            first = next(iter(bad.values()))
            raise UserError(
                f"{len(bad)} of {len(manifest.clips)} clips cannot be used. {first}. Mend them, or leave them out with --skip-bad"
            )
        for problem in bad.values():
            self.display.say(f"left out: {problem}")
        return (manifest.only(lambda clip: clip.id not in bad) if bad else manifest), known | bad

    def _facts(self) -> dict[str, Any]:
        """The content behind the spec's names: what the run's identity covers beside its settings."""
        content = hashlib.sha256("".join(self.data.digests[clip.id] for clip in self.data.manifest.clips).encode())
        return {
            "manifest": self.data.manifest.checksum(),
            "split": self.data.split.checksum,
            "audio": content.hexdigest(),
            "weights": self.weights_digest,
            "preprocessing": self.backbone.preprocessing,
        }

    def blueprint(self) -> dict[str, Any]:
        """What `assemble` builds, from the settings."""
        s = self.spec.settings
        sections = {"lora": s.lora, "adapter": s.adapter}
        chosen = sections.get(self.spec.method)
        return {
            "labels": list(self.data.manifest.labels),
            "method": {
                "name": self.spec.method,
                "first_block": s.training.first_block,
                "settings": chosen.model_dump() if chosen else {},
            },
            "pooling": {"kind": s.model.pooling, "layer": s.model.layer, "state_norm": s.model.state_norm},
            "head": {
                "name": s.model.head,
                "width": s.model.head_width,
                "dropout": s.model.head_dropout,
                "unmasked_mean": s.model.unmasked_mean,
            },
        }

    def _assemble(self) -> Classifier:
        torch.manual_seed(self.spec.seed)
        return assemble(self.backbone, self.blueprint()).to(self.device)

    def _claim(self) -> dict[str, Any] | None:
        summary = f"{self.spec.method} on {self.data.manifest.corpus}, {self.spec.backbone}, seed {self.spec.seed}"
        self.folder.claim(self.identity, {
            "summary": summary, "affetto": __version__,
            "spec": self.spec.model_dump(mode="json"), "facts": self._facts(),
        })  # fmt: skip
        metrics = self.folder.read(METRICS)
        if metrics is not None:
            self.display.say(f"{self.folder.path} is finished already; nothing to do")
        return metrics

    # The run -------------------------------------------------------------------------------------

    def _run(self, started: float) -> dict[str, Any]:
        self.accelerator: Accelerator = devices.accelerator(self.device)
        self.data.split.save(self.folder.split)
        self.prefixes = self._prepare()
        self.initial = self.classifier.snapshot()
        self.target = {clip.id: self.classifier.labels.index(clip.emotion) for clip in self.data.manifest.clips}
        self.clips = {clip.id: clip for clip in self.data.manifest.clips}
        folds = self.data.split.folds
        several = len(folds) > 1
        results = [
            self._fold(fold, self.folder.fold(fold.name) if several else self.folder, f"{n}/{len(folds)}")
            for n, fold in enumerate(folds, 1)
        ]
        metrics: dict[str, Any] = {}
        for part, file in PREDICTIONS.items():
            rows = [row for result in results for row in result[part]]
            if several:
                self.folder.write_lines(file, rows)
            metrics[part] = self._scores(rows)
        if several:
            metrics["folds"] = [result["summary"] for result in results]
            metrics["mean_of_folds"] = _mean_of_folds(metrics["folds"])
            metrics["final"] = self._final([result["summary"]["best_epoch"] for result in results])
        else:
            metrics["best_epoch"] = results[0]["summary"]["best_epoch"]
        metrics |= self._circumstances(started)
        self.folder.write(METRICS, metrics)
        return metrics

    def _prepare(self) -> PrefixData:
        s = self.spec.settings
        store = PrefixStore(
            {
                "weights": self.weights_digest, "preprocessing": self.backbone.preprocessing,
                "seconds": s.audio.seconds, "cut": self.classifier.cut, "device": self.device.type, "compute": "float32",
            },
            s.store.precision,
        )  # fmt: skip
        data = PrefixData(self.classifier, store, self.data.sources, self.data.digests, s.audio.seconds)
        self.display.begin("frozen states")
        bad = data.prepare(self.display.advance)
        if bad:
            manifest, self.data.bad = self._without(self.data.manifest, bad, self.data.bad)
            self.data.manifest = manifest
            keep = {clip.id for clip in manifest.clips}
            self.data.split = _restricted(self.data.split, keep)
            self.data.split.save(self.folder.split)
        self.display.end(f"{len(data.frames)} clips")
        return data

    def _fold(self, fold: Fold, folder: RunFolder, position: str) -> dict[str, Any]:
        """Fit and test one fold, or read what was written when it was done before."""
        saved = folder.read("fold.json")
        if saved is not None:
            return {"summary": saved} | {part: folder.read_lines(file) for part, file in PREDICTIONS.items()}
        label = fold.name if folder.path == self.folder.path else f"fold {fold.name}"
        self.display.begin(f"{label} ({position})")
        fitted = self._fit(fold.train, fold.validation, self.spec.settings.training.epochs, fold.name, folder)
        result: dict[str, Any] = {}
        for part, ids in (("test", fold.test), ("validation", fold.validation)):
            result[part] = self._rows(ids, fold.name)
            folder.write_lines(PREDICTIONS[part], result[part])
        summary = {
            "name": fold.name,
            "best_epoch": fitted.best_epoch,
            "test": self._scores(result["test"]),
            "validation": self._scores(result["validation"]),
            "seconds": round(sum(record["seconds"] for record in fitted.history), 3),
        }
        self._save(folder, fold.name, tested=True)
        folder.write("fold.json", summary)
        folder.checkpoint.unlink(missing_ok=True)
        self.display.end(
            f"macro F1 {100 * summary['test']['macro_f1']:.1f} on {summary['test']['n']} test clips, "
            f"epoch {fitted.best_epoch} of {len(fitted.history)}"
        )
        return {"summary": summary, **result}

    def _final(self, best_epochs: list[int]) -> dict[str, Any]:
        """The model that `predict` uses: on all speakers, for the folds' median number of epochs."""
        if not self.spec.final:
            return {"trained": False, "note": "left out by --no-final"}
        epochs = max(1, int(statistics.median(best_epochs) + 0.5))
        if self.folder.read("final.json") is None:
            self.display.begin(FINAL)
            everyone = tuple(clip.id for clip in self.data.manifest.clips)
            self._fit(everyone, None, epochs, FINAL, self.folder)
            self._save(self.folder, FINAL, tested=False)
            self.folder.write("final.json", {"epochs": epochs})
            self.folder.checkpoint.unlink(missing_ok=True)
            self.display.end(f"trained on all {len(everyone)} clips for {epochs} epochs")
        return {
            "trained": True,
            "epochs": epochs,
            "tested": False,
            "note": "trained on all speakers for the median of the folds' best epochs; the scores are the folds', "
            "this model was not tested itself",
        }

    def _fit(
        self, ids: tuple[str, ...], validation: tuple[str, ...] | None, epochs: int, name: str, folder: RunFolder
    ) -> Fit:
        self.classifier.restore(self.initial)
        task = Task(ids, validation, self.target, self.spec.seed, epochs, f"{self.identity} {name}")

        def on_epoch(progress: Fit) -> None:
            folder.write_lines(LOG, progress.history)
            self.display.epoch(progress)

        return fit(
            self.classifier, self.prefixes, task, self.spec.settings.training, self.accelerator,
            checkpoint_file=folder.checkpoint, on_epoch=on_epoch, on_step=self.display.advance,
        )  # fmt: skip

    # What is written -----------------------------------------------------------------------------

    def _rows(self, ids: tuple[str, ...], fold: str) -> list[dict[str, Any]]:
        probabilities = predict(self.classifier, self.prefixes, ids, self.device)
        return [self._row(self.clips[i], row, fold) for i, row in zip(ids, probabilities, strict=True)]

    def _row(self, clip: Clip, probabilities: np.ndarray, fold: str) -> dict[str, Any]:
        row: dict[str, Any] = {"file": clip.name, "speaker": clip.speaker, "truth": clip.emotion}
        row["probabilities"] = {
            label: round(float(p), DECIMALS) for label, p in zip(self.classifier.labels, probabilities, strict=True)
        }
        if len(self.data.split.folds) > 1:
            row["fold"] = fold
        if len(self.spec.corpora) > 1:
            row["corpus"] = clip.corpus
        return row

    def _scores(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        return scores(
            [row["truth"] for row in rows],
            np.array([list(row["probabilities"].values()) for row in rows]),
            self.classifier.labels,
            [row["speaker"] for row in rows],
        )

    def _save(self, folder: RunFolder, trained_on: str, *, tested: bool) -> None:
        spec = self.spec
        name = (
            str(Path(spec.backbone).resolve())
            if Path(spec.backbone).is_dir() and not spec.random_weights
            else spec.backbone
        )
        save_classifier(self.classifier, folder.model, {
            "affetto": __version__,
            "run": self.identity,
            "blueprint": self.blueprint(),
            "audio": spec.settings.audio.model_dump(),
            "backbone": {
                "name": name, "family": self.backbone.family, "digest": self.weights_digest,
                "random_weights": spec.random_weights, "weights_seed": spec.weights_seed,
                "preprocessing": self.backbone.preprocessing,
            },
            "trained_on": trained_on, "tested": tested,
            "corpus": self.data.manifest.corpus, "licence": self.data.manifest.licence, "synthetic": self.data.manifest.synthetic,
        })  # fmt: skip

    def _circumstances(self, started: float) -> dict[str, Any]:
        backbone: Backbone = self.backbone
        own = {id(p) for p in self.classifier.trainable().values()}
        return {
            "corpus": self.data.manifest.corpus,
            "synthetic": self.data.manifest.synthetic,
            "clips": len(self.data.manifest.clips),
            "left_out": self.data.bad,
            "backbone": self.spec.backbone,
            "method": self.spec.method,
            "recipe": self.spec.recipe,
            "seed": self.spec.seed,
            "split": self.data.split.protocol,
            "split_checksum": self.data.split.checksum,
            "trainable_parameters": sum(p.numel() for p in self.classifier.trainable().values()),
            "backbone_parameters": sum(
                p.numel()
                for n, p in backbone.model.named_parameters()
                if id(p) not in own or self.spec.method == "full"
            ),
            "wall_seconds": round(time.monotonic() - started, 3),
            "peak_memory_bytes": peak_memory_bytes(self.device),
            "identity": self.identity,
            "provenance": provenance(self.device),
        }


def _digests(sources: dict[str, Source]) -> tuple[dict[str, str], dict[str, str]]:
    """Content digests by clip id, and the problems of clips that cannot be read."""

    def one(item: tuple[str, Source]) -> tuple[str, str | AudioError]:
        try:
            return item[0], item[1].digest()
        except AudioError as problem:
            return item[0], problem

    with ThreadPoolExecutor() as pool:
        found = dict(pool.map(one, sources.items()))
    bad = {clip_id: str(value) for clip_id, value in found.items() if isinstance(value, AudioError)}
    return {clip_id: value for clip_id, value in found.items() if isinstance(value, str)}, bad


def _restricted(split: Split, keep: set[str]) -> Split:
    """The split without the clips whose audio turned out unusable; empty parts are an error."""
    from dataclasses import replace

    from affetto.splits.split import membership

    folds = tuple(
        Fold(fold.name, *(tuple(i for i in ids if i in keep) for ids in fold.parts.values())) for fold in split.folds
    )
    for fold in folds:
        for part, ids in fold.parts.items():
            if not ids:
                raise UserError(
                    f"fold {fold.name}: no usable clip is left in its {part} part; mend the clips or choose another split"
                )
    return replace(split, folds=folds, checksum=membership(folds))


def _mean_of_folds(folds: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and sample standard deviation (ddof 1) of the folds' test scores."""
    values = {name: [fold["test"][name] for fold in folds] for name in MEASURES}
    return {name: statistics.mean(v) for name, v in values.items()} | {
        "standard_deviation": {name: statistics.stdev(v) for name, v in values.items()},
        "folds": len(folds),
    }
