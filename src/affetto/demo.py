"""The whole road on synthetic Italian speech: three corpora, a grid of backbones and methods, the report, a prediction.

Each step stands under the command that does the same by hand. The networks have random weights and the speech is
synthetic: what comes out shows that the machinery works, not how well real models do. Run again, the demo takes what
is there and goes on where it was.
"""

from __future__ import annotations

import importlib.util
import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from affetto.corpora import audit, folders
from affetto.corpora.labels import EMOTIONS
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from affetto.experiments import grid as grids
from affetto.experiments.launch import launch
from affetto.experiments.outcome import Event
from affetto.experiments.states import GridFolder
from affetto.models.parallel import cores
from affetto.reporting.render.text import duration_text
from affetto.reporting.report import PAGE, write
from affetto.synthetic import emotional as synthetic
from affetto.training.display import Display
from affetto.training.runs import METRICS

CORPORA = ("emovo", "emozionalmente", "demos")
BACKBONES = ("wav2vec2-mini", "xlsr-mini", "wavlm-mini", "hubert-mini", "whisper-mini")
METHODS = ("frozen", "adapter", "lora")
"""The probe is run beside each of them."""
SPLIT = "kfold:3"
SETTINGS = {"model.layer": 3, "training.first_block": 2, "probe.inner_folds": 3}
"""Beside the number of epochs, what differs from the recipe, so that the demo is quick: Adapter and LoRA change the
last of three blocks, and everything below it is computed once."""
USED = ("whisper-mini", "emovo", "lora")
"""The run whose model is used: settled beforehand, not picked by its test score."""
MOST_WORKERS = 4
UNSEEN_SEED = 1
UNSEEN_FILE = "f1/gio-f1-b1.wav"
GRID, CORPUS, REPORT, UNSEEN = "grid", "corpora", "report", "unseen"
TRUTH = (
    "The networks are small and have random weights, and the speech is synthetic: the figures show that the machinery "
    "works, not how well real models do on real speech."
)
NEXT = (
    "your own recordings  a table clips.csv (file, emotion, speaker), then",
    "                     affetto train --table clips.csv --backbone wav2vec2-base --method lora --out run",
    "a real corpus        affetto corpora inspect FOLDER names it, or says what it misses",
    "the paper's grid     affetto grid run grids/paper.yaml --out paper --corpus emovo=FOLDER …",
    "all the rest         affetto --help, and docs/ of the project",
)


