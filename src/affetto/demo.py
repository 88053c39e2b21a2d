"""The whole road on synthetic Italian speech: corpus, split, four methods, table, pictures, prediction.

Each step stands under the command that does the same by hand. The network has random weights and the speech
is synthetic: what comes out shows that the machinery works, not how well real models do. Run again, the demo
takes what is there and goes on where it was.
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

from rich.console import Console
from rich.text import Text

from affetto.corpora import audit, folders, synthetic
from affetto.corpora.labels import EMOTIONS
from affetto.corpora.readers import open_corpus
from affetto.errors import UserError
from affetto.reporting import figures, tables
from affetto.splits import make_split
from affetto.training.display import Display
from affetto.training.runs import LOG, RunFolder
from affetto.training.spec import DEFAULT_RECIPE, CorpusSpec, RunSpec, settings
from affetto.training.train import train

METHODS = ("probe", "frozen", "adapter", "lora")
USED = "lora"
"""The method whose errors are drawn and whose model is used: settled beforehand, not picked by its test score."""
BACKBONE = "whisper-mini"
"""The quickest on a CPU: it hears a spectrogram, the others' convolutions go over the wave itself."""
SPLIT = "kfold:4"
STATE, INNER_FOLDS = "3", "3"
LAST_BLOCK = "2"
UNSEEN_SEED = 1
BY_HAND = Path("by-hand")
TRUTH = (
    "The network has random weights and the speech is synthetic: the figures show that the machinery works, "
    "not how well real models do on real speech."
)
PICTURES = {
    "methods.png": "macro F1 of each method, beside chance",
    f"confusion-{USED}.png": f"what {USED} takes for what",
    "learning-curves.png": "loss and validation score over the epochs",
}


def run(
    out: Path, *, device: str = "auto", speakers: int = 12, clips: int = 504, epochs: int = 6
) -> dict[str, dict[str, Any]]:
    """Go the whole road in the folder `out`; returns each method's metrics.

    Raises UserError where `out` holds something else, or where the extra `demo` is not installed.
    """
    return _Demo(Path(out), device, speakers, clips, epochs).go()


