"""Disclosure of a server: the notice for the people exposed to it, and the law behind the notice."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from affetto.inference.notices import ARTICLES, DISCLAIMER, NOTICES, REGULATION
from affetto.serving.contexts import Use
from affetto.serving.schemas import ArticleAnswer, NoticeAnswer


@dataclass(frozen=True)
class Disclosure:
    """Facts that a server tells whoever is exposed to it."""

    operator: str = ""
    """Notice of the operator's own; "" for none."""
    use: Use | None = None
    """Use of the server; None where its operator has not stated one."""

    def answer(self) -> NoticeAnswer:
        """Compose the answer of `GET /notice`."""
        articles = [ArticleAnswer(name=article.name, rule=article.rule, since=article.since) for article in ARTICLES]
        own = {"operator": self.operator} if self.operator else {}
        return NoticeAnswer(
            notices=NOTICES,
            **own,
            **self.use_fields(),
            regulation=REGULATION,
            articles=articles,
            disclaimer=DISCLAIMER,
        )

    def use_fields(self) -> dict[str, str]:
        """Compose the fields `context` and `context_reason` of an answer, where there are such."""
        if self.use is None:
            return {}
        reason = {"context_reason": self.use.reason} if self.use.reason else {}
        return {"context": self.use.context.name, **reason}

    def html(self, language: str, more: str) -> str:
        """Compose the notice of the page in its language; those of the others are behind a control called `more`."""
        paragraphs = escape(self.operator).replace("\n\n", "</p><p>").replace("\n", "<br>")
        own = f"<p>{paragraphs}</p>" if self.operator else ""
        rest = "".join(f'<p lang="{code}">{text}</p>' for code, text in NOTICES.items() if code != language)
        return (
            f'<div class="affetto-note affetto-notice" role="note"><p>{NOTICES[language]}</p>{own}'
            f"<details><summary>{more}</summary>{rest}</details></div>"
        )
