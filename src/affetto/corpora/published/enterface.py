"""eNTERFACE'05, an audio-visual database of elicited emotions: 42 subjects speak English with many accents.

Each subject of 14 nations (81 % men) heard a short story for each of six emotions and reacted with five sentences
(Martin, Kotsia, Macq and Pitas, "The eNTERFACE'05 Audio-Visual Emotion Database", ICDE Workshops 2006;
enterface.net/enterface05/emotion.html). The files are videos with 48 kHz sound. EmoBox's metadata of the archive have
1,257 clips of 42 subjects, and six unsegmented recordings of subject 6 (s6_an.avi), which are passed over. Genders by
subject could not be confirmed.

    subject 19/anger/sentence 4/s19_an_4.avi      subject, emotion (an di fe ha sa su), sentence
    …/s19_an_4.wav                                the sound, extracted beside the video

Videos are not read: extract the sound first, for example by `ffmpeg -i s19_an_4.avi -vn s19_an_4.wav`. The folder of
subject 11 holds the files of s12: the file's name counts. Some files of subject 3 are named `s_3_ha_1`, one ends in
`avi.avi`. The five sentences belong to their emotion, so that the emotion is part of the prompt.
"""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path

from affetto.corpora.folders import existing_folder
from affetto.corpora.manifest import Manifest
from affetto.corpora.named_files import MOST_ENTRIES, Naming, named_corpus, read_named
from affetto.errors import UserError

_NAME = r"s_?(?P<speaker>\d+)_(?P<prompt>(?P<emotion>an|di|fe|ha|sa|su)_[1-5])(?:avi)?"
_VIDEO = re.compile(rf"{_NAME}\.avi", re.IGNORECASE)
EXCLUDED = {
    "6": "the recordings of subject 6 are not cut into sentences",
    "11": "the folder of subject 11 holds the files of s12",
}
"""Subjects without clips in the archive, and the reason."""
SUBJECTS = tuple(number for number in map(str, range(1, 45)) if number not in EXCLUDED)

NAMING = Naming(
    pattern=rf"{_NAME}\.(?:wav|flac|mp3)",
    shape="s<subject>_<emotion>_<sentence>.wav",
    example="subject 19/anger/sentence 4/s19_an_4.wav",
    emotions={
        "an": "anger",
        "di": "disgust",
        "fe": "fear",
        "ha": "joy",
        "sa": "sadness",
        "su": "surprise",
    },
    speakers=dict.fromkeys(SUBJECTS),
    excluded=EXCLUDED,
)


def matches(path: Path) -> bool:
    """True for a folder with the corpus's sounds or, for a clear error, its videos."""
    return NAMING.matches(path) or _example_video(path) is not None


def read(path: Path, *, label_map: dict[str, str] | None = None, strict: bool = False) -> Manifest:
    """The clips whose sound was extracted. Raises UserError where there are videos alone."""
    folder = existing_folder(path, CORPUS.title)
    video = None if NAMING.matches(folder) else _example_video(folder)
    if video is not None:
        raise UserError(
            f"{folder} holds {CORPUS.title} as videos, which are not read; extract their sound, each beside its video: "
            f"ffmpeg -i {video}.avi -vn {video}.wav"
        )
    return read_named(CORPUS, NAMING, path, label_map=label_map, strict=strict)


def _example_video(path: Path) -> str | None:
    """Name, without suffix, of one of the corpus's videos below a folder; None without one."""
    names = (name for _, _, names in os.walk(Path(path).expanduser()) for name in names)
    return next((Path(name).stem for name in islice(names, MOST_ENTRIES) if _VIDEO.fullmatch(name)), None)


CORPUS = named_corpus(
    NAMING,
    matches=matches,
    read=read,
    name="enterface",
    title="eNTERFACE'05",
    licence="research; nothing stated on passing it on",
    commercial_use=False,
    speech="elicited",
    collection="Subjects heard a short story for each of six emotions and reacted with five sentences.",
    source="enterface.net/enterface05/emotion.html",
    citation='Martin, Kotsia, Macq and Pitas, "The eNTERFACE\'05 Audio-Visual Emotion Database", ICDE Workshops 2006',
    language="English",
    official=dict.fromkeys(("anger", "disgust", "fear", "sadness", "surprise"), 210) | {"joy": 207},
    protocol="kfold:5",
    protocol_reason="five folds of whole subjects; EmoBox's fold shares all of its test subjects",
)
