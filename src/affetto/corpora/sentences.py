"""What the speakers of the synthetic corpora say where they do not say EMOVO's sentences.

As many as Emozionalmente has: fifteen of our own, and the three that Emozionalmente shares with EMOVO.
"""

from __future__ import annotations

from affetto.corpora.emovo import SENTENCES as EMOVO_SENTENCES

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
