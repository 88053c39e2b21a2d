"""What Emozionalmente's raters heard, as a run's predictions carry it."""

from __future__ import annotations

import pytest

from affetto.corpora import ratings
from affetto.corpora.published import emozionalmente
from affetto.reporting.stats.raters import human_scores
from affetto.reporting.stats.systems import Predictions, System
from affetto.training.folds import known_of

pytestmark = pytest.mark.real


def test_the_raters_uar_over_all_clips_is_the_published_one(shared):
    folder = shared / "corpora" / "emozionalmente"
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}")
    manifest = emozionalmente.read(folder)
    always = {label: float(label == "joy") for label in manifest.labels}
    rows = [
        {"file": clip.name, "speaker": clip.speaker, "truth": clip.emotion, "probabilities": always, **known_of(clip)}
        for clip in manifest.clips
    ]
    system = System("always joy", "emozionalmente", {0: Predictions.from_rows(rows)})
    result = human_scores(system)
    assert result is not None
    assert result.uar == pytest.approx(0.664, abs=0.0005) and result.uar == pytest.approx(ratings.human_uar(manifest))
    told = {"disgust": 0.524, "fear": 0.540, "joy": 0.646, "anger": 0.680}
    told |= {"surprise": 0.699, "sadness": 0.719, "neutrality": 0.839}
    assert result.recall == pytest.approx(told, abs=0.0006)
    assert (result.clips, result.ratings, result.unrated) == (6902, 34510, 0)
    assert result.system_uar == pytest.approx(1 / 7) and result.versus.models_differ
    genders = list(system.genders.values())
    assert {gender: genders.count(gender) for gender in set(genders)} == {"female": 299, "male": 131, "other": 1}