def run(
    out: Path, *, device: str = "auto", speakers: int = 12, clips: int = 126, epochs: int = 4,
    backbones: tuple[str, ...] = BACKBONES, corpora: tuple[str, ...] = CORPORA,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """Go the whole road in the folder `out`; returns the metrics of each run by its name.

    Raises UserError where `out` holds something else, or where the extra `demo` is not installed.
    """
    return _Demo(Path(out), device, speakers, clips, epochs, backbones, corpora).go()


@dataclass
class _Demo:
    out: Path
    device: str
    speakers: int
    clips: int
    epochs: int
    backbones: tuple[str, ...]
    corpora: tuple[str, ...]
    console: Console = field(default_factory=Console)

    def go(self) -> dict[str, dict[str, Any]]:
        started = time.monotonic()
        _examine(self.out)
        self._say(f"{TRUTH} Each step stands under its command.")
        self._corpora()
        self._inspect()
        made = self._grid()
        self._report()
        with _one_thread():
            self._predict()
        self._step(f"Done, in {duration_text(time.monotonic() - started)}. What next")
        for line in NEXT:
            self._say(line)
        return made

    # Steps ---------------------------------------------------------------------------------------

    def _corpora(self) -> None:
        self._step("Corpora: synthetic Italian speech, in the layouts of the three that the paper uses")
        for kind in self.corpora:
            folder, size = self.out / CORPUS / kind, (self.speakers, self.clips)
            self._command("affetto", "corpora", "make", kind, folder, "--speakers", size[0], "--clips", size[1])
            self._made(kind, folder, *size, 0)

    def _inspect(self) -> None:
        folder = self.out / CORPUS / self.corpora[0]
        self._step("What one is, and what is wrong with it")
        self._command("affetto", "corpora", "inspect", folder)
        with Display() as display:
            display.begin("reading clips")
            manifest = open_corpus(self.corpora[0], folder)
            inspection = audit.inspect(manifest, progress=display.advance)
            display.end(f"{len(manifest.clips)} clips")
        self.console.print(audit.render(inspection))

    def _grid(self) -> dict[str, dict[str, Any]]:
        file, out = self.out / f"{GRID}.yaml", self.out / GRID
        file.write_text(self._yaml(), encoding="utf-8")
        grid = grids.read(file)
        workers = min(MOST_WORKERS, cores())
        self._step(
            f"A grid: {len(self.backbones)} families of networks, {len(self.corpora)} corpora, {len(METHODS)} methods"
        )
        self._command("affetto", "grid", "run", file, "--out", out, "--workers", workers, *self._on())
        self._say(
            f"{file} says it in a few lines; the probe, logistic regression on what the frozen network makes of a "
            f"clip, is run beside each. Whole speakers are tested in {SPLIT.partition(':')[2]} turns."
        )
        folder = GridFolder(out)
        folder.claim(grid)
        with Display() as display:
            display.begin("runs")
            told = _Told(display, sum((folder.run(r.name).path / METRICS).is_file() for r in grid.runs), len(grid.runs))
            result = launch(grid, out, grid.corpora, workers=workers, device=self.device, retry_failed=True, tell=told)
            if result["failed"]:
                raise UserError(f"{result['failed']} runs of the demo have failed, {told.failed}")
            display.end(f"{result['done']} of {result['runs']} runs are done")
        found = {run.name: folder.run(run.name).read(METRICS) for run in grid.runs}
        return {name: metrics for name, metrics in found.items() if metrics is not None}

    def _report(self) -> None:
        self._step("The report: tables, figures and a page")
        self._command("affetto", "report", self.out / GRID, "--out", self.out / REPORT)
        with Display() as display:
            display.begin("drawing")
            made = write(
                self.out / GRID, self.out / REPORT, title="A demonstration on synthetic speech",
                progress=display.advance,
            )  # fmt: skip
            display.end(f"{len(made.files)} files")
        for one in made.summary.highlights:
            self._say(f"{one.corpus}: {one.words}")
        self._say(TRUTH)
        self._say(f"Open {self.out / REPORT / PAGE} in a browser; its tables and figures lie beside it as files.")

    def _predict(self) -> None:
        from affetto.inference.loading import load

        self._step("A voice that nobody has heard")
        unseen, model = self.out / UNSEEN, self._model()
        one = ("--speakers", 1, "--clips", len(EMOTIONS), "--seed", UNSEEN_SEED)
        self._command("affetto", "corpora", "make", "emovo", unseen, *one)
        self._made("emovo", unseen, 1, len(EMOTIONS), UNSEEN_SEED)
        clips = open_corpus("emovo", unseen).clips
        predictor = load(model, device=self.device)
        predictions = {clip.file: predictor(unseen / clip.file) for clip in clips}
        right = sum(predictions[clip.file].emotion == clip.emotion for clip in clips)
        self._say(f"{right} of its {len(clips)} clips are taken for what they are meant to be. One of them:")
        self._command("affetto", "predict", model, unseen / UNSEEN_FILE, *self._on())
        found = predictions[UNSEEN_FILE]
        self.console.print(f"[bold]{found.emotion}[/] (it is meant to be joy)", highlight=False)
        for emotion, p in sorted(found.probabilities.items(), key=lambda item: -item[1]):
            self.console.print(f"  {emotion:<11} {100 * p:5.1f} %  {'█' * round(40 * p)}", highlight=False)

    # Parts ---------------------------------------------------------------------------------------

    def _yaml(self) -> str:
        axes: dict[str, Any] = {
            "backbone": list(self.backbones), "corpus": list(self.corpora), "method": list(METHODS), "split": SPLIT,
            "recipe": "recommended", "random_weights": True, **SETTINGS, "training.epochs": self.epochs,
        }  # fmt: skip
        places = {kind: str(self.out / CORPUS / kind) for kind in self.corpora}
        content = {"name": "demo", "axes": axes, "corpora": places}
        return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)

    def _model(self) -> Path:
        """The model of the first fold of the run that is used: a grid's runs end with no model of all speakers."""
        backbone, corpus, method = USED
        run = next(
            run for run in grids.read(self.out / f"{GRID}.yaml").runs
            if (run["backbone"], run["corpus"], run["method"]) == (backbone, corpus, method)
        )  # fmt: skip
        return sorted((GridFolder(self.out / GRID).run(run.name).path / "folds").iterdir())[0]

    def _made(self, kind: str, folder: Path, speakers: int, clips: int, seed: int) -> None:
        """Have a corpus made, unless it is there. Raises UserError where something else is."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            wanted = {"synthetic": True, "kind": kind, "speakers": speakers, "clips": clips, "seed": seed}
            if _marker(folder) == wanted:
                self._say("It is there already.")
                return
            raise UserError(f"{folder} holds something else than the demo's corpus: give another --out, or remove it")
        with Display() as display:
            display.begin("speaking")
            synthetic.make(kind, folder, speakers=speakers, clips=clips, seed=seed, progress=display.advance)
            display.end(f"{clips} clips")

    def _on(self) -> tuple[str, ...]:
        return () if self.device == "auto" else ("--device", self.device)

    def _step(self, title: str) -> None:
        self.console.print()
        self.console.print(Text(title, style="bold"))

    def _command(self, *words: object) -> None:
        self.console.print(Text(_line(*words), style="cyan"), soft_wrap=True)

    def _say(self, text: str) -> None:
        self.console.print(Text(text))


@dataclass
class _Told:
    """Takes the launcher's events: one step of the bar a run, and the first failure kept."""

    display: Display
    done: int
    total: int
    failed: str = ""

    def __call__(self, event: Event) -> None:
        self.done += event.state in ("done", "failed")
        if event.state == "failed" and not self.failed:
            self.failed = f"the first {event.run}: {event.error}"
        self.display.advance(self.done, self.total)


