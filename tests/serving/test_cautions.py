"""Cautions of the page: which a model can take, and what it then does."""

from __future__ import annotations

import pytest

from affetto.serving import cautions
from serving.served import Stub
from serving.test_page import Careful


def test_cautions_are_offered_where_a_model_can_take_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cautions.possible([Stub()]) == ["speech"]
    assert cautions.possible(iter([Stub(), Careful()])) == ["set", "novelty", "speech"]
    few, many, other = Careful(held_out=50), Careful(held_out=300), Careful()
    assert cautions.take(["novelty"], few) == [] and few.refuse_novel == 50 / 51
    assert cautions.take(["novelty"], many) == [] and many.refuse_novel == 0.99 and many.label_sets is None
    assert cautions.take(["set", "novelty"], Stub()) == ["set", "novelty"]
    other.card["confidence"]["sets"] = {"levels": [0.8, 0.9], "limits": {"lac": [0.7, 0.8]}}
    assert cautions.take(["set"], other) == [] and other.label_sets.level == 0.9
    other.card["confidence"]["sets"]["levels"] = [0.8]
    monkeypatch.setattr(cautions, "find_spec", lambda _: None)
    assert cautions.possible([other]) == ["novelty"]
    assert cautions.take(["set", "speech"], other) == ["set", "speech"]
