"""Stress test of a trained model: its answers under every perturbation of a corpus, and what follows from them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from affetto._version import __version__
from affetto.audio.compression import version as codec_version
from affetto.errors import UserError
from affetto.evaluation.stress.answers import Answers, conditions_of
from affetto.evaluation.stress.effects import Effect, effect_of
from affetto.evaluation.stress.models import Parts, limited, load_as_tested, parts_of
from affetto.evaluation.stress.perturbation import VERSION, Perturbation
from affetto.evaluation.stress.registry import select
from affetto.evaluation.stress.scene import CorpusScene
from affetto.evaluation.testing import CorpusLike, read_test_clips, specs_of
from affetto.files import write_text
from affetto.inference.predictor import Predictor
from affetto.models.saved import read_card
from affetto.targets.registry import target_fields
from affetto.training.noise import Noise
from affetto.training.runs import MODEL, STRESS, RunFolder

CONTENT, TABLE = "stress.json", "stress.csv"


def stress(
    model: str | Path,
    corpora: CorpusLike | Sequence[CorpusLike],
    *,
    out: str | Path | None = None,
    only: Sequence[str] | None = None,
    limit: int | None = None,
    noise: str | Path | None = None,
    labels: dict[str, str] | None = None,
    keep_other: bool = False,
    include_seen: bool = False,
    skip_bad: bool = False,
    device: str = "auto",
    backbone: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> dict[str, Any]:
    """Test a run, or any other model that `affetto.load` takes, under perturbations of the clips of `corpora`.

    Returns the content of the `stress.json` that is written, beside a table of it, into `out` (None: the folder
    `stress` in that of the model). `only` names perturbations or families of them (None: all), `limit` the most clips,
    `noise` a folder of recorded noise. The other arguments are those of `evaluate`. A test that was interrupted goes
    on where it was.

    Of a run with folds that tested these clips, each is answered by the fold's model that has not heard its speaker.
    Raises UserError for unknown perturbations, as `evaluate` does, and where `out` holds another test.
    """
    perturbations = select(only)
    folder = RunFolder(_out(model, out))
    recordings = None if noise is None else Noise.read(noise, "--noise")

    single = _Single(model, device, backbone)
    clips = read_test_clips(specs_of(corpora), labels or {}, keep_other=keep_other, skip_bad=skip_bad, say=say)
    parts = parts_of(model, clips, target_of_model=lambda: single.predictor.target, include_seen=include_seen, say=say)
    parts = limited(parts, limit)
    scene = CorpusScene(clips=clips, noise=recordings)
    applied, impossible = _possible(perturbations, scene)
    for name, reason in impossible.items():
        say(f"left out: {name} ({reason})")
    cards = [read_card(Path(part.model) / MODEL) if parts.by_folds else single.predictor.card for part in parts.parts]
    folder.claim(
        _identity(parts, cards, scene, limit),
        {"summary": f"stress test of {model} on {clips.manifest.corpus}", "model": str(model)},
    )
    answers = Answers(
        folder=folder,
        parts=parts,
        scene=scene,
        load=lambda part: part.load(device, backbone) if parts.by_folds else single.predictor,
        skip_bad=skip_bad,
        say=say,
    )
    unusable = answers.compute(conditions_of(applied), progress)
    origin = {"model": str(model), "limit": limit, "include_seen": include_seen, **_origin(parts, cards[-1])}
    content = _content(answers, applied, unusable) | origin | {"not_applied": impossible}
    folder.write(CONTENT, content)
    write_text(folder.path / TABLE, table_of(content))
    return content


@dataclass(frozen=True)
class _Single:
    """A model that answers all clips, loaded once it is needed."""

    model: str | Path
    device: str
    backbone: str | None

    @cached_property
    def predictor(self) -> Predictor:
        return load_as_tested(self.model, self.device, self.backbone)


def _content(answers: Answers, applied: Sequence[Perturbation], unusable: Mapping[str, str]) -> dict[str, Any]:
    """Facts of the tested clips, their untouched scores, and the effects. Raises UserError where no clip is usable."""
    parts, manifest, untouched = answers.parts, answers.scene.clips.manifest, answers.read(None)
    if not untouched:
        raise UserError(f"none of the {len(parts.clips)} clips could be used; mend them")
    effects = [
        effect_of(condition, parts.target, untouched, answers.read(condition)) for condition in conditions_of(applied)
    ]
    return {
        "affetto": __version__,
        "libsndfile": codec_version(),
        "corpus": manifest.corpus,
        "synthetic": manifest.synthetic,
        "clips": len(untouched),
        "speakers": len({row["speaker"] for row in untouched}),
        "left_out": parts.left_out | {"unusable": parts.left_out["unusable"] | unusable},
        **target_fields(parts.target),
        "untouched": parts.target.scores(untouched),
        "perturbations": [_of_perturbation(perturbation, effects) for perturbation in applied],
    }


def _origin(parts: Parts, card: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of the models: which answered, and what they were trained on."""
    return {
        "identity": card.get("run"),
        "answered_by": [part.name for part in parts.parts] if parts.by_folds else None,
        "trained_on": card.get("corpus"),
        "trained_on_synthetic": card.get("synthetic", False),
        "is_known_what_trained": all(part.trained.is_known for part in parts.parts),
    }


