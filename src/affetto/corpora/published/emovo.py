"""EMOVO, the first corpus of acted Italian emotional speech.

Six actors of the Fondazione Ugo Bordoni, Rome, speak fourteen sentences in seven emotional states: 588 clips, 98
an actor and 84 an emotion (Costantini et al., "EMOVO Corpus: an Italian Emotional Speech Database", LREC 2014).
Official files have 48 kHz, 16 bit and two channels, but for one, which is mono; 30.6 minutes in all. It came from
voice.fub.it.

    EMOVO/{f1,f2,f3,m1,m2,m3}/<emotion>-<actor>-<sentence>.wav      rab-f1-b2.wav: anger, first woman, sentence b2

The licence is disputed: some copies say CC BY-NC-SA 4.0, others nothing. Archives also hold a folder of PDFs.
"""

from __future__ import annotations

import re
from pathlib import Path

from affetto.corpora.corpus import Corpus
from affetto.corpora.folders import candidates, files_of, found_in, is_synthetic, only_root, passed_over, subfolders
from affetto.corpora.labels import EMOTIONS
from affetto.corpora.manifest import Clip, Manifest
from affetto.errors import UserError

ACTORS = ("f1", "f2", "f3", "m1", "m2", "m3")
SENTENCES = {
    "b1": "Gli operai si alzano presto",
    "b2": "I vigili sono muniti di pistola",
    "b3": "La cascata fa molto rumore",
    "l1": "L'autunno prossimo Tony partirà per la Spagna nella prima metà di ottobre",
    "l2": "Ora prendo la felpa di là ed esco per fare una passeggiata",
    "l3": "Un attimo dopo s'è incamminato ... ed è inciampato",
    "l4": "Vorrei il numero telefonico del Signor Piatti",
    "n1": "La casa forte vuole col pane",
    "n2": "La forza trova il passo e l'aglio rosso",
    "n3": "Il gatto sta scorrendo nella pera",
    "n4": "Insalata pastasciutta coscia d'agnello limoncello",
    "n5": "Uno quarantatré dieci mille cinquantasette venti",
    "d1": "Sabato sera cosa farà?",
    "d2": "Porti con te quella cosa?",
}
GENDERS = {"f": "female", "m": "male"}
_ACTOR = re.compile(r"[fm]\d+", re.IGNORECASE)
_FILE = re.compile(rf"(dis|gio|neu|pau|rab|sor|tri)-([fm]\d+)-({'|'.join(SENTENCES)})\.wav", re.IGNORECASE)
_LAYOUT = "folders f1, f2, f3, m1, m2, m3 with files such as rab-f1-b1.wav"


def matches(path: Path) -> bool:
    """True if the folder, its parent or a child of it holds actors' folders with EMOVO's file names."""
    return bool(candidates(path, _is_root, _is_inner))


def read(path: Path, *, label_map: dict[str, str] | None = None, strict: bool = False) -> Manifest:
    """EMOVO's clips; the speaker is the actor, the prompt is the sentence's id (see `SENTENCES`).

    A synthetic corpus may have other actors, and its counts are not compared with the official ones.
    """
    root, notes = only_root(path, CORPUS.title, _LAYOUT, candidates(path, _is_root, _is_inner))
    synthetic = is_synthetic(root)
    clips: list[Clip] = []
    names: set[str] = set()
    labelling = CORPUS.labelling(label_map)
    for folder in filter(_is_inner, subfolders(root)):
        for file in files_of(folder):
            fit = _FILE.fullmatch(file.name)
            actor = fit[2].casefold() if fit else ""
            if not fit or actor != folder.name.casefold() or not (synthetic or actor in ACTORS):
                continue
            name = f"{folder.name}/{file.name}"
            names.add(name)
            emotion = labelling.emotion(fit[1], name, code=fit[1])
            if emotion is not None:
                gender = GENDERS[actor[0]]
                clips.append(
                    Clip(file=name, emotion=emotion, speaker=actor, gender=gender, prompt=fit[3].casefold()),
                )
    if not names:
        raise UserError(
            f"{root}: no file here names the actor in whose folder it lies, as f1/rab-f1-b1.wav does (actors: "
            f"{', '.join(ACTORS)}); found {found_in(root)}. Get the corpus again from its source"
        )
    notes += passed_over(root, names, "<emotion>-<actor>-<sentence>.wav in the actor's folder")
    return CORPUS.manifest(root, clips, labelling=labelling, notes=notes, strict=strict)


def _is_inner(folder: Path) -> bool:
    return bool(_ACTOR.fullmatch(folder.name))


def _is_root(folder: Path) -> bool:
    return any(
        _FILE.fullmatch(file.name) for actor in filter(_is_inner, subfolders(folder)) for file in files_of(actor)
    )


CORPUS = Corpus(
    name="emovo",
    title="EMOVO",
    matches=matches,
    read=read,
    licence="disputed: research, non-commercial; check the source (voice.fub.it)",
    commercial_use=False,
    speech="acted",
    collection="Actors say fourteen sentences in seven emotional states.",
    source="voice.fub.it",
    citation='Costantini et al., "EMOVO Corpus: an Italian Emotional Speech Database", LREC 2014',
    language="Italian",
    official=dict.fromkeys(EMOTIONS, 84),
    genders={"female": 3, "male": 3},
    protocol="paper",
    protocol_reason="one speaker validates and one is tested, as in the paper; `loso` tests all six",
    sentences=SENTENCES,
)
