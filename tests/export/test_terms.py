"""Sections on licences and law in the descriptions of exported models."""

from __future__ import annotations

from affetto.export.terms import law_section, licence_section
from affetto.models.licences import Licence


def test_licences_are_a_table_with_what_restricts_the_use_in_bold() -> None:
    forbidding = Licence(corpus="emovo", licence="research", commercial_use=False)
    free = Licence(corpus="jl", licence="CC0", commercial_use=True, role="auxiliary")
    synthetic = Licence(corpus="demo", licence="", commercial_use=None, synthetic=True)
    text = licence_section({"licences": [entry.fields() for entry in (forbidding, free, synthetic)]})
    rows = text.splitlines()[2:5]
    assert rows[0] == "| emovo | research | not allowed |" and rows[1] == "| jl (auxiliary) | CC0 | allowed |"
    assert rows[2].endswith("| – |")
    assert text.endswith("**This model was trained on data that is not for commercial use: emovo (research).**")
    assert "**" not in licence_section({"licences": [free.fields()]})
    assert "not known |" in licence_section({"corpus": "old", "licence": ""})


def test_the_law_is_cited_with_its_days_and_as_no_advice() -> None:
    text = law_section()
    assert "Article 5(1)(f), since 2025-02-02" in text and "Article 50(3), since 2026-08-02" in text
    assert "not legal advice" in text
