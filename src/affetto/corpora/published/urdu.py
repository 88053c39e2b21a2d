"""URDU, spontaneous Urdu speech from talk shows: 400 clips in four emotions.

The clips were cut from YouTube, 100 for each of anger, joy, neutrality and sadness, of about 2.5 seconds at 44.1 kHz
(Latif et al., "Cross Lingual Speech Emotion Recognition: Urdu vs. Western Languages", arXiv 1812.10411;
README and files of github.com/siddiquelatif/URDU-Dataset). The README speaks of 38 speakers (27 men, 11 women); the
names of the files hold 29: men 1 to 7 and 17 to 27, women 1 to 11.

    Angry/SM1_F10_A010.wav      man 1, his tenth file, tenth of anger

One man speaks 80 of the clips, half of the speakers four or fewer.
"""

from __future__ import annotations

from affetto.corpora.named_files import Naming, named_corpus

MEN = (*range(1, 8), *range(17, 28))
WOMEN = range(1, 12)

NAMING = Naming(
    pattern=r"(?P<speaker>S[MF]\d+)_F\d+_(?P<emotion>[AHNS])\d+\.wav",
    shape="S<gender><speaker>_F<file>_<emotion><number>.wav",
    example="Angry/SM1_F10_A010.wav",
    emotions={"a": "anger", "h": "joy", "n": "neutrality", "s": "sadness"},
    speakers={f"SF{number}": "female" for number in WOMEN} | {f"SM{number}": "male" for number in MEN},
)

CORPUS = named_corpus(
    NAMING,
    name="urdu",
    title="URDU",
    licence="research only",
    commercial_use=False,
    speech="natural",
    collection="Clips of talk shows.",
    source="github.com/siddiquelatif/URDU-Dataset",
    citation='Latif et al., "Cross Lingual Speech Emotion Recognition: Urdu vs. Western Languages", arXiv 1812.10411',
    language="Urdu",
    official=dict.fromkeys(("anger", "joy", "neutrality", "sadness"), 100),
    protocol="kfold:4",
    protocol_reason="four folds of whole speakers, each with all classes, which five are not; EmoBox's fold shares "
    "18 of 19 test speakers",
)
