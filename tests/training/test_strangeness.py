"""Distances of a final model: those of the clips that its folds held out, at its own state."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from affetto.models.novelty import Novelty
from affetto.targets.classes import Classes
from affetto.training.strangeness import FoldClips, Strangeness

IDS = [f"{number:02}" for number in range(40)]
TRUTH = {clip: number % 2 for number, clip in enumerate(IDS)}
FEATURES = dict(zip(IDS, np.random.default_rng(0).normal(size=(40, 6)), strict=True))


class Stored(Strangeness):
    """Strangeness by features that are there."""

    def _features(self, classifier: Any, ids: Any) -> np.ndarray:
        return np.stack([FEATURES[clip] for clip in ids])


@pytest.fixture
def stored() -> Stored:
    builder = SimpleNamespace(data=SimpleNamespace(target=Classes(("anger", "joy"))))
    return Stored(builder, TRUTH, accelerator=None)  # type: ignore[arg-type]


@pytest.fixture
def folds(tmp_path: Path) -> list[FoldClips]:
    """Two folds whose models measured their clips at another state."""
    folds = []
    for number, tested in enumerate((IDS[:20], IDS[20:])):
        trained = [clip for clip in IDS if clip not in tested]
        model = tmp_path / str(number)
        model.mkdir()
        fitted = Novelty.fit(np.stack([FEATURES[clip] for clip in trained]), np.array([TRUTH[c] for c in trained]))
        assert fitted is not None
        fitted.with_held_out(np.full(20, 100.0 + number)).save(model)
        folds.append(FoldClips(trained=trained, tested=tested, model=model))
    return folds


def test_clips_are_measured_at_the_state_of_the_final_model(stored: Stored, folds: list[FoldClips]) -> None:
    frozen: Any = SimpleNamespace(has_untrained_states=True)
    final = stored.of_final(frozen, IDS, folds)
    parts = [stored.of_fold(frozen, fold.trained, fold.tested) for fold in folds]
    assert final is not None
    assert final.held_out == pytest.approx(np.sort(np.concatenate([part.held_out for part in parts if part])))
    assert final.held_out.max() < 10


def test_a_trained_state_has_the_distances_of_its_folds(stored: Stored, folds: list[FoldClips]) -> None:
    trained: Any = SimpleNamespace(has_untrained_states=False)
    final = stored.of_final(trained, IDS, folds)
    assert final is not None and final.held_out.tolist() == [100.0] * 20 + [101.0] * 20
    absent = FoldClips(trained=IDS[:20], tested=IDS[20:], model=folds[0].model / "absent")
    assert stored.of_final(trained, IDS, [*folds, absent]) is None
