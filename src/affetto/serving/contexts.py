"""Contexts in which a server may be used, and those that European law prohibits."""

from __future__ import annotations

from dataclasses import dataclass

from affetto.errors import UserError, unknown
from affetto.inference.notices import PROHIBITION, REGULATION, TRANSPARENCY


@dataclass(frozen=True)
class Context:
    """Context of use, as `--context` names it."""

    name: str
    people: str
    """People whose voices are analysed there."""
    is_prohibited: bool = False
    """True if emotions may be inferred there only for medical or safety reasons."""


CONTEXTS = {
    context.name: context
    for context in (
        Context(name="workplace", people="people at work, and those who apply for work", is_prohibited=True),
        Context(name="education", people="pupils, students, and those who apply for a place", is_prohibited=True),
        Context(name="health", people="patients, in care and therapy"),
        Context(name="safety", people="people whose safety is watched over, as drivers"),
        Context(name="research", people="people who take part in a study"),
        Context(name="customers", people="customers of a service, as callers"),
        Context(name="private", people="the operator"),
    )
}
REASONS = ("medical", "safety")
"""Kinds of reasons for which emotions may be inferred in a prohibited context."""


@dataclass(frozen=True)
class Use:
    """Use of a server: its context, and the reason for which a prohibited one is allowed."""

    context: Context
    reason: str = ""
    """`KIND: TEXT`; "" where the context needs none."""


def read_use(context: str | None, reason: str | None) -> Use | None:
    """Read `--context` and `--context-reason`; None where no context is given.

    Raises UserError for an unknown context, for a prohibited one without a medical or safety reason, and for a reason
    that no context needs.
    """
    if context is None:
        if reason is not None:
            raise UserError(f"--context-reason needs --context: {_prohibited()}")
        return None
    if context not in CONTEXTS:
        raise unknown("context", context, CONTEXTS)
    record = CONTEXTS[context]
    if not record.is_prohibited:
        if reason is not None:
            raise UserError(
                f"--context {context} needs no --context-reason; leave it out (reasons are for {_prohibited()})"
            )
        return Use(context=record)
    if reason is None:
        raise UserError(
            f"--context {context}: {REGULATION}, {PROHIBITION.name}, prohibits inferring emotions there since "
            f"{PROHIBITION.since}, except for medical or safety reasons; if you have such a reason, state it by "
            f"--context-reason '{REASONS[0]}: TEXT' or '{REASONS[1]}: TEXT'"
        )
    return Use(context=record, reason=_checked_reason(reason))


def describe_duty(use: Use | None) -> str:
    """Compose the line about the operator's duties that a server prints as it starts."""
    inform = f"tell the people exposed to it ({TRANSPARENCY.name}; their notice is at /notice)"
    if use is None:
        return f"no --context is given: {inform}, and keep it from {_prohibited()} ({PROHIBITION.name})"
    reason = f" for a reason, {use.reason}" if use.reason else ""
    return f"context {use.context.name} ({use.context.people}){reason}: {inform}"


def _checked_reason(reason: str) -> str:
    """Return a reason as `KIND: TEXT`. Raises UserError for another kind, and for one without a text."""
    kind, _, text = reason.partition(":")
    kind, text = kind.strip().lower(), " ".join(text.split())
    if kind not in REASONS or not text:
        kinds = " or ".join(f"'{name}: TEXT'" for name in REASONS)
        raise UserError(f"--context-reason {reason!r}: give {kinds}, with a text that says what the reason is")
    return f"{kind}: {text}"


def _prohibited() -> str:
    return " and ".join(name for name, context in CONTEXTS.items() if context.is_prohibited)
