"""Licences behind a model: what its card says, and the note wherever it is used."""

from __future__ import annotations

from typing import Any

from affetto.models.licences import Licence, licence_note, read_licences, united

NC = Licence(corpus="emovo", licence="research", commercial_use=False)
FREE = Licence(corpus="jl", licence="CC0", commercial_use=True, role="auxiliary")
OWN = Licence(corpus="mine", licence="", commercial_use=None, role="backbone")


def card(*licences: Licence, **facts: Any) -> dict[str, Any]:
    return {"licences": [licence.fields() for licence in licences], **facts}


def test_what_restricts_the_use_is_in_the_note_and_what_does_not_is_not() -> None:
    assert licence_note(card(FREE)) == ""
    assert licence_note(card(FREE, NC)) == "trained on data that is not for commercial use: emovo (research)"
    both = licence_note(card(NC, OWN))
    assert both.startswith("trained on data that is not for") and both.endswith("is allowed: mine (licence unknown)")
    made_up = Licence(corpus="emovo", licence="synthetic", commercial_use=None, synthetic=True)
    assert licence_note(card(made_up)) == ""


def test_cards_without_a_list_are_of_unknown_terms() -> None:
    (licence,) = read_licences({"corpus": "emovo", "licence": "CC BY 4.0", "synthetic": False})
    assert (licence.corpus, licence.licence, licence.commercial_use) == ("emovo", "CC BY 4.0", None)
    assert "an unknown corpus" in licence_note({})
    assert licence_note({"synthetic": True}) == ""


def test_a_model_of_several_has_the_licences_of_all() -> None:
    listed = united([card(NC, FREE), {"corpus": "old", "licence": ""}, card(FREE)])
    assert [entry["corpus"] for entry in listed] == ["emovo", "jl", "old"]
    assert read_licences({"licences": listed})[1] == FREE
