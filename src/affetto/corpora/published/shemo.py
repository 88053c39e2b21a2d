"""ShEMO, the Sharif emotional speech database: semi-natural Persian speech from radio plays.

31 women and 56 men, 3,000 utterances of 3 hours and 25 minutes, labelled by the majority of twelve annotators
(Mohamad Nezami, Jamshid Lou and Karami, "ShEMO: a large-scale validated database for Persian speech emotion detection",
Language Resources and Evaluation 53, 2019; github.com/pariajm/sharif-emotional-speech-dataset). The counts per emotion
are computed from its shemo.json; EmoBox found 2,838 of the files. No disgust, and little fear.

    female/F21N37.wav, male/M36S02.wav      gender, speaker, emotion, number
    shemo.json                              {"F21N37": {"transcript": …, "emotion": …}}

    A anger  F fear  H happiness  N neutral  S sadness  W surprise

The words come from shemo.json, where it lies in the folder of the audio or the one around it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from affetto.corpora.amounts import amount, verb
from affetto.corpora.folders import examples
from affetto.corpora.labelling import Labelling
from affetto.corpora.manifest import Clip
from affetto.corpora.named_files import Naming, named_corpus

TEXTS = "shemo.json"


def annotate(root: Path, clips: tuple[Clip, ...], labelling: Labelling) -> tuple[tuple[Clip, ...], tuple[str, ...]]:
    """The clips with their words, and a note on a shemo.json that is damaged or lacks some of them."""
    folders = dict.fromkeys(folder for clip in clips for folder in list((root / clip.file).parents)[:3])
    file = next((folder / TEXTS for folder in folders if (folder / TEXTS).is_file()), None)
    if file is None:
        return clips, ()
    try:
        texts = transcripts(file)
    except (OSError, ValueError, RecursionError) as problem:
        return clips, (f"{file} cannot be read ({problem}), so that no words are known; get it again from its source",)
    spoken = tuple(replace(clip, sentence=texts.get(Path(clip.file).stem.casefold())) for clip in clips)
    silent = [clip.file for clip in spoken if clip.sentence is None]
    if not silent:
        return spoken, ()
    names = f"{amount(len(silent), 'clip')} {verb(len(silent), 'have')}"
    return spoken, (f"{names} no words in {file}: {examples(silent)}",)


def transcripts(file: Path) -> dict[str, str]:
    """The words of each clip, by its name in lower case; OSError or ValueError for a file that is no such JSON."""
    content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("no object of clips")
    texts = {
        name.casefold(): str(facts.get("transcript") or "").strip()
        for name, facts in content.items()
        if isinstance(facts, dict)
    }
    return {name: text for name, text in texts.items() if text}


NAMING = Naming(
    pattern=r"(?P<speaker>[FM]\d\d)(?P<emotion>[AFHNSW])\d\d\d?\.wav",
    shape="<gender><speaker><emotion><number>.wav",
    example="female/F21N37.wav",
    emotions={
        "a": "anger",
        "f": "fear",
        "h": "joy",
        "n": "neutrality",
        "s": "sadness",
        "w": "surprise",
    },
    speakers={f"F{number:02}": "female" for number in range(1, 32)}
    | {f"M{number:02}": "male" for number in range(1, 57)},
)

CORPUS = named_corpus(
    NAMING,
    annotate=annotate,
    name="shemo",
    title="ShEMO",
    licence="academic use; the authors' copy at Hugging Face says Apache 2.0",
    speech="acted",
    collection="Utterances of radio plays, which the authors call semi-natural; twelve annotators labelled them.",
    source="github.com/pariajm/sharif-emotional-speech-dataset",
    citation='Mohamad Nezami, Jamshid Lou and Karami, "ShEMO: a large-scale validated database for Persian speech '
    'emotion detection", Language Resources and Evaluation 53, 2019',
    language="Persian",
    official={"anger": 1042, "fear": 32, "joy": 203, "neutrality": 1160, "sadness": 362, "surprise": 201},
    protocol="kfold:5",
    protocol_reason="five folds of whole speakers; EmoBox's fold shares all of its 83 test speakers",
)
