"""The run folder, and the names of all that lies in one.

run/
  spec.json                     what was asked for, what it was asked of, and the run's identity
  split.json                    the folds, with checksum and audit
  log.jsonl                     one line an epoch (of the final model, where there are folds)
  model/                        the classifier that `predict` uses
  predictions.jsonl             one line a test clip, over all folds
  validation_predictions.jsonl  one line a validation clip
  probe_predictions.jsonl       the probe's, beside every other method's
  trained_on.jsonl              the clips that the model has seen: name, speaker and the audio's SHA-256
  datasheet.md                  data sheet of the corpora that it learned from, for people
  folds/NAME/…                  log, model, predictions and metrics of each fold, where there are several; NAME is the
                                fold's, of --split loso the tested speaker's, with %2F for a slash
  crossed/CORPUS/               metrics and predictions on another corpus (`affetto grid cross`); those without the
                                sentences that it shares with the training corpus in crossed/CORPUS-unshared/
  stress/                       result of a stress test (`affetto stress`): stress.json, stress.csv, stress.tex, and
                                the answers
  time.json                     time and number of the calls so far, of a run that is not done
  metrics.json                  written last: where it is, the run is done
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.files import TEMPORARY, write_text

SPEC, SPLIT, METRICS, LOG, MODEL, FOLDS = "spec.json", "split.json", "metrics.json", "log.jsonl", "model", "folds"
PREDICTIONS = {"test": "predictions.jsonl", "validation": "validation_predictions.jsonl"}
PROBE_PREDICTIONS, TRAINED_ON, TIME = "probe_predictions.jsonl", "trained_on.jsonl", "time.json"
DATASHEET = "datasheet.md"
CROSSED, UNSHARED = "crossed", "-unshared"
STRESS, STRESSED = "stress", "stress.json"
CHECKPOINT, LOCK = "checkpoint.safetensors", ".lock"


def folder_name(name: str) -> str:
    """The name of one folder for a speaker, a fold or a corpus, another for each: a slash or a dot in front leads out.

    >>> [folder_name(name) for name in ("emovo:f1", "Niccolò", "Ses01/F", "..", "100%")]
    ['emovo:f1', 'Niccolò', 'Ses01%2FF', '%2E.', '100%25']
    """
    quoted = name.replace("%", "%25").replace("/", "%2F").replace("\\", "%5C").replace("\0", "%00")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted


def run_seconds(metrics: Mapping[str, Any]) -> float:
    """Wall time that a finished run took, over all of its calls.

    Runs of earlier versions know the time of their last call alone; if they were interrupted, the training of their
    folds took longer, and counts instead.
    """
    seconds = float(metrics["wall_seconds"])
    if "calls" in metrics:
        return seconds
    return max(seconds, math.fsum(fold.get("seconds", 0.0) for fold in metrics.get("folds", ())))


class RunFolder:
    """A run's folder, or that of one fold within it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def fold(self, name: str) -> RunFolder:
        return RunFolder(self.path / FOLDS / folder_name(name))

    def crossed(self, corpus: str, *, unshared: bool = False) -> RunFolder:
        """Folder of the result on another corpus; `unshared`: without the sentences that both have."""
        return RunFolder(self.path / CROSSED / folder_name(f"{corpus}{UNSHARED if unshared else ''}"))

    @property
    def model(self) -> Path:
        return self.path / MODEL

    @property
    def split(self) -> Path:
        return self.path / SPLIT

    @property
    def checkpoint(self) -> Path:
        return self.path / CHECKPOINT

    @property
    def lock(self) -> Path:
        return self.path / LOCK

    def examine(self, identity: str | None = None) -> bool:
        """True if this run (of this identity) is finished. Writes nothing.

        Raises UserError where the folder holds another run or other files.
        """
        try:
            names = sorted(p.name for p in self.path.iterdir() if not p.name.startswith("."))
        except FileNotFoundError:
            return False
        except OSError as problem:
            raise self._unusable(problem) from None
        spec = self.read(SPEC)
        if spec is None and names:
            raise UserError(f"{self.path} is not empty (it holds {names[0]!r}) and no affetto run: give another --out")
        if spec is None or identity is None:
            return False
        if spec.get("identity") != identity:
            summary = spec.get("summary", "unknown settings")
            raise UserError(f"{self.path} holds another run ({summary}): give another --out, or remove it")
        return (self.path / METRICS).is_file()

    def claim(self, identity: str, spec: dict[str, Any]) -> None:
        """Make the folder this run's: new, or the same run's from before. Raises UserError as `examine` does."""
        self.examine(identity)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise self._unusable(problem) from None
        if self.read(SPEC) is None:
            self.write(SPEC, {"identity": identity, **spec})

    def sweep(self) -> None:
        """Remove what a killed process left half-written. To be called by the one who holds the lock."""
        for temporary in list(self.path.rglob(f".*{TEMPORARY}")):
            shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink(missing_ok=True)

    def _unusable(self, problem: OSError) -> UserError:
        return UserError(f"{self.path}: cannot be used as an output folder ({problem.strerror}); give another --out")

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def drop_checkpoint(self) -> None:
        """Remove the checkpoint of a fit that is done."""
        self.checkpoint.unlink(missing_ok=True)

    def drop_time(self) -> None:
        """Remove the time of a run whose metrics have it."""
        (self.path / TIME).unlink(missing_ok=True)

    def read(self, name: str) -> dict[str, Any] | None:
        """A JSON file of the folder; None where there is none. Raises UserError where it is broken."""
        file = self.path / name
        try:
            content = json.loads(file.read_text())
            if not isinstance(content, dict):
                raise ValueError
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (ValueError, OSError):
            raise UserError(f"{file}: broken; remove it and run again") from None
        return content

    def write(self, name: str, content: dict[str, Any]) -> None:
        self._replace(name, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        self._replace(name, text)

    def write_lines(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        """JSON Lines, whole or not at all."""
        self._replace(name, "".join(_line(row) for row in rows))

    def append_lines(self, name: str, rows: Iterable[dict[str, Any]]) -> None:
        """Add lines to JSON Lines, so that other processes see them at once. A full disk may cut the last one."""
        text = "".join(_line(row) for row in rows)
        try:
            with (self.path / name).open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as problem:
            raise self._unwritable(name, problem) from None

    def read_lines(self, name: str) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in (self.path / name).read_text().splitlines()]
        except (OSError, ValueError) as problem:
            raise UserError(f"{self.path / name}: cannot be read ({problem}); run again with another --out") from None

    def read_whole_lines(self, name: str) -> list[dict[str, Any]]:
        """JSON Lines up to the first that is broken, as a full disk leaves it; none where there is no file."""
        rows: list[dict[str, Any]] = []
        with contextlib.suppress(OSError, ValueError):
            for line in (self.path / name).read_text(encoding="utf-8").splitlines():
                rows.append(json.loads(line))
        return rows

    def _replace(self, name: str, text: str) -> None:
        try:
            write_text(self.path / name, text)
        except OSError as problem:
            raise self._unwritable(name, problem) from None

    def _unwritable(self, name: str, problem: OSError) -> UserError:
        return UserError(f"{self.path / name}: cannot be written ({problem.strerror}); make room and run again")


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
