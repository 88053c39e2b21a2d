"""DEMoS, elicited (not acted) Italian emotional speech.

68 students (45 men, 23 women) were brought into an emotional state by several procedures and spoke freely; clips
that raters and the speaker's own report confirmed are prototypical (Parada-Cabaleiro et al., "DEMoS: an Italian
emotional speech corpus", Language Resources and Evaluation 2020). Access needs a signed agreement with its authors.

    DEMOS/[PR_|NP_]<gender>_<speaker>_<emotion><item><take>.wav     PR_f_01_rab18b.wav; NP_ is not prototypical
    NEU/<gender>_<speaker>_neu<item><take>.wav                      the neutral clips, beside and not inside DEMOS

Speakers are `01` to `69` without `35`; the gender stands in the file's name and nowhere else. Guilt (`col`, 1,129
clips) is left out of the seven emotions, as the corpus's users do, unless `--keep-other` or the option `keep_guilt`
makes it a class of its own.
The item's id carries the emotion (`rab18b`), and the same items are spoken by nearly all: under a split by speaker
about 99 % of the test clips have a prompt that stands in train too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from affetto.corpora.corpus import Corpus, Option, yes_or_no
from affetto.corpora.folders import candidates, files_of, only_root, passed_over, subfolders
from affetto.corpora.labels import DROP, EMOTIONS
from affetto.corpora.manifest import Clip, Manifest

GUILT = "guilt"
OFFICIAL = dict(zip(EMOTIONS, (1477, 1678, 1156, 1395, 332, 1530, 1000), strict=True)) | {GUILT: 1129}
"""Clips per emotion by Table II: 8,568 in seven emotions, and guilt."""
GENDERS = {"f": "female", "m": "male"}
_FILE = re.compile(r"(?:(PR|NP)_)?([fm])_(\d{2})_((?:rab|tri|gio|pau|dis|col|sor|neu)\d{2}[abc])\.wav", re.IGNORECASE)
_FOLDERS = ("demos", "neu")
_LAYOUT = "the folders DEMOS and NEU with files such as PR_f_01_rab18b.wav and f_01_neu01a.wav"


def matches(path: Path) -> bool:
    """True if the folder, its parent or a child of it holds DEMoS's folders and file names."""
    return bool(_roots(path))


def read(
    path: Path, *, label_map: dict[str, str] | None = None, strict: bool = False, keep_guilt: bool = False
) -> Manifest:
    """The clips of DEMOS and NEU; the prompt is the item's id, `prototypical` (yes, no) stands in the extras."""
    root, notes = only_root(path, CORPUS.title, _LAYOUT, _roots(path))
    labelling = CORPUS.labelling(label_map, other_labels={GUILT: GUILT} if keep_guilt else None)
    clips: list[Clip] = []
    names: set[str] = set()
    for name, fit in _fitting(root):
        names.add(name)
        code = fit[4][:3].casefold()
        emotion = labelling.emotion(code, name, code=code)
        if emotion is not None:
            clips.append(_clip(name, fit, emotion))
    notes += passed_over(root, names, "[PR_|NP_]<gender>_<speaker>_<emotion><item><take>.wav in DEMOS or NEU")
    return CORPUS.manifest(root, clips, labelling=labelling, notes=notes, strict=strict)


def _clip(name: str, fit: re.Match[str], emotion: str) -> Clip:
    kind, gender, speaker, prompt = fit.groups()
    prototypical = {"pr": "yes", "np": "no"}.get((kind or "").casefold())
    return Clip(
        file=name,
        emotion=emotion,
        speaker=speaker,
        gender=GENDERS[gender.casefold()],
        prompt=prompt.casefold(),
        extra=(("prototypical", prototypical),) if prototypical else (),
    )


def _roots(path: Path) -> list[Path]:
    """The folders around DEMOS and NEU that `path` may mean; failing that, one folder that all files lie in."""
    path = Path(path).expanduser().resolve()
    roots = candidates(path, _is_root, lambda folder: folder.name.casefold() in _FOLDERS)
    return roots or ([path] if path.is_dir() and any(_fitting(path)) else [])


def _is_root(folder: Path) -> bool:
    return any(child.name.casefold() in _FOLDERS for child in subfolders(folder)) and any(_fitting(folder))


def _fitting(root: Path) -> Iterator[tuple[str, re.Match[str]]]:
    """The relative names of the corpus's files under a root, with their parts: both folders, or the root if flat."""
    folders = [folder for folder in subfolders(root) if folder.name.casefold() in _FOLDERS]
    for folder in folders or [root]:
        for file in files_of(folder):
            fit = _FILE.fullmatch(file.name)
            if fit:
                yield (file.relative_to(root).as_posix(), fit)


CORPUS = Corpus(
    name="demos",
    title="DEMoS",
    matches=matches,
    read=read,
    options={
        "keep_guilt": Option("true makes guilt (1,129 clips) a class of its own, as --keep-other does", yes_or_no)
    },
    licence="restricted: a signed agreement with the authors; research only, not to be passed on",
    commercial_use=False,
    speech="elicited",
    collection="Students were brought into emotional states and spoke freely; raters and their reports confirm some.",
    source="the authors, by a signed agreement",
    citation='Parada-Cabaleiro et al., "DEMoS: an Italian emotional speech corpus", Language Resources and Evaluation '
    "2020",
    language="Italian",
    official=OFFICIAL,
    other_labels={GUILT: DROP},
    other_labels_reason="guilt is none of the seven emotions of the paper",
    genders={"female": 23, "male": 45},
    protocol="paper",
    protocol_reason="80/10/10 by whole speakers, as in the paper; about 99 % of the test clips have a prompt that is "
    "also in train",
)
