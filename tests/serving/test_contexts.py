"""Contexts of use: the prohibited ones need a reason, which is told to everybody."""

from __future__ import annotations

import httpx
import pytest

from affetto.errors import UserError
from affetto.serving.contexts import CONTEXTS, describe_duty, read_use
from affetto.serving.disclosure import Disclosure
from serving.served import Serving, Stub


@pytest.mark.parametrize("context", ["workplace", "education"])
def test_a_prohibited_context_needs_a_medical_or_safety_reason(context: str) -> None:
    with pytest.raises(UserError, match=r"Article 5\(1\)\(f\).*2025-02-02.*--context-reason 'medical: TEXT'"):
        read_use(context, None)
    use = read_use(context, "Medical:  a study of\n burnout")
    assert use is not None and use.reason == "medical: a study of burnout"
    assert use.reason in describe_duty(use)


@pytest.mark.parametrize("reason", ["productivity: sell more", "medical", "medical: ", ": x", "", "a study of burnout"])
def test_a_reason_is_of_a_kind_and_has_a_text(reason: str) -> None:
    with pytest.raises(UserError, match="'medical: TEXT' or 'safety: TEXT'"):
        read_use("workplace", reason)


def test_other_contexts_need_none() -> None:
    for context in CONTEXTS.values():
        if not context.is_prohibited:
            assert read_use(context.name, None) is not None
    with pytest.raises(UserError, match="leave it out"):
        read_use("research", "medical: x")
    with pytest.raises(UserError, match="needs --context"):
        read_use(None, "medical: x")
    with pytest.raises(UserError, match="did you mean 'workplace'"):
        read_use("work place", None)
    assert read_use(None, None) is None
    assert "Article 50(3)" in describe_duty(None) and "workplace and education" in describe_duty(None)


def test_everybody_may_read_the_context_and_its_reason() -> None:
    use = read_use("workplace", "safety: drivers of trains")
    with Serving({"first": Stub()}, disclosure=Disclosure(use=use)) as url:
        for path in ("/notice", "/v1/models"):
            body = httpx.get(f"{url}{path}").json()
            assert (body["context"], body["context_reason"]) == ("workplace", "safety: drivers of trains")
    assert "context" not in Disclosure().answer().model_dump(exclude_unset=True)
