"""AESDD, the acted emotional speech dynamic database: Greek, five emotions, neither neutral nor surprised.

Actors say 19 utterances and one of their own in five emotions. Version 1.0 had five actors (three women, two men) and
some 500 clips; the copies that circulate have six and 605 files, `sadness/s05 (3).wav` among them, which has no data
(Vryzas et al., "Speech emotion recognition for performance interaction", Journal of the Audio Engineering Society
2018; counts: EmoBox's metadata and a copy's files). The authors' readme does not say which actor is a woman. Genders
are those of github.com/michen00/multilingual_speech_valence_classification_datasets, and agree with the readme.

    anger/a03 (4).wav       utterance 3, speaker 4
    fear/f18 (5)b.wav       a second take, of which the first may be named `(5)a`

Some names write the speaker with two digits, `(01)`.
"""

from __future__ import annotations

from affetto.corpora.named_files import Naming, named_corpus

NAMING = Naming(
    pattern=r"(?:anger|disgust|fear|happiness|sadness)/(?P<emotion>[adfhs])(?P<prompt>\d\d) \(0?(?P<speaker>[1-6])\)"
    r"[a-z]?\.wav",
    shape="<emotion>/<letter><utterance> (<speaker>).wav",
    example="anger/a03 (4).wav",
    emotions={"a": "anger", "d": "disgust", "f": "fear", "h": "joy", "s": "sadness"},
    speakers=dict.fromkeys("125", "female") | dict.fromkeys("346", "male"),
    faulty={"s05 (3).wav": "all copies lack its data"},
)

CORPUS = named_corpus(
    NAMING,
    name="aesdd",
    title="AESDD",
    licence="research, non-commercial",
    commercial_use=False,
    speech="acted",
    collection="Actors say 19 utterances and one of their own in five emotions.",
    source="m3c.web.auth.gr/research/aesdd-speech-emotion-recognition",
    citation='Vryzas et al., "Speech emotion recognition for performance interaction", Journal of the Audio '
    "Engineering Society 66(6), 2018",
    language="Greek",
    official={"anger": 121, "disgust": 122, "fear": 120, "joy": 119, "sadness": 122},
    protocol="loso",
    protocol_reason="leave one of the six speakers out",
)
