"""A folder for the Hugging Face hub: what was trained, the head and a model card; uploaded only when asked for.

The backbone's weights are not in it (they have an owner and a licence of their own): `affetto.load` finds them by name.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from affetto.backbones import hub
from affetto.errors import UserError
from affetto.export import modelcard
from affetto.export.folder import new_folder
from affetto.export.source import check_single
from affetto.inference.loading import model_folder
from affetto.models.novelty import NOVELTY, Novelty
from affetto.models.saved import CARD, HEAD, METHOD, read_card
from affetto.training.runs import DATASHEET, METRICS, PREDICTIONS, STRESS, STRESSED, RunFolder


def export_hub(run: Path, out: Path, *, base: str | None = None, push: str | None = None) -> str:
    """Write the folder `out` from a finished run, upload it to the hub repository `push` if given; its address.

    `base`: the backbone's hub id, where training took it from a folder. Raises UserError, before anything is written
    where it can be known, for a run without scores and a hub or backbone that others cannot reach.
    """
    check_single(run)
    folder = model_folder(run)
    card = read_card(folder)
    metrics = RunFolder(run).read(METRICS)
    if metrics is None:
        raise UserError(
            f"{run}: no {METRICS} in it, so its scores are unknown; give a finished run's folder, or export this model "
            "--to onnx or hf"
        )
    name = modelcard.base_name(card, base)
    if push is not None:
        _publishable(name, push)
    with new_folder(out) as temporary:
        public = card | {"backbone": card["backbone"] | {"name": name}}
        (temporary / CARD).write_text(json.dumps(public, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        shutil.copyfile(folder / HEAD, temporary / HEAD)
        shutil.copytree(folder / METHOD, temporary / METHOD)
        if (folder / NOVELTY).is_file():
            shutil.copyfile(folder / NOVELTY, temporary / NOVELTY)
        has_sheet = RunFolder(run).has(DATASHEET)
        if has_sheet:
            shutil.copyfile(RunFolder(run).path / DATASHEET, temporary / DATASHEET)
        repo = push or out.name
        text = modelcard.model_card(
            repo.split("/")[-1],
            public,
            metrics,
            base=name,
            repo=repo,
            rows=RunFolder(run).read_lines(PREDICTIONS["test"]),
            novelty=Novelty.load(folder),
            stress=RunFolder(Path(run) / STRESS).read(STRESSED),
        )
        text += f"\nThe [data sheet]({DATASHEET}) has more about the training corpora.\n" * has_sheet
        (temporary / "README.md").write_text(text, encoding="utf-8")
    return str(out) if push is None else hub.upload(out, push)


def _publishable(name: str, push: str) -> None:
    if Path(name).is_absolute():
        raise UserError(
            f"the backbone is a folder of this machine ({name}), which nobody else has: give its hub id with --base"
        )
    if not os.environ.get("HF_TOKEN"):
        raise UserError(f"--push {push} needs a token that may write: set HF_TOKEN (huggingface.co/settings/tokens)")