def _examine(out: Path) -> None:
    """Raise UserError, before anything is done, for what cannot end well."""
    for module in ("espeakng_loader", "matplotlib", "jinja2", "statsmodels"):
        if importlib.util.find_spec(module) is None:
            raise UserError(f"the demo needs {module}, which is not installed: pip install 'affetto[demo]'")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is no folder: give another --out")
    others = sorted(path.name for path in out.glob("[!.]*"))
    if others and not any(folders.is_synthetic(folder) for folder in (out / CORPUS).glob("*")):
        raise UserError(f"{out} holds something else (such as {others[0]!r}) than a demo: give another --out")


def _marker(folder: Path) -> dict[str, Any]:
    """What a synthetic corpus says of itself, as far as it decides what it holds."""
    if not folders.is_synthetic(folder):
        return {}
    said = json.loads((folder / folders.MARKER).read_text(encoding="utf-8"))
    return {name: said.get(name) for name in ("synthetic", "kind", "speakers", "clips", "seed")}


def _line(*words: object, width: int = 76) -> str:
    """A command for a shell; too long a one goes on in the next line, and an option's value stays beside it."""
    parts: list[str] = []
    for word in map(str, words):
        if parts and parts[-1].startswith("--") and " " not in parts[-1] and not word.startswith("--"):
            parts[-1] += f" {shlex.quote(word)}"
        else:
            parts.append(shlex.quote(word))
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 1 + len(part) > width:
            lines.append(f"    {part}")
        else:
            lines[-1] += f" {part}"
    return " \\\n".join(lines)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Of so small a network the threads only wait for one another; on busy cores that made it five times as slow."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
