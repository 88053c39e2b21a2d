"""TurEV-DB, the Turkish emotion voice database: 82 words in four states.

Six speakers say single words: 1,735 clips, about 28 minutes at 44.1 kHz (Canpolat, Ormanoğlu and Zeyrek, "Turkish
Emotion Voice Database (TurEV-DB)", SLTU-CCURL 2020; counts, speakers and licence: files and README of
github.com/Xeonen/TurEV-DB, whose LICENSE file says GPL 3, while its README says CC BY-NC-ND 4.0). The speakers' genders
are not stated there.

    Sound Source/Angry/1157_kz_acik.wav      speaker, emotion, word (`ogul1` repeats `ogul`)

    kz angry (kızgın)  sk calm (sakin)  mt happy (mutlu)  hl sad

There is no neutral speech: calm is the state without arousal, and counts as neutrality. The repository also holds
spectrograms, which are no audio.
"""

from __future__ import annotations

from affetto.corpora.named_files import Naming, named_corpus

SPEAKERS = ("1157", "1234", "1358", "1984", "6783", "7895")

NAMING = Naming(
    pattern=rf"(?P<speaker>{'|'.join(SPEAKERS)})_(?P<emotion>kz|sk|mt|hl)_(?P<prompt>[a-z]+)\d?\.wav",
    shape="<speaker>_<emotion>_<word>.wav",
    example="Sound Source/Angry/1157_kz_acik.wav",
    emotions={"kz": "anger", "sk": "calm", "mt": "joy", "hl": "sadness"},
    speakers=dict.fromkeys(SPEAKERS),
)

CORPUS = named_corpus(
    NAMING,
    name="turev",
    title="TurEV-DB",
    licence="CC BY-NC-ND 4.0 by its README, GPL 3 by its LICENSE file",
    speech="acted",
    collection="Speakers say single words in four states.",
    source="github.com/Xeonen/TurEV-DB",
    citation='Canpolat, Ormanoğlu and Zeyrek, "Turkish Emotion Voice Database (TurEV-DB)", SLTU-CCURL 2020',
    language="Turkish",
    official={"anger": 487, "joy": 357, "sadness": 483, "calm": 408},
    other_labels={"calm": "neutrality"},
    other_labels_reason="the corpus has no neutral speech; calm is its state without arousal",
    protocol="loso",
    protocol_reason="leave one of the six speakers out; EmoBox's fold shares all six",
)
