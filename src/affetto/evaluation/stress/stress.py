"""Stress test of a trained model: its answers under every perturbation of a corpus, and what follows from them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from affetto._version import __version__
from affetto.audio.compression import version as codec_version
from affetto.errors import UserError
from affetto.evaluation.contamination import origin_notes, outside_fields
from affetto.evaluation.parts import Part, Parts, limited, load_as_tested, parts_of
from affetto.evaluation.stress.answers import Answers, claim, conditions_of
from affetto.evaluation.stress.effects import Effect, effect_of
from affetto.evaluation.stress.groups import Column, gaps_of, read_columns
from affetto.evaluation.stress.perturbation import VERSION, Perturbation
from affetto.evaluation.stress.random_models import MODELS, RandomHeads, difference_threshold, verdict
from affetto.evaluation.stress.registry import select
from affetto.evaluation.stress.scene import CorpusScene
from affetto.evaluation.stress.scoring import main_scores
from affetto.evaluation.testing import CorpusLike, TestClips, read_test_clips, specs_of
from affetto.files import write_text
from affetto.inference.predictor import Predictor
from affetto.models.saved import read_card
from affetto.targets.registry import target_fields
from affetto.targets.target import Scale
from affetto.training.noise import Noise
from affetto.training.runs import MODEL, STRESS, STRESSED, RunFolder

TABLE = "stress.csv"


def stress(
    model: str | Path,
    corpora: CorpusLike | Sequence[CorpusLike],
    *,
    out: str | Path | None = None,
    only: Sequence[str] | None = None,
    limit: int | None = None,
    noise: str | Path | None = None,
    by: Sequence[str] = (),
    labels: dict[str, str] | None = None,
    label_map: Mapping[str, str] | None = None,
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
    `noise` a folder of recorded noise, `by` columns of the corpus by whose groups the scores are compared. The other
    arguments are those of `evaluate`. A test that was interrupted goes on where it was.

    Of a run with folds that tested these clips, each is answered by the fold's model that has not heard its speaker.
    Raises UserError for unknown perturbations, as `evaluate` does, and where `out` holds another test.
    """
    perturbations = select(only)
    folder = RunFolder(result_folder(model, out))
    recordings = None if noise is None else Noise.read(noise, "--noise")
    clips = read_test_clips(specs_of(corpora), labels or {}, keep_other=keep_other, skip_bad=skip_bad, say=say)
    models = _Models(model, device, backbone, label_map or {}, clips.manifest.dimensions)
    parts = limited(models.parts(clips, include_seen=include_seen, say=say), limit)
    facts = {} if parts.by_folds else _facts_of_outside(models.single, clips, say)
    columns = read_columns(parts.clips, by)
    scene = CorpusScene(clips=clips, noise=recordings)
    applied, impossible = _possible(perturbations, scene, say)
    cards = models.cards(parts, facts)
    claim(folder, _identity(parts, cards, scene, limit), f"{model} on {clips.manifest.corpus}")
    load = partial(models.load, parts)
    answers = Answers(folder=folder, parts=parts, scene=scene, load=load, skip_bad=skip_bad, say=say)
    unusable = answers.compute(conditions_of(applied), progress)
    origin = {"model": str(model), "limit": limit, "include_seen": include_seen, **_origin(parts, cards[-1]), **facts}
    content = _content(answers, applied, columns, unusable) | origin | {"not_applied": impossible}
    folder.write(STRESSED, content)
    write_text(folder.path / TABLE, table_of(content))
    return content


@dataclass(frozen=True)
class _Models:
    """The tested models: those of a run's folds, or a single one, which is loaded once it is needed."""

    model: str | Path
    device: str
    backbone: str | None
    label_map: Mapping[str, str]
    scales: Mapping[str, Scale]

    @cached_property
    def single(self) -> Predictor:
        """The predictor that answers all clips, where there are no models of folds."""
        return load_as_tested(self.model, self.device, self.backbone, self.label_map).on_scales(self.scales)

    def parts(self, clips: TestClips, *, include_seen: bool, say: Callable[[str], None]) -> Parts:
        """The clips of each model. Raises UserError for a map of labels where the labels are affetto's."""
        parts = parts_of(
            self.model, clips, target_of_model=lambda: self.single.target, include_seen=include_seen, say=say
        )
        if self.label_map and parts.by_folds:
            raise UserError(f"{self.model} has affetto's labels: --map is for models of others, leave it out")
        return parts

    def load(self, parts: Parts, part: Part) -> Predictor:
        """The predictor of a part."""
        return load_as_tested(part.model, self.device, self.backbone) if parts.by_folds else self.single

    def cards(self, parts: Parts, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The card of each part's model; that of a single one with the facts of its origin."""
        if parts.by_folds:
            return [read_card(Path(part.model) / MODEL) for part in parts.parts]
        return [{**self.single.card, **facts} for _ in parts.parts]


def _facts_of_outside(predictor: Predictor, clips: TestClips, say: Callable[[str], None]) -> dict[str, Any]:
    """Facts of a model that affetto did not train, which `say` gets in words; {} of its own."""
    names = sorted({clip.corpus for clip in clips.manifest.clips})
    for note in (*predictor.notes, *origin_notes(predictor.card, names)):
        say(f"note: {note}")
    return outside_fields(predictor, names)


def _content(
    answers: Answers, applied: Sequence[Perturbation], columns: Sequence[Column], unusable: Mapping[str, str]
) -> dict[str, Any]:
    """Facts of the tested clips, their untouched scores, gaps and effects. Raises UserError where no clip is usable."""
    parts, manifest, untouched = answers.parts, answers.scene.clips.manifest, answers.read(None)
    if not untouched:
        raise UserError(f"none of the {len(parts.clips)} clips could be used; mend them")
    scores = main_scores(parts.target, untouched)
    thresholds = {score.name: difference_threshold(score, len(untouched)) for score in scores}
    ids, speakers = answers.ids_of(untouched), [str(row["speaker"]) for row in untouched]
    heads = RandomHeads.of_rows(parts.target, untouched) if parts.target.has_classes else None
    conditions, effects = conditions_of(applied), []
    for condition in conditions:
        perturbed = answers.read(condition)
        effect = effect_of(condition, parts.target, untouched, perturbed)
        effects.append(_judged(effect, thresholds, None if heads is None else heads.changed(perturbed)))
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
        "random_models": MODELS,
        "thresholds": thresholds,
        "gaps": [gaps_of(column, ids, speakers, scores) for column in columns],
        "perturbations": [
            {
                "name": perturbation.name,
                "family": perturbation.family,
                "title": perturbation.title,
                "unit": perturbation.unit,
                "neutral": perturbation.neutral,
                "may_alter": perturbation.may_alter,
                "levels": [
                    of_level
                    for condition, of_level in zip(conditions, effects, strict=True)
                    if condition.perturbation is perturbation
                ],
            }
            for perturbation in applied
        ],
    }


