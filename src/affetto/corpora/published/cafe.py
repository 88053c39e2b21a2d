"""CaFE, the Canadian French emotional speech dataset: twelve actors, six sentences, two intensities.

Six women and six men of 15 to 64 years say six sentences in six emotions, mildly and strongly, and neutrally: 936
clips, 78 an actor (Gournay, Lahaie and Lefebvre, "A Canadian French emotional speech dataset", ACM Multimedia Systems
2018; zenodo.org/record/1478765; actors and sentences: the dataset's Readme.txt, counts: EmoBox's metadata). The archive
of 48 kHz holds .wav files, the two of 192 kHz hold .aiff files.

    CaFE_48k/Colère/Faible/01-C-1-1.wav      actor 01 (odd: a man), anger, mild, sentence 1
    CaFE_192k_1/Neutre/03-N-1.aiff           neutral has no intensity; some copies write it as 1, 03-N-1-1

The folders do not matter, so that their accented names may be written in any encoding.
"""

from __future__ import annotations

from affetto.corpora.named_files import Naming, named_corpus

SENTENCES = {
    "1": "Un cheval fou dans mon jardin",
    "2": "Deux ânes aigris au pelage brun",
    "3": "Trois cygnes aveugles au bord du lac",
    "4": "Quatre vieilles truies éléphantesques",
    "5": "Cinq pumas fiers et passionnés",
    "6": "Six ours aimants domestiqués",
}
NAMING = Naming(
    pattern=r"(?P<speaker>\d\d)-(?P<emotion>[CDJNPST])(?:(?<=N)(?:-1)?|-(?P<intensity>[12]))-(?P<prompt>[1-6])"
    r"\.(?:wav|aiff?)",
    shape="<actor>-<emotion>-<intensity>-<sentence>.wav",
    example="01-C-1-1.wav",
    emotions={
        "c": "anger",
        "d": "disgust",
        "j": "joy",
        "n": "neutrality",
        "p": "fear",
        "s": "surprise",
        "t": "sadness",
    },
    speakers={f"{actor:02}": "male" if actor % 2 else "female" for actor in range(1, 13)},
    values={"intensity": {"1": "mild", "2": "strong"}},
)

CORPUS = named_corpus(
    NAMING,
    name="cafe",
    title="CaFE",
    licence="CC BY-NC-SA 4.0",
    speech="acted",
    collection="Actors say six sentences in six emotions, mildly and strongly, and neutrally.",
    source="zenodo.org/record/1478765",
    citation='Gournay, Lahaie and Lefebvre, "A Canadian French emotional speech dataset", ACM Multimedia Systems 2018',
    language="French",
    official=dict.fromkeys(("anger", "disgust", "fear", "joy"), 144)
    | {"neutrality": 72, "sadness": 144, "surprise": 144},
    protocol="published",
    protocol_reason="EmoBox's three folds of four actors",
    folds=(("01", "07", "08", "10"), ("02", "04", "09", "12"), ("03", "05", "06", "11")),
    sentences=SENTENCES,
)
