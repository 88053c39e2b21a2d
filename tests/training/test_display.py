"""Progress of a training, as a person reads it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from affetto.training.display import Display


def test_a_stretch_within_another_leaves_it_its_label_and_its_clock(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: clock.seconds, seconds=0.0)
    monkeypatch.setattr("affetto.training.display.time", clock)
    display = Display()
    display.begin("fold f1 (1/6)")
    clock.seconds = 10.0
    with display.inner("frozen states"):
        clock.seconds = 12.0
        display.end("588 clips")
    clock.seconds = 20.0
    display.end("macro F1 50.0")
    assert capsys.readouterr().err.splitlines() == [
        "frozen states: 588 clips (2 s)",
        "fold f1 (1/6): macro F1 50.0 (20 s)",
    ]


def test_a_stretch_of_its_own_leaves_nothing_in_progress(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display()
    with display.inner("frozen states"):
        display.end("588 clips")
    assert display._task is None
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_folds_side_by_side_keep_their_steps_behind_an_inner_stretch() -> None:
    display = Display(quiet=True)
    display.begin("3 folds")
    first, second = display.part(), display.part()
    first.advance(3, 10)
    with display.inner("frozen states"):
        display.end("588 clips")
    second.advance(2, 10)
    assert display.steps == {first: (3, 10), second: (2, 10)}


@pytest.mark.parametrize(("best", "words"), [(1, "validation macro F1 60 (best 70 in epoch 1)"), (2, "macro F1 60")])
def test_an_epoch_is_shown_beside_the_best_where_that_is_another(best: int, words: str) -> None:
    target = SimpleNamespace(main_title="macro F1", main_text=str)
    history = [{"epoch": epoch, "loss": 1.0, "validation": score} for epoch, score in ((1, 70), (2, 60))]
    display = Display(quiet=True)
    display.begin("training")
    display.epoch(SimpleNamespace(history=history, best_epoch=best), target)
    (task,) = display._bars.tasks
    assert task.fields["note"].endswith(words)
