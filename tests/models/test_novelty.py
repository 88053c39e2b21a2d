"""Novelty: distances by hand, a shrunk covariance as scikit-learn has it, and files that cannot be."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from affetto.errors import UserError
from affetto.models.novelty import MOST_CLIPS, NOVELTY, STORED_DISTANCES, Novelty, evenly


def features(clips: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Clips of two classes, correlated features of unlike scales."""
    generator = np.random.default_rng(seed)
    classes = np.arange(clips) % 2
    mixing = generator.normal(size=(width, width)) * np.linspace(3, 0.1, width)[:, None]
    rows = generator.normal(size=(clips, width)) @ mixing * np.logspace(-2, 2, width)
    return rows + np.where(classes, 3.0, 0.0)[:, None], classes


def fitted(clips: int = 60, width: int = 10) -> tuple[Novelty, np.ndarray]:
    rows, classes = features(clips, width)
    novelty = Novelty.fit(rows, classes)
    assert novelty is not None
    return novelty, rows


@pytest.mark.parametrize(("clips", "width"), [(200, 12), (30, 60)])
def test_distances_are_those_of_the_shrunk_covariance(clips: int, width: int) -> None:
    sklearn = pytest.importorskip("sklearn.covariance")
    rows, classes = features(clips, width)
    novelty = Novelty.fit(rows, classes)
    assert novelty is not None
    standard = (rows - rows.mean(0)) / rows.std(0)
    means = np.stack([standard[classes == label].mean(0) for label in (0, 1)])
    inner = standard - means[classes]
    shrinkage = sklearn.ledoit_wolf_shrinkage(inner * np.sqrt(clips / (clips - 2)), assume_centered=True)
    covariance = inner.T @ inner / (clips - 2)
    covariance = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / width * np.eye(width)
    judged = features(20, width, seed=1)[0]
    away = ((judged - rows.mean(0)) / rows.std(0))[:, None] - means
    squared = np.einsum("ckf,fg,ckg->ck", away, np.linalg.inv(covariance), away).min(1)
    assert novelty.distances(judged) == pytest.approx(np.sqrt(squared / width), rel=0.02)


def test_a_clip_far_from_all_is_more_novel_than_any_that_was_held_out() -> None:
    novelty, rows = fitted()
    novelty = novelty.with_held_out(novelty.distances(rows[:40]))
    near, far = novelty.distances(np.stack([rows[:40:2].mean(0), rows[0] + 100 * rows.std(0)]))
    assert novelty.of(near) < 0.1 and novelty.of(far) == 40 / 41
    ordered = np.sort(novelty.distances(rows[:40]))
    assert novelty.of(ordered[10]) == 10 / 41, "ten lie nearer"


def test_many_distances_become_quantiles() -> None:
    novelty = fitted()[0].with_held_out(np.arange(5000.0)[::-1])
    assert len(novelty.held_out) == STORED_DISTANCES
    assert novelty.of(2500) == pytest.approx(0.5, abs=0.002) and novelty.of(5000) > 0.998


def test_it_is_stored_and_comes_back(tmp_path: Path) -> None:
    assert Novelty.load(tmp_path) is None
    novelty, rows = fitted(30, 60)
    novelty = novelty.with_held_out(novelty.distances(rows))
    novelty.save(tmp_path)
    stored = Novelty.load(tmp_path)
    assert stored is not None
    assert stored.distances(rows) == pytest.approx(novelty.distances(rows), rel=1e-3)
    assert stored.held_out == pytest.approx(novelty.held_out, rel=1e-6)


@pytest.mark.parametrize("field", [field.name for field in fields(Novelty)])
def test_a_broken_file_is_refused_in_a_line(field: str, tmp_path: Path) -> None:
    novelty, rows = fitted()
    novelty.with_held_out(novelty.distances(rows)).save(tmp_path)
    tensors = load_file(tmp_path / NOVELTY)
    broken = [tensors[field][..., None], tensors[field] * np.float32(np.nan), None]
    broken += [tensors[field] * 0] if field in ("scale", "variances", "rest") else []
    for tensor in broken:
        rest = {name: value for name, value in tensors.items() if name != field}
        save_file(rest | ({} if tensor is None else {field: tensor}), tmp_path / NOVELTY)
        with pytest.raises(UserError, match=f"{NOVELTY}: broken"):
            Novelty.load(tmp_path)
    (tmp_path / NOVELTY).write_bytes(b"no tensors")
    with pytest.raises(UserError, match=f"{NOVELTY}: broken"):
        Novelty.load(tmp_path)


def test_too_few_clips_and_features_that_never_vary() -> None:
    rows, classes = features(9, 5)
    assert Novelty.fit(rows, classes) is None
    rows, classes = features(40, 5)
    rows[:, 2] = 7.0
    novelty = Novelty.fit(rows, classes)
    assert novelty is not None and np.isfinite(novelty.distances(rows)).all()
    assert Novelty.fit(np.ones((40, 5)), classes) is None


def test_clips_are_drawn_evenly() -> None:
    ids = [str(number) for number in range(3 * MOST_CLIPS)]
    drawn = evenly(ids)
    assert len(drawn) == len(set(drawn)) == MOST_CLIPS and drawn[0] == "0" and drawn[-1] == ids[-1]
    assert evenly(ids[:5]) == ids[:5]
    assert replace(fitted()[0], held_out=np.zeros(0)).of(1.0) == 0.0