def _judged(effect: Effect, thresholds: Mapping[str, float], heads: dict[str, float] | None) -> dict[str, Any]:
    """The facts of an effect, with the verdict on each score, and the shares of changed answers of random heads."""
    facts = effect.to_json() | ({} if heads is None else {"random_heads": heads})
    for difference in effect.differences:
        threshold = thresholds[difference.name]
        facts["scores"][difference.name]["verdict"] = verdict(difference.value, difference.interval, threshold)
    return facts


def _origin(parts: Parts, card: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of the models: which answered, and what they were trained on."""
    return {
        "identity": card.get("run"),
        "answered_by": [part.name for part in parts.parts] if parts.by_folds else None,
        "trained_on": card.get("corpus"),
        "trained_on_synthetic": card.get("synthetic", False),
        "is_known_what_trained": card.get("outside", {}).get("datasets") is not None
        or all(part.trained.is_known for part in parts.parts),
    }


COLUMNS = (
    *("perturbation", "family", "level", "unit", "may_alter", "clips"),
    *("changed", "changed_low", "changed_high", "changed_random_heads"),
    *("measure", "untouched", "perturbed", "difference", "low", "high", "threshold", "verdict"),
)
"""Columns of `stress.csv`."""


def table_of(content: Mapping[str, Any]) -> str:
    """The CSV file of a test: a line for each perturbation, level and measure."""
    with io.StringIO() as out:
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for record in content["perturbations"]:
            for of_level in record["levels"]:
                for name, score in of_level["scores"].items():
                    writer.writerow(_line(content, record, of_level, name, score))
        return out.getvalue()


def _line(
    content: Mapping[str, Any],
    record: Mapping[str, Any],
    of_level: Mapping[str, Any],
    measure: str,
    score: Mapping[str, Any],
) -> dict[str, Any]:
    """The line of one measure at one level."""
    (changed_low, changed_high), (low, high) = of_level["changed_interval"], score["interval"] or ("", "")
    return {
        "perturbation": record["name"],
        **{name: record[name] for name in ("family", "unit", "may_alter")},
        "level": of_level["level"],
        "clips": content["clips"],
        "changed": of_level["changed"],
        "changed_low": changed_low,
        "changed_high": changed_high,
        "changed_random_heads": of_level.get("random_heads", {}).get("median", ""),
        "measure": measure,
        **{name: score[name] for name in ("untouched", "perturbed", "difference", "verdict")},
        "low": low,
        "high": high,
        "threshold": content["thresholds"][measure],
    }


def result_folder(model: str | Path, out: str | Path | None) -> Path:
    """The folder of a test's result. Raises UserError where the model is no folder and `out` names none."""
    if out is not None:
        return Path(out)
    if not Path(model).is_dir():
        raise UserError(f"{model} is no folder that the result could lie in: give --out FOLDER")
    return Path(model) / STRESS


def _possible(
    perturbations: Sequence[Perturbation], scene: CorpusScene, say: Callable[[str], None]
) -> tuple[list[Perturbation], dict[str, str]]:
    """The perturbations that can be applied, and the reasons of the others by name, which `say` gets in words.

    Raises UserError where none can be applied.
    """
    reasons = {perturbation.name: perturbation.missing(scene) for perturbation in perturbations}
    impossible = {name: reason for name, reason in reasons.items() if reason}
    applied = [perturbation for perturbation in perturbations if not reasons[perturbation.name]]
    if not applied:
        name, reason = next(iter(impossible.items()))
        raise UserError(f"{name} cannot be applied: {reason}")
    for name, reason in impossible.items():
        say(f"left out: {name} ({reason})")
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