@dataclass
class _Demo:
    out: Path
    device: str
    speakers: int
    clips: int
    epochs: int
    console: Console = field(default_factory=Console)
    heard: set[str] = field(default_factory=set)

    def go(self) -> dict[str, dict[str, Any]]:
        started = time.monotonic()
        _examine(self.out)
        self.commands = self._commands(self.out)
        self._say(f"{TRUTH} Each step stands under its command.")
        with _one_thread():
            self._corpus()
            self._split()
            metrics = {method: self._train(method) for method in METHODS}
            rows = self._table(metrics)
            self._pictures(metrics, rows)
            self._predict()
        self._next_steps(time.monotonic() - started)
        return metrics

    # Steps ---------------------------------------------------------------------------------------

    def _corpus(self) -> None:
        self._step("A corpus: synthetic speech in the layout of EMOVO", "make")
        folder = self.out / "corpus"
        if self._made(folder, self.speakers, self.clips, 0):
            self._say("It is there already.")
        self._step("What it is, and what is wrong with it", "inspect")
        self.manifest = open_corpus("emovo", folder)
        with self._display() as display:
            display.begin("reading clips")
            inspection = audit.inspect(self.manifest, progress=display.advance)
            display.end(f"{len(self.manifest.clips)} clips")
        self.console.print(audit.render(inspection))

    def _split(self) -> None:
        self._step(f"The split: whole speakers in four folds (--split {SPLIT})")
        split = make_split(self.manifest, SPLIT)
        speaker = {clip.id: clip.speaker for clip in self.manifest.clips}
        groups = ["+".join(sorted({speaker[clip] for clip in fold.test})) for fold in split.folds]
        self._say(f"Tested in turn: {', '.join(groups)}; each time the next ones validate, the others train.")

    def _train(self, method: str) -> dict[str, Any]:
        self._step(f"Train and test: {TITLES[method]}", method)
        with self._display() as display:
            return train(self._spec(method), self.out / "runs" / method, device=self.device, display=display)

    def _table(self, metrics: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        self._step("How they do, on speakers whom they never heard")
        rows = [
            tables.summary_row(
                method, made["test"], trainable_parameters=made["trainable_parameters"],
                seconds=made["wall_seconds"], synthetic=made["synthetic"],
            )
            for method, made in metrics.items()
        ]  # fmt: skip
        self.console.print(tables.summary_table(rows))
        self._say(TRUTH)
        return rows

    def _pictures(self, metrics: dict[str, dict[str, Any]], rows: list[dict[str, Any]]) -> None:
        self._step("Pictures")
        under = f"{BACKBONE} (random weights), {self.clips} synthetic clips, {SPLIT}"
        used = metrics[USED]["test"]
        bars, confusion, curves = (self.out / name for name in PICTURES)
        figures.method_bars(rows, bars, f"Macro F1 by method: {under}", synthetic=True)
        figures.confusion_matrix(used, confusion, f"{USED}, {under}", synthetic=True)
        logs = {method: self._logs(method, metrics[method]) for method in METHODS if method != "probe"}
        chance = used["chance"]["macro_f1"]
        figures.curves_by_method(logs, curves, f"Learning curves: {under}", synthetic=True, chance=chance)
        (self.out / "results.md").write_text(self._results(rows), encoding="utf-8")
        for name, words in {**PICTURES, "results.md": "the table, the pictures, and every step by hand"}.items():
            self._say(f"{self.out / name}: {words}")

    def _logs(self, method: str, metrics: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
        folder = RunFolder(self.out / "runs" / method)
        return {fold["name"]: folder.fold(fold["name"]).read_lines(LOG) for fold in metrics["folds"]}

    def _predict(self) -> None:
        from affetto.inference.predictor import load

        self._step("A voice that nobody has heard", "unseen")
        folder = self.out / "unseen"
        self._made(folder, 1, len(EMOTIONS), UNSEEN_SEED)
        clips = open_corpus("emovo", folder).clips
        predictor = load(self.out / "runs" / USED, device=self.device)
        predictions = [predictor(folder / clip.name) for clip in clips]
        right = sum(found.emotion == clip.emotion for found, clip in zip(predictions, clips, strict=True))
        self._say(f"{right} of its {len(clips)} clips are taken for what they are meant to be. One of them:")
        self._step("Use it", "predict")
        meant, found = next((c, p) for c, p in zip(clips, predictions, strict=True) if str(folder / c.name) in self.one)
        self.console.print(f"[bold]{found.emotion}[/] (it is meant to be {meant.emotion})", highlight=False)
        for emotion, p in sorted(found.probabilities.items(), key=lambda item: -item[1]):
            self.console.print(f"  {emotion:<11} {100 * p:5.1f} %  {'█' * round(40 * p)}", highlight=False)

    def _next_steps(self, seconds: float) -> None:
        self._step(f"Done, in {tables.duration(seconds)}. What next")
        for line in NEXT:
            self._say(line)

    # Parts ---------------------------------------------------------------------------------------

    @property
    def one(self) -> str:
        """The clip that is predicted: joy, by the first speaker."""
        return str(self.out / "unseen" / UNSEEN_FILE)

    def _made(self, folder: Path, speakers: int, clips: int, seed: int) -> bool:
        """Have a corpus made; True where it was there already. Raises UserError where something else is."""
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            wanted = {"synthetic": True, "kind": "emovo", "speakers": speakers, "clips": clips, "seed": seed}
            if _marker(folder) == wanted and len(list(folder.glob("*/*.wav"))) == clips:
                return True
            raise UserError(f"{folder} holds something else than the demo's corpus: give another --out, or remove it")
        with self._display() as display:
            display.begin("speaking")
            synthetic.make("emovo", folder, speakers=speakers, clips=clips, seed=seed, progress=display.advance)
            display.end(f"{clips} clips")
        return False

    def _overrides(self, method: str) -> dict[str, str]:
        """What differs from the recipe, so that the demo is quick."""
        chosen = {"model.layer": STATE, "probe.inner_folds": INNER_FOLDS}
        if method != "probe":
            chosen |= {"training.epochs": str(self.epochs)}
        if method in ("adapter", "lora"):
            chosen["training.first_block"] = LAST_BLOCK
        return chosen

    def _spec(self, method: str) -> RunSpec:
        return RunSpec(
            corpora=(CorpusSpec(name="emovo", path=str(self.out / "corpus")),), backbone=BACKBONE, method=method,
            split=SPLIT, random_weights=True, settings=settings(DEFAULT_RECIPE, self._overrides(method), method=method),
            probe=False,
        )  # fmt: skip

    def _commands(self, root: Path) -> dict[str, str]:
        """Every step as a line for a shell."""
        corpus, unseen = root / "corpus", root / "unseen"
        device = () if self.device == "auto" else ("--device", self.device)
        corpora, size = ("affetto", "corpora"), ("--speakers", self.speakers, "--clips", self.clips)
        found = {"make": _line(*corpora, "make", "emovo", corpus, *size), "inspect": _line(*corpora, "inspect", corpus)}
        for method in METHODS:
            changed = [word for pair in self._overrides(method).items() for word in ("--set", "=".join(pair))]
            found[method] = _line(
                "affetto", "train", "--corpus", f"emovo={corpus}", "--backbone", BACKBONE, "--random-weights",
                "--method", method, "--split", SPLIT, "--no-probe", *changed, "--out", root / "runs" / method, *device,
            )  # fmt: skip
        one = ("--speakers", 1, "--clips", len(EMOTIONS), "--seed", UNSEEN_SEED)
        found["unseen"] = _line(*corpora, "make", "emovo", unseen, *one)
        found["predict"] = _line("affetto", "predict", root / "runs" / USED, unseen / UNSEEN_FILE, *device)
        return found

    def _results(self, rows: list[dict[str, Any]]) -> str:
        pictures = "\n\n".join(f"![{words}]({name})" for name, words in PICTURES.items())
        return RESULTS.format(
            truth=TRUTH, table=tables.summary_markdown(rows), pictures=pictures, folder=BY_HAND,
            commands="\n".join(self._commands(BY_HAND).values()),
        )  # fmt: skip

    def _display(self) -> Display:
        return _Once(self.heard)

    def _step(self, title: str, command: str = "") -> None:
        self.console.print()
        self.console.print(Text(title, style="bold"))
        if command:
            self.console.print(Text(self.commands[command], style="cyan"), soft_wrap=True)

    def _say(self, text: str) -> None:
        self.console.print(Text(text))


class _Once(Display):
    """A display that tells a note once, however many runs it is true of."""

    def __init__(self, heard: set[str]) -> None:
        super().__init__()
        self.heard = heard

    def say(self, text: str) -> None:
        if text not in self.heard:
            super().say(text)
        if text.startswith("note:"):
            self.heard.add(text)


TITLES = {
    "probe": "probe, logistic regression on what the frozen network makes of a clip",
    "frozen": "frozen, the same classifier trained further",
    "adapter": "adapter, small layers beside the network's last block",
    "lora": "lora, small changes to the weights of the network's last block",
}
UNSEEN_FILE = "f1/gio-f1-b1.wav"
NEXT = (
    "your own recordings  a table clips.csv (file, emotion, speaker), then",
    "                     affetto train --table clips.csv --backbone wav2vec2-base --method lora --out run",
    "a real corpus        affetto corpora inspect FOLDER names it, or says what it misses",
    "all the rest         affetto --help, and docs/ of the project",
)
RESULTS = """# A demonstration on synthetic speech

{truth}

{table}
Macro F1 of speakers whom the tested model never heard, pooled over four folds. The state was set
beforehand; strength and epochs were chosen inside each fold, on its speakers that are not tested.

{pictures}

## By hand

The same again, in the folder `{folder}`:

```
{commands}
```
"""


def _examine(out: Path) -> None:
    """Raise UserError, before anything is done, for what cannot end well."""
    for module in ("espeakng_loader", "matplotlib"):
        if importlib.util.find_spec(module) is None:
            raise UserError(f"the demo needs {module}, which is not installed: pip install 'affetto[demo]'")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is no folder: give another --out")
    others = sorted(path.name for path in out.glob("[!.]*"))
    if others and not folders.is_synthetic(out / "corpus"):
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
