"""MELD, dialogues of the television series Friends: 13,708 utterances in seven emotions.

Each utterance of about 1,430 dialogues has one of seven emotions (Poria et al., "MELD: A Multimodal Multi-Party Dataset
for Emotion Recognition in Conversations", ACL 2019; tables of github.com/declare-lab/MELD, from which all counts are
computed). The tables hold 304 names of speakers; six people speak 83 % of the utterances.

    MELD.Raw/train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv
        Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,…
    train_splits/dia0_utt0.mp4                  train: the videos of dialogue 0, utterance 0
    dev_splits_complete/dia0_utt0.mp4           dev
    output_repeated_splits_test/dia0_utt0.mp4   test

Sound that was extracted beside a video, or into another folder of the part, is taken before the video itself
(`dia0_utt0.wav`, .flac or .mp3), which needs PyAV. One file of dev is missing (dia110_utt7) and one of train cannot be
decoded (dia125_utt3); a few videos are cut wrongly (the repository's threads 20, 27 and 39).

The official parts share 69 speakers of train and test, all six main ones among them, so that they test no new voice:
`--split official` is refused with the names. Names such as "Ross and Joey" stand for several people at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from affetto.corpora.amounts import amount, verb
from affetto.corpora.corpus import Corpus
from affetto.corpora.delimited import named_rows
from affetto.corpora.folders import audio_below, candidates, only_root
from affetto.corpora.formats.cells import speaker
from affetto.corpora.manifest import Clip, Manifest
from affetto.errors import UserError

TABLES = {"train": "train_sent_emo.csv", "validation": "dev_sent_emo.csv", "test": "test_sent_emo.csv"}
PREFIXES = {"train": ("train",), "validation": ("dev", "validation"), "test": ("test", "output_repeated_splits_test")}
"""Beginnings of the folders' names of each part."""
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
PREFERRED = (".wav", ".flac", ".mp3", ".mp4")
_LAYOUT = f"{', '.join(TABLES.values())}, beside the folders of the parts"


def matches(path: Path) -> bool:
    """True if the folder, its parent or a child of it holds one of MELD's tables."""
    return bool(_roots(path))


def read(path: Path, *, label_map: dict[str, str] | None = None, strict: bool = False) -> Manifest:
    """The utterances of the tables that have a file; the part is that of the table."""
    root, notes = only_root(path, CORPUS.title, _LAYOUT, _roots(path))
    labelling = CORPUS.labelling(label_map)
    clips: list[Clip] = []
    absent: list[str] = []
    for part, table in TABLES.items():
        if not (root / table).is_file():
            notes += (f"{table} is not there: no clips of {part}",)
            continue
        files = _files(root, part)
        for line, row in named_rows(root / table, COLUMNS):
            name = f"dia{row['Dialogue_ID']}_utt{row['Utterance_ID']}"
            where = f"{table} line {line}"
            if name not in files:
                absent.append(f"{part} {name}")
                continue
            emotion = labelling.emotion(row["Emotion"], where)
            if emotion is not None:
                clips.append(
                    Clip(
                        file=files[name].relative_to(root).as_posix(),
                        emotion=emotion,
                        speaker=speaker(row["Speaker"], where),
                        prompt=f"{part}-{name}",
                        part=part,
                        sentence=row["Utterance"] or None,
                    )
                )
    notes += _missing(root, absent, bool(clips), strict)
    return CORPUS.manifest(root, clips, labelling=labelling, notes=notes, strict=strict)


def _missing(root: Path, absent: list[str], has_clips: bool, strict: bool) -> tuple[str, ...]:
    """A note on utterances without a file; a UserError under `strict`, and where none has one."""
    if not absent:
        return ()
    utterances = f"{amount(len(absent), 'utterance')} of the tables"
    note = f"{utterances} {verb(len(absent), 'have')} no file, such as {absent[0]}"
    if not has_clips:
        raise UserError(
            f"{root}: {note}; unpack the archives of the parts beside the tables, in folders whose names begin with "
            "train, dev and test"
        )
    if strict:
        raise UserError(f"{note}; unpack the whole corpus, or leave out strict to read what is there")
    return (note,)


def _files(root: Path, part: str) -> dict[str, Path]:
    """The file of each utterance of a part, by its name without suffix: sound before video."""
    files: dict[str, Path] = {}
    for file in _below(root, part):
        name, suffix = file.stem.casefold(), file.suffix.casefold()
        if suffix in PREFERRED and (
            name not in files or PREFERRED.index(suffix) < PREFERRED.index(files[name].suffix.casefold())
        ):
            files[name] = file
    return files


def _below(root: Path, part: str) -> Iterator[Path]:
    """The audio files in and below the folders of a part."""
    for folder in sorted(child for child in root.iterdir() if child.is_dir() and not child.name.startswith(".")):
        if folder.name.casefold().startswith(PREFIXES[part]):
            yield from (Path(file) for file in audio_below(folder))


def _is_root(folder: Path) -> bool:
    return any((folder / table).is_file() for table in TABLES.values())


def _roots(path: Path) -> list[Path]:
    starts = tuple(start for names in PREFIXES.values() for start in names)
    return candidates(path, _is_root, lambda folder: folder.name.casefold().startswith(starts))


CORPUS = Corpus(
    name="meld",
    title="MELD",
    matches=matches,
    read=read,
    licence="GPL 3 for the annotations; the recordings are of a television series",
    speech="acted",
    collection="Dialogues of a television series, played by its actors; people labelled each utterance.",
    source="github.com/declare-lab/MELD",
    citation='Poria et al., "MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations", '
    "ACL 2019",
    language="English",
    official={
        "anger": 1607,
        "disgust": 361,
        "fear": 358,
        "joy": 2308,
        "neutrality": 6436,
        "sadness": 1002,
        "surprise": 1636,
    },
    genders={"unknown": 304},
    protocol="kfold:5",
    protocol_reason="five folds of whole speakers; the official parts share 69 speakers of train and test",
)
