"""Sentences of the synthetic corpora, but for EMOVO's own.

`EVERYDAY_SENTENCES` are as many as Emozionalmente has: fifteen of our own, and the three that Emozionalmente shares
with EMOVO. `read_aloud` composes sentences like those of Common Voice: many, plain, seldom repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from affetto.corpora.published.emovo import SENTENCES as EMOVO_SENTENCES

if TYPE_CHECKING:
    import numpy as np

EVERYDAY_SENTENCES = (
    "Domani mattina arriva il treno da Torino",
    "Ho lasciato le chiavi sul tavolo",
    "Mia sorella ha cambiato lavoro",
    "La finestra della cucina è aperta",
    "Stasera mangiamo tutti insieme",
    "Ha telefonato il medico poco fa",
    "Il mercato comincia alle otto",
    "Non c'è più posto in macchina",
    "Qualcuno ha suonato alla porta",
    "Il bambino dorme da due ore",
    "Questa strada porta fino al mare",
    "Hanno già chiuso la farmacia",
    "Il nonno legge sempre il giornale",
    "Luca ha comprato una bicicletta nuova",
    "Tra poco comincia a piovere",
    *(EMOVO_SENTENCES[code] for code in ("b1", "b3", "l4")),
)

WHO = (
    "il vecchio maestro",
    "la sindaca",
    "un pescatore",
    "mia cugina",
    "il cuoco",
    "la ragazza bionda",
    "un vicino",
    "la dottoressa",
    "il giovane pittore",
    "una turista",
    "l'avvocato",
    "la squadra",
    "il figlio maggiore",
    "una voce gentile",
    "il poeta",
    "l'ingegnere",
    "chi scrive",
    "la regina",
    "un gatto bianco",
    "zio Giulio",
)
DOES = (
    "guarda",
    "ha trovato",
    "cercava",
    "porterà",
    "disegna",
    "vorrebbe",
    "ha perduto",
    "racconta",
    "sogna",
    "chiede",
    "conosce",
    "ha venduto",
    "raccoglie",
    "aggiusta",
    "saluta",
    "fotografa",
    "dipinge",
    "ascolta",
)
WHAT = (
    "una chiave d'oro",
    "il giornale di ieri",
    "le scarpe verdi",
    "un bicchiere d'acqua",
    "la luna piena",
    "quattro zucche",
    "il ponte di pietra",
    "una lettera",
    "la città",
    "gli spaghetti",
    "un vaso antico",
    "la bandiera",
    "qualche foglio",
    "il cane del fabbro",
    "la ricetta",
    "un quaderno",
    "le montagne",
    "più tempo",
    "dei fiori gialli",
    "la musica",
)
WHEN = (
    "ogni mattina",
    "dopo pranzo",
    "nel bosco",
    "in riva al lago",
    "a mezzanotte",
    "vicino alla chiesa",
    "perché piove",
    "senza dire nulla",
    "con grande calma",
    "tra due settimane",
    "quando è festa",
    "sulla spiaggia",
    "da piccolo",
    "finché può",
    "in via Garibaldi",
    "lunedì",
)


def read_aloud(random: np.random.Generator) -> str:
    """One of some hundred thousand sentences, with a capital and a full stop."""
    words = " ".join(str(random.choice(part)) for part in (WHO, DOES, WHAT, WHEN))
    return f"{words[0].upper()}{words[1:]}."
