"""The whole way on synthetic Italian speech: three corpora, a grid of methods, the report, a prediction.

Each step stands under the command that does the same by hand. Run again, the demonstration takes what is there and
continues.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

from affetto.corpora import audit, folders
from affetto.corpora.labels import EMOTIONS
from affetto.corpora.registry import open_corpus
from affetto.demo import networks, speech
from affetto.demo.networks import Networks
from affetto.demo.speech import Size
from affetto.demo.terminal import Terminal
from affetto.errors import UserError
from affetto.experiments import grid as grids
from affetto.experiments.launch import launch
from affetto.experiments.outcome import Event
from affetto.experiments.states import GridFolder
from affetto.models.parallel import cores
from affetto.reporting.render.text import duration_text
from affetto.reporting.report import PAGE, write
from affetto.training.display import Display
from affetto.training.runs import FOLDS, METRICS

CORPORA = ("emovo", "emozionalmente", "demos")
METHODS = ("frozen", "adapter", "lora")
"""The probe runs beside each of them."""
BASELINE = "probe"
SPLIT, FOLD_COUNT = "kfold:3", 3
INNER_FOLDS = 3
USED_METHOD = "lora"
"""Method of the model that labels the unseen speaker: settled beforehand, not picked by its test score."""
MOST_WORKERS = 4
UNSEEN = Size(speakers=1, clips=len(EMOTIONS), seed=1)
GRID, CORPUS, REPORT, UNSEEN_FOLDER = "grid", "corpora", "report", "unseen"
NEXT = (
    "your own recordings  a table clips.csv (file, emotion, speaker), then",
    "                     affetto train --table clips.csv --backbone wav2vec2-base --method lora --out run",
    "a real corpus        affetto corpora inspect FOLDER names it, or says what is missing",
    "the paper's grid     affetto grid run grids/paper.yaml --out paper --corpus emovo=FOLDER …",
    "everything else      affetto --help, and docs/ of the project",
)

Metrics = dict[str, dict[str, Any]]
"""Content of metrics.json by the name of the run."""


def run(
    out: Path,
    *,
    backbone: str | None = None,
    random_weights: bool = False,
    device: str = "auto",
    corpora: tuple[str, ...] = CORPORA,
    size: Size | None = None,
    epochs: int = 4,
) -> Metrics:
    """Run the demonstration in the folder `out`; returns the metrics of each run by its name.

    `backbone` is a checkpoint; without it a small pre-trained one is used, or random ones where it cannot be had or
    `random_weights` asks for them. `size` is that of each corpus. Raises UserError where `out` holds something else,
    where the extra `demo` is not installed, or the backbone cannot be loaded.
    """
    check_folder(out)
    terminal = Terminal()
    network = networks.choose(backbone, random_weights=random_weights, grid_file=out / f"{GRID}.yaml", say=terminal.say)
    return _Tour(
        out=out,
        device=device,
        corpora=corpora,
        size=size or Size(speakers=12, clips=126),
        epochs=epochs,
        terminal=terminal,
        networks=network,
    ).go()


@dataclass
class _Tour:
    out: Path
    device: str
    corpora: tuple[str, ...]
    size: Size
    epochs: int
    terminal: Terminal
    networks: Networks

    def go(self) -> Metrics:
        started = time.monotonic()
        self.terminal.say(
            f"A demonstration with {self.networks.summary}, in {self.out}. {self.networks.note} "
            "Each step stands under its command."
        )
        self._make_corpora()
        self._inspect_corpus()
        runs = self._run_grid()
        self._compare_methods(runs)
        self._write_report()
        with one_thread():
            self._label_speaker()
        self.terminal.step(f"Done, in {duration_text(time.monotonic() - started)}. What next")
        for line in NEXT:
            self.terminal.say(line)
        return runs

    # Steps ---------------------------------------------------------------------------------------

    def _make_corpora(self) -> None:
        self.terminal.step("Corpora: synthetic Italian speech, in the layouts of the three that the paper uses")
        for kind in self.corpora:
            self._make_corpus(kind, self.out / CORPUS / kind, self.size)

    def _inspect_corpus(self) -> None:
        folder = self.out / CORPUS / self.corpora[0]
        self.terminal.step("Contents of a corpus, and its faults")
        self.terminal.command("affetto", "corpora", "inspect", folder)
        with Display() as display:
            display.begin("reading clips")
            manifest = open_corpus(self.corpora[0], folder)
            inspection = audit.inspect(manifest, progress=display.advance)
            display.end(f"{len(manifest.clips)} clips")
        self.terminal.console.print(audit.render(inspection))

    def _run_grid(self) -> Metrics:
        file, out = self.out / f"{GRID}.yaml", self.out / GRID
        write_grid(file, self._grid())
        grid = grids.read(file)
        workers = min(MOST_WORKERS, cores())
        self.terminal.step(f"A grid: {self.networks.summary}, {len(self.corpora)} corpora, {len(METHODS)} methods")
        self.terminal.command("affetto", "grid", "run", file, "--out", out, "--workers", workers, *self._device())
        self.terminal.say(
            f"{file} describes it in a few lines. The probe, logistic regression on the frozen network's states, runs "
            f"beside each method. Whole speakers are tested, in {FOLD_COUNT} folds."
        )
        folder = GridFolder(out)
        folder.claim(grid)
        with Display() as display:
            display.begin("runs")
            done = sum((folder.run(run.name).path / METRICS).is_file() for run in grid.runs)
            progress = _Progress(display=display, done=done, total=len(grid.runs))
            result = launch(
                grid, out, grid.corpora, workers=workers, device=self.device, retry_failed=True, tell=progress
            )
            if result["failed"]:
                raise UserError(f"{result['failed']} runs of the demo have failed, {progress.failure}")
            display.end(f"{result['done']} of {result['runs']} runs are finished")
        contents = {run.name: folder.run(run.name).read(METRICS) for run in grid.runs}
        return {name: metrics for name, metrics in contents.items() if metrics is not None}

    def _write_report(self) -> None:
        self.terminal.step("The report: tables, figures and a page")
        self.terminal.command("affetto", "report", self.out / GRID, "--out", self.out / REPORT)
        with Display() as display:
            display.begin("drawing")
            report = write(
                self.out / GRID,
                self.out / REPORT,
                title="A demonstration on synthetic speech",
                progress=display.advance,
            )
            display.end(f"{len(report.files)} files")
        for highlight in report.summary.highlights:
            self.terminal.say(f"{highlight.corpus}: {highlight.words}")
        self.terminal.say(self.networks.note)
        self.terminal.say(f"Open {self.out / REPORT / PAGE} in a browser; its tables and figures are files beside it.")

    def _label_speaker(self) -> None:
        from affetto.inference.loading import load

        self.terminal.step("A new speaker")
        folder, model = self.out / UNSEEN_FOLDER, self._model()
        self._make_corpus("emovo", folder, UNSEEN)
        self.terminal.command("affetto", "predict", model, folder, *self._device())
        predictor = load(model, device=self.device)
        rows, correct = [], 0
        for clip in open_corpus("emovo", folder).clips:
            prediction = predictor(folder / clip.file)
            label = prediction.emotion or "–"
            correct += label == clip.emotion
            share = prediction.probabilities.get(label, 0.0)
            rows.append((clip.file, clip.emotion, label, f"{100 * share:.0f} %", "✓" if label == clip.emotion else ""))
        self.terminal.table(("clip", "meant as", "label", "probability", ""), rows)
        self.terminal.say(f"{correct} of {len(rows)} labels are right; guessing gives 1 of {len(EMOTIONS)}.")

    def _compare_methods(self, runs: Metrics) -> None:
        """Table of the used backbone's methods: macro F1 on each corpus, and parameters that train."""
        results = [metrics for metrics in runs.values() if metrics["backbone"] == self.networks.used]
        self.terminal.step(
            f"Macro F1 of {Path(self.networks.used).name} in per cent, on speakers that no model was trained on"
        )
        rows = []
        for method in (BASELINE, *METHODS):
            scores = {
                metrics["corpus"]: (metrics["probe"] if method == BASELINE else metrics)["test"]["macro_f1"]
                for metrics in results
                if method in (BASELINE, metrics["method"])
            }
            trained = [metrics["trainable_parameters"] for metrics in results if metrics["method"] == method]
            cells = [f"{100 * scores[corpus]:.1f}" for corpus in sorted(scores)]
            rows.append((method, *cells, f"{100 * mean(scores.values()):.1f}", f"{max(trained):,}" if trained else "–"))
        chance = {metrics["corpus"]: metrics["test"]["chance"]["macro_f1"] for metrics in results}
        cells = [f"{100 * chance[corpus]:.1f}" for corpus in sorted(chance)]
        rows.append(("chance", *cells, f"{100 * mean(chance.values()):.1f}", "–"))
        self.terminal.table(("method", *sorted(chance), "mean", "trained parameters"), rows)

    # Parts ---------------------------------------------------------------------------------------

    def _grid(self) -> dict[str, Any]:
        axes: dict[str, Any] = {
            "backbone": list(self.networks.backbones),
            "corpus": list(self.corpora),
            "method": list(METHODS),
            "split": SPLIT,
            "recipe": "recommended",
            "random_weights": self.networks.is_random,
            **self.networks.settings,
            "probe.inner_folds": INNER_FOLDS,
            "training.epochs": self.epochs,
        }
        return {
            "name": "demo",
            "axes": axes,
            "corpora": {kind: str(self.out / CORPUS / kind) for kind in self.corpora},
        }

    def _model(self) -> Path:
        """Folder with the model of the used run's first fold: a grid's runs end without a model of all speakers."""
        axes = (self.networks.used, self.corpora[0], USED_METHOD)
        planned = grids.read(self.out / f"{GRID}.yaml").runs
        used = next(run for run in planned if (run["backbone"], run["corpus"], run["method"]) == axes)
        return sorted((GridFolder(self.out / GRID).run(used.name).path / FOLDS).iterdir())[0]

    def _make_corpus(self, kind: str, folder: Path, size: Size) -> None:
        """Make a corpus, unless it is there. Raises UserError where something else is."""
        options = ("--speakers", size.speakers, "--clips", size.clips, *(("--seed", size.seed) if size.seed else ()))
        self.terminal.command("affetto", "corpora", "make", kind, folder, *options)
        if speech.is_made(kind, folder, size):
            self.terminal.say("It is there already.")
            return
        with Display() as display:
            display.begin("synthesising")
            speech.make(kind, folder, size, progress=display.advance)
            display.end(f"{size.clips} clips")

    def _device(self) -> tuple[str, ...]:
        return () if self.device == "auto" else ("--device", self.device)


@dataclass
class _Progress:
    """Receiver of the launcher's events: a step of the bar for each run, and the first failure."""

    display: Display
    done: int
    total: int
    failure: str = ""

    def __call__(self, event: Event) -> None:
        self.done += event.state in ("done", "failed")
        if event.state == "failed" and not self.failure:
            self.failure = f"the first {event.run}: {event.error}"
        self.display.advance(self.done, self.total)


def check_folder(out: Path) -> None:
    """Raise UserError, before anything is done, for a missing extra and for a folder that holds something else."""
    for module in ("espeakng_loader", "matplotlib", "jinja2", "statsmodels"):
        if importlib.util.find_spec(module) is None:
            raise UserError(f"the demo needs {module}, which is not installed: pip install 'affetto[demo]'")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is no folder: give another --out")
    entries = sorted(path.name for path in out.glob("[!.]*"))
    if entries and not any(folders.is_synthetic(folder) for folder in (out / CORPUS).glob("*")):
        raise UserError(f"{out} holds something else (such as {entries[0]!r}) than a demo: give another --out")


def write_grid(file: Path, content: dict[str, Any]) -> None:
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: for so small a network several only wait for each other, five times as long."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
