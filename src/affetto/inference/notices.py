"""Notices for people whose voice a model answers about, and the articles of law behind them.

The dates and articles are secondary reading, not legal advice. They were read in reprints of Regulation (EU) 2024/1689
and in summaries of its amendment of 2026, not in the Official Journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from affetto.errors import UserError

REGULATION = "Regulation (EU) 2024/1689 (AI Act)"
LONGEST_NOTICE = 4000
"""Characters of an operator's own notice, at most."""


@dataclass(frozen=True)
class Article:
    """Article of the regulation that speaks of emotion recognition."""

    name: str
    rule: str
    """Content in one sentence."""
    since: str
    """First day on which it applies, ISO 8601."""


TRANSPARENCY = Article(
    name="Article 50(3)",
    rule="Whoever uses an emotion recognition system informs the people exposed to it, and processes their data as "
    "data protection law demands.",
    since="2026-08-02",
)
PROHIBITION = Article(
    name="Article 5(1)(f)",
    rule="Systems that infer emotions at the workplace or in education institutions are prohibited, except for medical "
    "or safety reasons.",
    since="2025-02-02",
)
HIGH_RISK = Article(
    name="Annex III, point 1(c)",
    rule="Emotion recognition that is not prohibited is a high-risk use, with the duties of such a use.",
    since="2027-12-02",
)
ARTICLES = (TRANSPARENCY, PROHIBITION, HIGH_RISK)
DISCLAIMER = "Secondary reading of the law, not legal advice."

NOTICES = {
    "en": (
        "An AI system analyses voices here to estimate emotions. It can be wrong: it tells what a voice sounds like, "
        "not what a person feels. Ask the operator of this service why it is used, what happens to recordings, and "
        "what your rights are."
    ),
    "it": (
        "Qui un sistema di IA analizza le voci per stimare le emozioni. Può sbagliare: indica come suona una voce, non "
        "che cosa prova una persona. Chiedi al gestore di questo servizio perché lo usa, che cosa accade alle "
        "registrazioni e quali sono i tuoi diritti."
    ),
    "de": (
        "Ein KI-System wertet hier Stimmen aus, um Emotionen zu schätzen. Es kann sich irren: Es gibt an, wie eine "
        "Stimme klingt, nicht, was ein Mensch fühlt. Fragen Sie den Betreiber dieses Dienstes nach dem Zweck, dem "
        "Umgang mit Aufnahmen und Ihren Rechten."
    ),
    "fr": (
        "Un système d'IA analyse ici les voix pour estimer les émotions. Il peut se tromper : il indique à quoi "
        "ressemble une voix, non ce que ressent une personne. Demandez à l'exploitant de ce service pourquoi il "
        "l'utilise, ce que deviennent les enregistrements et quels sont vos droits."
    ),
    "es": (
        "Un sistema de IA analiza aquí las voces para estimar emociones. Puede equivocarse: indica cómo suena una voz, "
        "no lo que siente una persona. Pregunte al responsable de este servicio por qué lo usa, qué ocurre con las "
        "grabaciones y cuáles son sus derechos."
    ),
}
"""Notice for the people exposed, by the code of its language."""
SHORT_NOTICE = "An AI system estimated this from a voice. It can be wrong. Tell the people concerned: GET /notice."
"""Notice that stands in each answer of the API, in ASCII, as a header must be."""


def read_notice(value: str) -> str:
    """Read an operator's own notice: the content of a file of that name, else the value itself.

    Raises UserError for a file that is missing or no text, and for a notice that is empty or too long.
    """
    text = value
    if _is_file_name(value):
        try:
            text = Path(value).read_text(encoding="utf-8")
        except (OSError, ValueError) as problem:
            raise UserError(
                f"--notice {value}: cannot be read ({problem}); give a text file in UTF-8, or a text of several words"
            ) from None
    text = text.strip()
    if not 0 < len(text) <= LONGEST_NOTICE:
        raise UserError(f"--notice: {len(text)} characters; give a text of 1 to {LONGEST_NOTICE}")
    return text


def _is_file_name(value: str) -> bool:
    """True for the name of an existing file, and for a word without spaces, which is no notice."""
    try:
        return Path(value).is_file() or (bool(value) and not any(map(str.isspace, value)))
    except (OSError, ValueError):  # too long for a name, or with a character that no name has
        return False
