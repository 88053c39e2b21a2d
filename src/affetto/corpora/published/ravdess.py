"""RAVDESS, the speech of the Ryerson audio-visual database: 24 actors, two statements, two intensities.

Twelve women and twelve men speak two statements twice in eight emotions, neutral only at normal intensity: 1,440 clips
of speech, 60 an actor, 16 bit, 48 kHz (Livingstone and Russo, PLoS ONE 2018, doi 10.1371/journal.pone.0196391;
zenodo.org/record/1188976; counts: the dataset's page and its files). Songs (second number 02) are not read. Measured: a
clip has 3.7 s (3.0 to 5.3), three are stereo, two takes of actor 07 are one recording (`03-01-03-01-02-0[12]-07`).

    Actor_18/03-01-05-01-02-01-18.wav
        audio only - speech - emotion - intensity - statement - repetition - actor (odd: a man)

    01 neutral  02 calm  03 happy  04 sad  05 angry  06 fearful  07 disgust  08 surprised

The field trains on all eight, or joins calm and neutral; calm is a baseline of the actors' own making beside neutral,
and none of the seven emotions. Mirrors hold all files a second time (`audio_speech_actors_01-24/` inside), or a file of
another actor in an actor's folder. BEASC (Bangla, 34 speakers) names its files alike: read as RAVDESS it lacks speakers
25 to 34, and a note says that the counts differ.
"""

from __future__ import annotations

from affetto.corpora.labels import DROP
from affetto.corpora.named_files import Naming, named_corpus

NAMING = Naming(
    pattern=r"03-01-(?P<emotion>0[1-8])-(?P<intensity>0[12])-(?P<prompt>0[12])-0[12]-(?P<speaker>\d\d)\.wav",
    shape="03-01-<emotion>-<intensity>-<statement>-<repetition>-<actor>.wav",
    example="Actor_18/03-01-05-01-02-01-18.wav",
    emotions={
        "01": "neutrality",
        "02": "calm",
        "03": "joy",
        "04": "sadness",
        "05": "anger",
        "06": "fear",
        "07": "disgust",
        "08": "surprise",
    },
    speakers={f"{actor:02}": "male" if actor % 2 else "female" for actor in range(1, 25)},
    values={"intensity": {"01": "normal", "02": "strong"}},
)

CORPUS = named_corpus(
    NAMING,
    name="ravdess",
    title="RAVDESS",
    licence="CC BY-NC-SA 4.0; commercial licences from the authors",
    commercial_use=False,
    speech="acted",
    collection="Actors say two statements twice in eight emotions, at two intensities.",
    source="zenodo.org/record/1188976",
    citation="Livingstone and Russo, PLoS ONE 13(5), 2018, doi 10.1371/journal.pone.0196391",
    language="English",
    official={
        "anger": 192,
        "disgust": 192,
        "fear": 192,
        "joy": 192,
        "neutrality": 96,
        "sadness": 192,
        "surprise": 192,
        "calm": 192,
    },
    other_labels={"calm": DROP},
    other_labels_reason="calm is none of the seven emotions; the field keeps it as an eighth or joins it to neutrality",
    protocol="published",
    protocol_reason="EmoBox's six folds of four actors; `loso` leaves each of the 24 out",
    folds=(
        ("01", "11", "20", "21"),
        ("04", "10", "12", "14"),
        ("08", "09", "19", "23"),
        ("03", "05", "07", "24"),
        ("02", "15", "16", "18"),
        ("06", "13", "17", "22"),
    ),
    sentences={"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"},
)
