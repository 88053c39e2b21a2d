"""Predictors of affetto's own models: prefix, then forward, in torch, as in training."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from affetto.audio import RATE_HZ, AudioError
from affetto.errors import UserError, unknown
from affetto.inference import speaker
from affetto.inference.backends.padded import BOTH, STATISTICS, PaddedModel
from affetto.inference.flow import Rows, at_once
from affetto.inference.predictor import ONLY_STATISTICS, Predictor
from affetto.inference.read_ahead import read_ahead
from affetto.models.classifier import Classifier, Prefix
from affetto.models.device import capabilities
from affetto.models.ensemble import model_files
from affetto.models.head_layers import StatisticsHead
from affetto.models.novelty import NOVELTY, Novelty
from affetto.models.parallel import decoding_threads, side_by_side
from affetto.models.prefix import Source, collate
from affetto.models.saved import load_classifier
from affetto.training import device as devices

PRECISIONS = ("auto", "float32", "bfloat16", "int8")


class ClassifierPredictor(Predictor):
    """A classifier, merged for inference, and its card."""

    def __init__(
        self,
        classifier: Classifier,
        card: dict[str, Any],
        device: torch.device,
        precision: str = "auto",
        long_clips: str = "windows",
        fold: bool = True,
    ) -> None:
        """`fold`: LoRA is folded into the backbone's weights, which then serve no other model."""
        super().__init__(
            classifier.labels,
            card,
            longest_seconds=classifier.backbone.longest_seconds,
            long_clips=long_clips,
            target=classifier.target,
        )
        self.classifier = classifier.merge(whole_clips=capabilities(device).clips_side_by_side, fold=fold).to(device)
        self.precision = resolve_precision(precision, card["precision"], device)
        if self.precision == "int8":
            self.classifier.quantise(devices.resolve_precision("auto", device))
        else:
            self.classifier.compute_in(self.precision)
        self.device = device
        self.padded: PaddedModel | None = None
        if not capabilities(device).clips_side_by_side:
            self._use_padded()

    def _use_padded(self) -> None:
        """Compute in padded batches, beside which recordings are decoded."""
        self.padded = PaddedModel(self.classifier, self.device, self.window_seconds)
        self.windows_at_once, self.batches_ahead = self.padded.windows_at_once, 1
        self.decoders = decoding_threads()

    def begin(self, waves: Sequence[np.ndarray]) -> Rows:
        if self.watches:
            return self._begin_watched(waves)
        if self.padded is None:
            return at_once(self._side_by_side_values)(waves)
        rows = self.padded.begin(waves)
        return lambda: self.target.activate(torch.from_numpy(rows())).numpy()

    def window_probabilities(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        return self.begin(waves)()

    def _begin_watched(self, waves: Sequence[np.ndarray]) -> Rows:
        """As `begin`, with the distance of the states from those of the training behind the values."""
        assert self.novelty is not None
        novelty, outputs = self.novelty, self.target.outputs
        begun = at_once(self._side_by_side_both)(waves) if self.padded is None else self.padded.begin(waves, BOTH)

        def rows() -> np.ndarray:
            both = begun()
            values = self.target.activate(torch.from_numpy(both[:, :outputs])).numpy()
            return np.concatenate([values, novelty.distances(both[:, outputs:])[:, None]], axis=1)

        return rows

    @torch.no_grad()
    def _side_by_side_both(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        """Logits and statistics side by side, (waves, outputs + 2 width), float64."""
        batch, lengths = collate(self.prefixes(waves), self.device)
        return torch.cat(self.classifier.with_statistics(batch, lengths), dim=1).double().cpu().numpy()

    @property
    def prefix_key(self) -> tuple[object, ...] | None:
        """Key of the models that compute the same `prefixes`: one backbone in memory, one cut. None on a GPU."""
        return None if self.padded is not None else (id(self.classifier.backbone), self.precision, *self.classifier.cut)

    def _side_by_side_values(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        return self.values_of(self.prefixes(waves))

    @torch.no_grad()
    def values_of(self, prefixes: Sequence[Prefix]) -> np.ndarray:
        """Values (waves, outputs), float64, from the `prefixes` of waves."""
        batch, lengths = collate(prefixes, self.device)
        return self.target.activate(self.classifier(batch, lengths).double()).cpu().numpy()

    def window_statistics(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        """Features that a statistics head standardises, (waves, 2 width), float64."""
        return self.begin_statistics(waves)()

    def begin_statistics(self, waves: Sequence[np.ndarray]) -> Rows:
        """As `begin`, of `window_statistics`."""
        if self.padded is None:
            return at_once(self._side_by_side_statistics)(waves)
        return self.padded.begin(waves, STATISTICS)

    @torch.no_grad()
    def _side_by_side_statistics(self, waves: Sequence[np.ndarray]) -> np.ndarray:
        batch, lengths = collate(self.prefixes(waves), self.device)
        return self.classifier.statistics(batch, lengths).double().cpu().numpy()

    def warm_up(self, clips: int) -> None:
        if self.padded is None:
            super().warm_up(clips)
        else:
            self.padded.warm_up(clips)

    @property
    def adapts(self) -> bool:
        return isinstance(self.classifier.head, StatisticsHead)

    def for_speaker(self, recordings: Sequence[str | Path | np.ndarray]) -> ClassifierPredictor:
        if not isinstance(self.classifier.head, StatisticsHead):
            raise UserError(ONLY_STATISTICS)
        if self.speaker_clips:
            raise UserError("this model is adapted to a speaker already: begin with the model as it was loaded")
        if isinstance(recordings, (str, Path)):
            raise UserError("adaptation to a speaker takes a list of clips: give [clip, …], not one name")
        return self.adapted(self.clip_statistics(recordings))

    def clip_statistics(self, recordings: Sequence[str | Path | np.ndarray]) -> np.ndarray:
        """Mean over the windows of each recording of `window_statistics`, (recordings, 2 width).

        Raises UserError where there are none, or some cannot be used."""
        samples = (self._samples(recording, RATE_HZ) for recording in recordings)
        return speaker.stack_statistics(self._run_windows(read_ahead(samples, self.decoders), self.begin_statistics))

    def stream_statistics(self, sources: Iterable[Source]) -> Iterator[np.ndarray | AudioError]:
        """As `stream_sources`, of rows (2 width,) of `clip_statistics`."""
        for clip in self._run_windows(self._decoded(sources), self.begin_statistics):
            yield clip.mean if clip.problem is None else clip.problem

    def adapted(self, statistics: np.ndarray) -> ClassifierPredictor:
        """Adapt to the speaker whose clips have these `clip_statistics`; for a model that `adapts`."""
        head = self.classifier.head
        assert isinstance(head, StatisticsHead)
        adapted = copy.copy(self)
        adapted.classifier = self.classifier.with_head(speaker.adapt_head(head, statistics))
        adapted.speaker_clips = len(statistics)
        if adapted.padded is not None:
            adapted._use_padded()
        return adapted

    @torch.no_grad()
    def values_of_statistics(self, statistics: np.ndarray) -> np.ndarray:
        """What `window_probabilities` gives of waves with these `window_statistics`, (waves, 2 width)."""
        head = self.classifier.head
        assert isinstance(head, StatisticsHead)
        rows = torch.as_tensor(statistics, dtype=head.centre.dtype, device=head.centre.device)
        values = self.target.activate(head.classify(rows).double()).cpu().numpy()
        if not self.watches:
            return values
        assert self.novelty is not None
        return np.concatenate([values, self.novelty.distances(statistics)[:, None]], axis=1)

    def prefixes(self, waves: Sequence[np.ndarray]) -> list[Prefix]:
        """The prefix of each wave, which is most of the model, computed side by side."""
        if len(waves) == 1:
            return [self.classifier.prefix(wave) for wave in waves]
        prefixes: list[Prefix] = []
        for outcome in side_by_side(self.classifier.prefix, waves):
            if isinstance(outcome, Exception):
                raise outcome
            prefixes.append(outcome)
        return prefixes


def load_trained(
    folder: Path, *, device: str, backbone: str | None, precision: str, long_clips: str
) -> ClassifierPredictor:
    """The predictor of a model folder; see `loading.load`."""
    classifier, card = load_classifier(folder, backbone=backbone)
    predictor = ClassifierPredictor(classifier, card, devices.choose(device), precision, long_clips)
    predictor.novelty = novelty_of(folder, predictor)
    predictor.files = tuple(model_files(folder))
    return predictor


def novelty_of(folder: Path, predictor: ClassifierPredictor) -> Novelty | None:
    """Statistics of a model folder's training clips; None for an earlier model, and in 8-bit integers.

    Those move the states by so much that many clips like those of the corpus lie beyond its held-out ones. Raises
    UserError for a broken file.
    """
    novelty = None if predictor.precision == "int8" else Novelty.load(folder)
    if novelty is not None and len(novelty.centre) != 2 * predictor.classifier.pooling.out_width:
        raise UserError(f"{folder / NOVELTY}: of another model; copy the model again, or train it again")
    return novelty


def resolve_precision(requested: str, trained: str, device: torch.device) -> str:
    """Choose the precision of a model that was `trained` in one, where `requested` is asked for."""
    if requested not in PRECISIONS:
        raise unknown("precision", requested, PRECISIONS)
    if requested == "int8" and not capabilities(device).int8:
        raise UserError(f"precision int8 is for the CPU, not for {device.type}; choose auto, or --device cpu")
    if requested != "auto":
        return devices.resolve_precision(requested, device)
    # What is not native here is slow, and not more exact than float32.
    return devices.resolve_precision("auto", device) if trained == "bfloat16" else trained
