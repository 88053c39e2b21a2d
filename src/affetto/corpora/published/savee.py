"""SAVEE, the Surrey audio-visual expressed emotion database: four men, British English.

Four postgraduates and researchers of the University of Surrey, 27 to 31 years old, read 15 TIMIT sentences in each of
six emotions and 30 neutrally: 480 clips, 120 a speaker, at 44.1 kHz (counts: Info.txt of the audio archive, EmoBox's
metadata). Of the 15 sentences three are common to all emotions, two belong to the emotion and ten are generic; the 30
neutral ones are the common ones and those of the emotions. The archive does not say which numbers the common ones
have, so a prompt is the emotion's code with the number (`a01`).

    AudioData/DC/a01.wav      speaker DC, anger, sentence 1; mirrors name it DC_a01.wav, in one folder

The database is free for research after a registration, and may not be passed on.
"""

from __future__ import annotations

from affetto.corpora.named_files import Naming, named_corpus

NAMING = Naming(
    pattern=r"(?P<speaker>DC|JE|JK|KL)[/_](?P<prompt>(?P<emotion>a|d|f|h|n|sa|su)\d\d)\.wav",
    shape="<speaker>/<emotion><sentence>.wav or <speaker>_<emotion><sentence>.wav",
    example="DC/a01.wav",
    emotions={
        "a": "anger",
        "d": "disgust",
        "f": "fear",
        "h": "joy",
        "n": "neutrality",
        "sa": "sadness",
        "su": "surprise",
    },
    speakers=dict.fromkeys(("DC", "JE", "JK", "KL"), "male"),
)

CORPUS = named_corpus(
    NAMING,
    name="savee",
    title="SAVEE",
    licence="research only, after a registration; not to be passed on",
    commercial_use=False,
    speech="acted",
    collection="Researchers of the university read 15 TIMIT sentences in each of six emotions, and 30 neutrally.",
    source="kahlan.eps.surrey.ac.uk/savee",
    citation='Haq and Jackson, "Multimodal Emotion Recognition", in Machine Audition, IGI Global 2010',
    language="English",
    official=dict.fromkeys(("anger", "disgust", "fear", "joy"), 60)
    | {"neutrality": 120, "sadness": 60, "surprise": 60},
    protocol="loso",
    protocol_reason="leave one of the four speakers out, as the field does",
)