def table_of(content: Mapping[str, Any]) -> str:
    """The CSV file of a test: a line for each perturbation, level and measure."""
    with io.StringIO() as out:
        fields = ("perturbation", "family", "level", "unit", "may_alter", "clips", "changed", "changed_low")
        more = ("changed_high", "measure", "untouched", "perturbed", "difference", "low", "high")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow((*fields, *more))
        for record in content["perturbations"]:
            about = [record["name"], record["family"]]
            for of_level in record["levels"]:
                level = [of_level["level"], record["unit"], record["may_alter"], content["clips"]]
                share = [of_level["changed"], *of_level["changed_interval"]]
                for name, score in of_level["scores"].items():
                    values = [score["untouched"], score["perturbed"], score["difference"]]
                    writer.writerow([*about, *level, *share, name, *values, *(score["interval"] or ("", ""))])
        return out.getvalue()


def _out(model: str | Path, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out)
    if not Path(model).is_dir():
        raise UserError(f"{model} is no folder that the result could lie in: give --out FOLDER")
    return Path(model) / STRESS


def _possible(perturbations: Sequence[Perturbation], scene: CorpusScene) -> tuple[list[Perturbation], dict[str, str]]:
    """The perturbations that can be applied, and the reasons of the others by name. Raises UserError where none can."""
    reasons = {perturbation.name: perturbation.missing(scene) for perturbation in perturbations}
    impossible = {name: reason for name, reason in reasons.items() if reason}
    applied = [perturbation for perturbation in perturbations if not reasons[perturbation.name]]
    if not applied:
        name, reason = next(iter(impossible.items()))
        raise UserError(f"{name} cannot be applied: {reason}")
    return applied, impossible


def _identity(parts: Parts, cards: Sequence[Mapping[str, Any]], scene: CorpusScene, limit: int | None) -> str:
    """SHA-256 over all that the stored answers depend on, but for the perturbations, which their files name."""
    facts = {
        "version": VERSION,
        "codecs": codec_version(),
        "parts": [part.name for part in parts.parts],
        "cards": cards,
        "clips": [[clip.id, scene.clips.digests[clip.id]] for clip in parts.clips],
        "corpus": scene.clips.digest(with_annotations=parts.target.learns_from_annotations),
        "limit": limit,
        "noise": None if scene.noise is None else scene.noise.digest,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _of_perturbation(perturbation: Perturbation, effects: Sequence[Effect]) -> dict[str, Any]:
    return {
        "name": perturbation.name,
        "family": perturbation.family,
        "title": perturbation.title,
        "unit": perturbation.unit,
        "may_alter": perturbation.may_alter,
        "levels": [effect.to_json() for effect in effects if effect.condition.perturbation is perturbation],
    }
