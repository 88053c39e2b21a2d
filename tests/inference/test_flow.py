"""Windows on their way through a model that is begun ahead of its results."""

from __future__ import annotations

import numpy as np

from affetto.audio import AudioError
from affetto.inference.flow import Flow, at_once


def test_a_recording_that_is_refused_waits_for_its_begun_windows_and_loses_no_other() -> None:
    flow = Flow(at_once(lambda waves: np.array([[wave.sum()] for wave in waves])), size=1, ahead=2)
    good, bad, last = (flow.open(name) for name in ("good", "bad", "last"))
    assert flow.add(good, np.ones(2)) and flow.add(bad, np.ones(3))
    flow.refuse(bad, AudioError("broken"))
    for clip in (good, bad):
        clip.closed = True
    assert not list(flow.finished()), "no rows were taken yet"
    assert flow.add(last, np.ones(4)) and list(flow.finished()) == [good]
    last.closed = True
    flow.end()
    assert list(flow.finished()) == [bad, last]
    assert (good.mean, last.mean, bad.problem is not None) == (2, 4, True)
