"""A specialisation from its spec to its checkpoint: corpus → sample → objective → loop → folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from filelock import FileLock, Timeout

from affetto import audio
from affetto._version import __version__
from affetto.backbones.checkpoints import load_backbone
from affetto.corpora.transcribed.listing import Listing
from affetto.corpora.transcribed.registry import open_speech
from affetto.errors import UserError
from affetto.locks import take
from affetto.specialize import objectives
from affetto.specialize.data import Chooser, Sample, vocabulary_for
from affetto.specialize.examine import Checked, Examiner
from affetto.specialize.folder import CHECKED, PROVENANCE, Folder
from affetto.specialize.folder import provenance as provenance_of
from affetto.specialize.loop import Loop, Progress
from affetto.specialize.moved import CLIPS, moved
from affetto.specialize.objective import Objective
from affetto.specialize.parents import Parent, load_parent
from affetto.specialize.scores import RATES, need_jiwer
from affetto.specialize.spec import Spec
from affetto.specialize.text import Vocabulary
from affetto.training import device as devices
from affetto.training.display import Display
from affetto.training.provenance import peak_memory_bytes, provenance


def specialize(spec: Spec, out: str | Path, *, device: str = "auto", display: Display | None = None) -> dict[str, Any]:
    """Specialise as `spec` says, into the checkpoint folder `out`; returns the content of `specialized.json`.

    A finished specialisation is not repeated, an unfinished one is resumed. Under `accelerate launch` the processes
    share the work. Raises UserError for an error that the user can mend, before anything is written if possible.
    """
    with display or Display(quiet=True) as active:
        return _Specialisation(spec, Folder(out), device, active).go()


class _Specialisation:
    def __init__(self, spec: Spec, folder: Folder, device: str, display: Display) -> None:
        self.started = time.monotonic()
        self.spec, self.folder, self.display = spec, folder, display
        self.device = devices.choose(device)
        self.precision = devices.resolve_precision(spec.settings.precision, self.device)

    def go(self) -> dict[str, Any]:
        spec = self.spec
        self.folder.examine()
        accelerator = devices.accelerator(self.device)
        if not accelerator.is_main_process:  # a single process reports
            self.display = Display(quiet=True)
        with_text = objectives.writes(spec.objective)
        if with_text:
            need_jiwer()
        corpus = open_speech(
            spec.corpus, Path(spec.path), split=spec.split, language=spec.language, with_sentences=with_text
        )
        for note in corpus.notes:
            self.display.say(f"note: {note}")
        torch.manual_seed(spec.seed)  # a checkpoint may lack weights, such as the embedding of masked frames
        parent = load_parent(spec.backbone, spec.from_scratch, spec.objective, spec.seed)
        vocabulary = self._vocabulary(corpus)
        torch.manual_seed(spec.seed)
        objective = self._objective(parent, vocabulary)
        sample = self._sample(corpus, objective, vocabulary, accelerator)
        request = self._request(corpus, objective, sample)
        identity = _digest(request)
        done = self.folder.finished(identity, request)
        if done is not None:
            self.display.say(f"{self.folder.path} is finished already; nothing to do")
            return done
        if accelerator.is_main_process:
            self.folder.begin(identity, request, self.checked)
        accelerator.wait_for_everyone()
        with self._hold(accelerator.is_main_process):
            progress = self._train(objective, sample, accelerator, identity)
            record = self._record(
                corpus=corpus,
                objective=objective,
                sample=sample,
                progress=progress,
                accelerator=accelerator,
                request=request,
                identity=identity,
            )
            if accelerator.is_main_process:
                self._save(objective, sample, record)
        accelerator.wait_for_everyone()
        return record

    def _objective(self, parent: Parent, vocabulary: Vocabulary | None) -> Objective:
        spec = self.spec
        objective = objectives.make(
            spec.objective,
            parent,
            settings=spec.settings,
            method=spec.method,
            vocabulary=vocabulary,
            language=spec.language,
        )
        for note in objective.notes:
            self.display.say(f"note: {note}")
        return objective

    def _request(self, corpus: Listing, objective: Objective, sample: Sample) -> dict[str, Any]:
        """Facts that the result depends on, by name; the folder compares them with those of an earlier start."""
        vocabulary = objective.vocabulary
        return (
            self.spec.describe()
            | objective.facts()
            | {
                "corpus": corpus.name,
                "version": corpus.version,
                "corpus_split": corpus.split,
                "parent": objective.parent.identity(),
                "precision": self.precision,
                "vocabulary": vocabulary.characters if vocabulary else None,
                "sample": _digest(sample.facts()),
            }
        )

    @contextlib.contextmanager
    def _hold(self, is_main: bool) -> Iterator[None]:
        """Hold the folder, for this process and those that it was launched with."""
        if not is_main:
            yield
            return
        lock = FileLock(self.folder.lock, timeout=0)
        try:
            take(lock)
        except Timeout:
            raise UserError(
                f"{self.folder.path}: another process is at work on it; wait for it, or give another --out"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def _vocabulary(self, corpus: Listing) -> Vocabulary | None:
        if not objectives.over_characters(self.spec.objective, self.spec.settings):
            return None
        vocabulary, note = vocabulary_for(self.spec, corpus)
        if note:
            self.display.say(f"note: {note}")
        return vocabulary

    def _sample(
        self, corpus: Listing, objective: Objective, vocabulary: Vocabulary | None, accelerator: Accelerator
    ) -> Sample:
        self.display.begin("looking at clips")
        self.checked = self.folder.work.read(CHECKED) or {}

        def keep(checked: Checked) -> None:
            if accelerator.is_main_process and provenance_of(self.folder.path) is None:
                self.folder.remember(checked)

        examiner = Examiner(
            self.checked,
            keep,
            process=accelerator.process_index,
            processes=accelerator.num_processes,
            gather=gather_object if accelerator.num_processes > 1 else list,
        )
        sample = Chooser(
            corpus,
            self.spec,
            vocabulary=vocabulary,
            with_text=objectives.writes(self.spec.objective),
            fits=objective.fits,
            examiner=examiner,
            say=self.display.say,
            progress=self.display.advance,
        ).choose()
        summary = sample.describe()
        train, validation = summary["train"], summary["validation"]
        self.display.end(
            f"{train['clips']} clips, {train['hours']:.2f} h of {train['speakers']} speakers; "
            f"{validation['clips']} clips of {validation['speakers']} others validate"
        )
        repeated, all_clips = len(sample.repeated), len(sample.validation)
        if repeated and objectives.writes(self.spec.objective):
            self.display.say(
                f"note: {repeated} of {all_clips} validation clips ({repeated / all_clips:.0%}) say a sentence that is "
                "trained on too, so the model may have memorised it; the error rates of unseen sentences, if there are "
                "any, are reported too"
            )
        return sample

    def _train(self, objective: Objective, sample: Sample, accelerator: Accelerator, identity: str) -> Progress:
        self.display.begin(self.spec.objective)

        def step(progress: Progress, steps: int) -> None:
            self.display.advance(progress.step, steps)
            self.display.remark(f"{progress.heard_seconds / 3600:.2f} h heard  loss {progress.curve[-1]:.3f}")

        def validated(record: dict[str, Any]) -> None:
            moment = "before training"
            if record["step"]:
                moment = f"step {record['step']}, {record['heard_hours']:.2f} h heard"
            loss = "" if record["loss"] is None else f"  loss {record['loss']:.3f}"
            rates = "".join(f"  {text} {record[name]:.1%}" for name, text in RATES.items() if name in record)
            self.display.say(f"{moment}:{loss}  validation {record['validation_loss']:.3f}{rates}")
            doubt = None if record["step"] else objective.doubt(record["validation_loss"])
            if doubt:
                self.display.say(f"note: {doubt}")

        main = accelerator.is_main_process
        loop = Loop(
            objective,
            sample,
            self.spec.settings,
            accelerator,
            seed=self.spec.seed,
            precision=self.precision,
            identity=identity,
            checkpoint_file=self.folder.checkpoint,
            on_step=step if main else lambda _progress, _all: None,
            on_validation=validated if main else lambda _: None,
        )
        try:
            progress = loop.run()
        except (torch.OutOfMemoryError, MemoryError):
            raise UserError(
                "out of memory: the same command with --set gradient_checkpointing=true goes on; a lower --set "
                "device_seconds needs another --out"
            ) from None
        if main:
            self.display.end(f"{progress.step} steps, {progress.heard_seconds / 3600:.2f} h heard")
        return progress

    def _record(
        self,
        corpus: Listing,
        objective: Objective,
        sample: Sample,
        progress: Progress,
        accelerator: Accelerator,
        request: dict[str, Any],
        identity: str,
    ) -> dict[str, Any]:
        """Content of `specialized.json`: the provenance of the checkpoint."""
        spec = self.spec
        return {
            "affetto": __version__,
            "objective": spec.objective,
            "method": spec.method,
            "parent": objective.parent.describe(),
            "heads": objective.heads,
            "from_scratch": spec.from_scratch,
            "corpus": {
                "name": corpus.name,
                "version": corpus.version,
                "language": corpus.language,
                "split": corpus.split,
                "licence": corpus.licence,
                "synthetic": corpus.synthetic,
                **sample.describe(),
            },
            "synthetic": corpus.synthetic,
            "hours_heard": round(progress.heard_seconds / 3600, 4),
            "steps": progress.step,
            "history": progress.history,
            "curve": [round(loss, 5) for loss in progress.curve],
            "seconds": round(progress.seconds, 1),
            "processes": accelerator.num_processes,
            "settings": spec.settings.model_dump(mode="json"),
            "seed": spec.seed,
            "precision": self.precision,
            "asked": request,
            "identity": identity,
            "peak_memory_bytes": peak_memory_bytes(self.device),
            "provenance": provenance(self.device),
        }

    def _save(self, objective: Objective, sample: Sample, record: dict[str, Any]) -> None:
        """Write the checkpoint aside, load it as other commands do, and publish it if it has the trained weights."""
        making = self.folder.making()
        # Untrained weights may be drawn only here (the decoder of a Whisper from nothing that learned by ctc): they
        # must not depend on the number of steps that this process has run since a kill.
        torch.manual_seed(self.spec.seed)
        objective.merge()
        objective.model.cpu()
        objective.save(making)
        save_preprocessor(objective.parent, making)
        record["weights_digest"] = objective.backbone.weights_digest()
        child = load_backbone(str(making))
        if child.weights_digest() != record["weights_digest"]:
            raise RuntimeError(f"{making}: the checkpoint does not hold the weights that were trained")
        before = load_parent(self.spec.backbone, self.spec.from_scratch, self.spec.objective, self.spec.seed)
        waves = [audio.load(clip.path) for clip in sample.validation[:CLIPS]]
        record["cka"] = moved(before.backbone, child, waves)
        (making / PROVENANCE).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        self.folder.publish()


def save_preprocessor(parent: Parent, folder: Path) -> None:
    """Write the parent's preprocessor configuration, or that of a model from nothing."""
    name = "preprocessor_config.json"
    if parent.folder is not None:
        (folder / name).write_bytes((parent.folder / name).read_bytes())
        return
    backbone = parent.backbone
    backbone.record.feature_extractor(backbone.preprocessing, attention_mask=True).save_pretrained(folder)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
