"""Clips of a run: the labels beside the seven emotions that it keeps."""

from __future__ import annotations

from pathlib import Path

from affetto.training.data import read_clips
from affetto.training.spec import CorpusSpec, RunSpec


def test_other_labels_are_classes_of_a_run_that_keeps_them(tmp_path: Path) -> None:
    for name in ("DEMOS/PR_f_01_rab18b.wav", "DEMOS/NP_m_02_col01a.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    corpora = (CorpusSpec(name="demos", path=str(tmp_path)),)
    told: list[str] = []
    assert read_clips(corpora, {}, told.append)[0].labels == ("anger",)
    assert any("1 clips of guilt are left out" in line for line in told)
    assert read_clips(corpora, {}, told.append, keep_other=True)[0].labels == ("anger", "guilt")


def test_the_clips_tell_the_identity_of_a_run_that_keeps_other_labels() -> None:
    runs = [
        RunSpec(corpora=(), backbone="wavlm-base", method="probe", keep_other=keep_other)
        for keep_other in (False, True)
    ]
    first, second = (run.identity({"manifest": "same"}) for run in runs)
    assert first == second
