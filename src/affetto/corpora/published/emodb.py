"""Emo-DB, the Berlin database of emotional speech: ten actors, ten sentences.

Five women and five men say ten everyday sentences in six emotions and neutrally; the 535 clips are those that at least
80 % of 20 listeners recognised and 60 % found natural (Burkhardt et al., "A Database of German Emotional Speech",
Interspeech 2005; counts: computed from the files, speakers: the database's page). Official files have 16 kHz. Version
2.0 of audEERING's copy adds 281 clips that were recognised less; they have the same names and are read too.

    wav/03a01Wa.wav      speaker 03, text a01, anger (Wut), version a

    W anger  L boredom  E disgust  A fear (Angst)  F joy  T sadness  N neutral

The letters are German words' and hold for this corpus alone. Boredom (81 clips) is the field's seventh class.
"""

from __future__ import annotations

from affetto.corpora.labels import DROP
from affetto.corpora.named_files import Naming, named_corpus

MEN = ("03", "10", "11", "12", "15")
WOMEN = ("08", "09", "13", "14", "16")
SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}
NAMING = Naming(
    pattern=rf"(?P<speaker>\d\d)(?P<prompt>{'|'.join(SENTENCES)})(?P<emotion>[WLEAFTN])[a-z]?\.wav",
    shape="<speaker><text><emotion><version>.wav",
    example="wav/03a01Wa.wav",
    emotions={
        "w": "anger",
        "l": "boredom",
        "e": "disgust",
        "a": "fear",
        "f": "joy",
        "t": "sadness",
        "n": "neutrality",
    },
    speakers=dict.fromkeys(MEN, "male") | dict.fromkeys(WOMEN, "female"),
)

CORPUS = named_corpus(
    NAMING,
    name="emodb",
    title="Emo-DB",
    licence="free, none stated; audEERING's copy says CC0",
    speech="acted",
    collection="Actors say ten everyday sentences; clips that 20 listeners recognised and found natural were kept.",
    source="emodb.bilderbar.info",
    citation='Burkhardt et al., "A Database of German Emotional Speech", Interspeech 2005',
    language="German",
    official={
        "anger": 127,
        "disgust": 46,
        "fear": 69,
        "joy": 71,
        "neutrality": 79,
        "sadness": 62,
        "boredom": 81,
    },
    other_labels={"boredom": DROP},
    other_labels_reason="boredom is none of the seven emotions; the field has it as a class beside the six",
    protocol="loso",
    protocol_reason="leave one of the ten speakers out, as the field does",
    sentences=SENTENCES,
)
