"""Notices of a server for the people whose voices it analyses."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from affetto.inference.notices import NOTICES, SHORT_NOTICE
from affetto.models.licences import Licence
from affetto.serving import display
from affetto.serving.catalogue import Catalogue
from affetto.serving.disclosure import Disclosure
from affetto.serving.launch import greeting
from affetto.serving.limits import Limits
from affetto.serving.texts import LANGUAGES
from serving.served import RATE_HZ, Serving, Stub, wav

TOKEN = "correct-horse-battery"
OPERATOR = 'Ask <Müller> & "Sons".'
NC = Licence(corpus="emovo", licence="research", commercial_use=False)
OWN = Licence(corpus="<mine>", licence="", commercial_use=None)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Serving({"first": Stub()}, Limits(token=TOKEN), disclosure=Disclosure(operator=OPERATOR)) as url:
        yield url


def test_everybody_may_read_the_notice(url: str) -> None:
    body = httpx.get(f"{url}/notice").json()
    assert body["notices"] == NOTICES and body["operator"] == OPERATOR and "not legal advice" in body["disclaimer"]
    assert {"name", "rule", "since"} == set(body["articles"][0])
    assert "operator" not in Disclosure().answer().model_dump(exclude_unset=True)


def test_each_answer_has_the_notice_in_a_field_and_a_header(url: str) -> None:
    for path in ("/v1/predict", "/v1/audio/transcriptions"):
        answer = httpx.post(
            f"{url}{path}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            files={"file": wav(np.full(RATE_HZ, 0.1, np.float32))},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["notice"] == answer.headers["X-Affetto-Notice"] == SHORT_NOTICE
    assert "X-Affetto-Notice" not in httpx.get(f"{url}/healthz").headers


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_its_language_first_and_escapes_the_operator(language: str) -> None:
    shown, _, hidden = Disclosure(operator=OPERATOR).html(language, "More").partition("<details>")
    assert NOTICES[language] in shown and "Ask &lt;Müller&gt; &amp;" in shown and "<Müller>" not in shown
    assert all((text in hidden) == (code != language) for code, text in NOTICES.items())


def test_licences_that_bind_a_model_are_shown_wherever_it_is_served() -> None:
    stub = Stub()
    stub.card |= {"synthetic": False, "licences": [NC.fields(), OWN.fields()]}
    note = "not for commercial use: emovo (research)"
    lines = greeting("http://127.0.0.1", Catalogue({"first": stub}), Limits(), page=False, is_open=False)
    assert [line for line in lines if line.startswith("    note: trained on") and note in line]
    (model,) = Catalogue({"first": stub}).describe()
    assert [entry.model_dump() for entry in model.licences] == stub.card["licences"]
    for texts in LANGUAGES.values():
        forbidden, unclear = display.licence_lines(stub, texts)
        assert "emovo" in forbidden and "&lt;mine&gt;" in unclear
    assert display.licence_lines(Stub(), LANGUAGES["en"]) == [], "synthetic speech has none"


def test_the_page_does_not_call_all_training_data_acted():
    assert "acted or judged by listeners" in LANGUAGES["en"].limits
    assert "recitate o giudicate" in LANGUAGES["it"].limits
