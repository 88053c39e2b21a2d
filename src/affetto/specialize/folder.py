"""The folder of a specialisation, while it runs and when it is done.

out/
  .work/            while it runs: spec.json, checked.json (entries of decoded clips), checkpoint.safetensors
  model.safetensors, preprocessor_config.json, …   the checkpoint, as transformers writes it
  specialized.json  its provenance: parent, corpus, hours, steps, losses
  config.json       moved here last: if it exists, the checkpoint is complete
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from affetto.errors import UserError
from affetto.files import share
from affetto.training.provenance import SPECIALIZED
from affetto.training.runs import RunFolder

WORK, MAKING = ".work", "making"
SPEC, CHECKED, CHECKPOINT = "spec.json", "checked.json", "checkpoint.safetensors"
PROVENANCE, CONFIG = SPECIALIZED, "config.json"


class Folder:
    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.work = RunFolder(self.path / WORK)

    @property
    def checkpoint(self) -> Path:
        return self.work.path / CHECKPOINT

    @property
    def lock(self) -> Path:
        return self.work.path / ".lock"

    def examine(self) -> None:
        """Raise UserError if the folder holds anything but a specialisation."""
        try:
            entries = [p.name for p in self.path.iterdir() if not p.name.startswith(".")]
        except FileNotFoundError:
            return
        except OSError as problem:
            raise UserError(
                f"{self.path}: cannot be used as an output folder ({problem.strerror}); give another --out"
            ) from None
        if entries and PROVENANCE not in entries and self.work.read(SPEC) is None:
            raise UserError(
                f"{self.path} is not empty (it holds {sorted(entries)[0]!r}) and no specialisation of affetto's: give "
                "another --out"
            )

    def finished(self, identity: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """Provenance of the specialisation if the folder holds it finished, else None.

        Raises UserError, which names the differences, if the folder holds another specialisation, finished or not.
        """
        done = provenance(self.path)
        record = done or self.work.read(SPEC)
        if record is not None and record.get("identity") != identity:
            differences = _differences(record.get("asked", {}), request)
            raise UserError(
                f"{self.path} holds another specialisation ({differences}): give the same corpus and settings to go on "
                "with it, or another --out"
            )
        if done is not None:  # a kill may have come before `publish` removed it
            shutil.rmtree(self.work.path, ignore_errors=True)
        return done

    def begin(self, identity: str, request: dict[str, Any], checked: dict[str, Any]) -> None:
        if self.work.read(SPEC) is None:
            self.work.write(SPEC, {"identity": identity, "asked": request})
        self.remember(checked)

    def remember(self, checked: dict[str, Any]) -> None:
        """Store the entries of decoded clips: decoding all of a corpus may take hours."""
        self.work.write(CHECKED, checked)

    def making(self) -> Path:
        """An empty folder in which the checkpoint is written."""
        folder = self.work.path / MAKING
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def publish(self) -> None:
        """Move the written checkpoint into the folder, the configuration last, and remove the work."""
        source = self.work.path / MAKING
        try:
            share(source)
            for file in sorted(source.iterdir(), key=lambda f: f.name == CONFIG):
                os.replace(file, self.path / file.name)
        except OSError as problem:
            raise UserError(
                f"{self.path}: cannot be written ({problem.strerror}); make room and run again, it goes on"
            ) from None
        shutil.rmtree(self.work.path, ignore_errors=True)


def provenance(folder: str | Path) -> dict[str, Any] | None:
    """Content of `specialized.json` where a folder is a finished specialisation; None for any other checkpoint."""
    path = Path(folder)
    if not (path / CONFIG).is_file():
        return None
    try:
        content = json.loads((path / PROVENANCE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _differences(earlier: dict[str, Any], request: dict[str, Any]) -> str:
    names = [name for name in request if name in earlier and earlier[name] != request[name]]
    changes = [f"{name} {_short(earlier[name])}, now {_short(request[name])}" for name in names]
    return "; ".join(changes[:4]) or "of another version"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
