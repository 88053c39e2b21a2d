"""Statistics of the clips that a run's models are trained on, by which they know clips that are strange to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from affetto.models.classifier import Classifier
from affetto.models.novelty import Novelty, evenly
from affetto.training.build import Builder
from affetto.training.predict import clip_statistics


@dataclass(frozen=True, kw_only=True)
class FoldClips:
    """Clips of a fold, and the folder of its model."""

    trained: Sequence[str]
    tested: Sequence[str]
    model: Path


@dataclass(frozen=True)
class Strangeness:
    """Maker of `Novelty` for a run's models. It costs a forward pass over MOST_CLIPS trained and tested clips each.

    `truth` is that of each clip, as `Target.encode` gives it. Auxiliary clips and copies of clips have no part.
    """

    builder: Builder
    truth: Mapping[str, int | np.ndarray]
    accelerator: Accelerator

    def of_fold(self, classifier: Classifier, trained: Sequence[str], tested: Sequence[str]) -> Novelty | None:
        """Statistics of trained clips, and the distances of those that were held out; None for too few clips."""
        novelty = self._fit(classifier, trained)
        if novelty is None:
            return None
        return novelty.with_held_out(novelty.distances(self._features(classifier, evenly(sorted(tested)))))

    def of_final(self, classifier: Classifier, trained: Sequence[str], folds: Sequence[FoldClips]) -> Novelty | None:
        """Statistics of all clips, and the distances of the clips that each fold held out.

        Distances of different states cannot be compared, and each fold may have chosen a state of its own. So clips
        are measured anew at the final model's state, where training changes nothing of it; else as the folds did.
        None where a fold has no distances: too few clips, or it was done by an earlier version.
        """
        if classifier.has_untrained_states:
            parts = [self.of_fold(classifier, fold.trained, fold.tested) for fold in folds]
        else:
            parts = [Novelty.load(fold.model) for fold in folds]
        distances = [novelty.held_out for novelty in parts if novelty is not None]
        novelty = self._fit(classifier, trained) if len(distances) == len(folds) else None
        return None if novelty is None else novelty.with_held_out(np.concatenate(distances))

    def _fit(self, classifier: Classifier, ids: Sequence[str]) -> Novelty | None:
        target, drawn = self.builder.data.target, evenly(sorted(ids))
        truth = np.array([self.truth[i] for i in drawn])
        classes = target.called(truth) if target.has_classes else np.zeros(len(drawn), dtype=np.int64)
        return Novelty.fit(self._features(classifier, drawn), classes)

    def _features(self, classifier: Classifier, ids: Sequence[str]) -> np.ndarray:
        """Features of clips, (clips, features)."""
        return clip_statistics(classifier, self.builder.prefixes(classifier), ids, self.accelerator)
