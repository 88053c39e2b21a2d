"""Emozionalmente, crowd-sourced acted Italian emotional speech, with human raters.

431 amateurs (299 women, 131 men, 1 other) spoke 18 sentences in seven emotional states at home: 6,902 clips, 986 an
emotion, 6.3 hours, each then labelled by five raters, who recognise 66.4 % of what was meant (Catania, Wilke and
Garzotto, IEEE Transactions on Audio, Speech and Language Processing 2025). Most clips have 16 kHz, 150 have 44.1.
CC BY 4.0: version 1.0 is zenodo.org/records/6569824, version 1.1 is zenodo.org/records/12616095.

    emozionalmente_dataset/ (1.0) or emozionalmente/ (1.1)
      audio/<file_name>
      metadata/samples.csv         file_name,sentence,sentence_language,actor,emotion_expressed
      metadata/users.csv           username,gender,age,mother_tongue         actors and raters
      metadata/evaluations.csv     file_name,evaluator,audio_quality,emotion_recognized
      metadata/split/{train,dev,test}.csv      1.1 only: the official split, by file_name

The actor is the speaker, the sentence is the prompt. `raters` (the labels that the raters gave, joined by `|`) and
`raters_agree` (how many of them gave the intended one) stand in the clip's extras.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from affetto.corpora.formats.cells import PART_ALIASES, gender, shown, speaker
from affetto.corpora.formats.folders import candidates, compare_counts, is_synthetic, only_root, passed_over, visible
from affetto.corpora.formats.tables import open_table
from affetto.corpora.labels import EMOTIONS, canonical, known
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.names import unified
from affetto.errors import UserError

NAME = "emozionalmente"
LICENCE = "CC BY 4.0 (Catania, Wilke and Garzotto 2025, zenodo.org/records/12616095)"
OFFICIAL = dict.fromkeys(EMOTIONS, 986)
OFFICIAL_SPEAKERS = 431
SAMPLES = "metadata/samples.csv"
_SAMPLES_COLUMNS = ("file_name", "sentence", "actor", "emotion_expressed")
_LOOKED_FOR = f"{SAMPLES}, beside audio/"
_INNER = ("audio", "metadata")


def matches(path: Path) -> bool:
    """Whether the folder, the one around it or one inside it holds `metadata/samples.csv`."""
    return bool(_roots(_folder(path)))


def read(path: Path, *, label_map: dict[str, str] | None = None, strict: bool = False) -> Manifest:
    """The clips of samples.csv, whether or not their audio is there: that is a note, and an error once it is heard."""
    path = _folder(path)
    root, notes = only_root(path, "Emozionalmente", _LOOKED_FOR, _roots(path))
    synthetic = is_synthetic(root)
    genders, raters, parts = _genders(root), _raters(root, label_map), _parts(root)
    for table, found in (("users.csv", genders), ("evaluations.csv", raters)):
        if not found:
            notes += (_without(root, table, strict),)
    there = {file.name for file in visible(root / "audio")} if (root / "audio").is_dir() else set()
    clips: list[Clip] = []
    count: Counter[str] = Counter()
    listed: dict[str, int] = {}
    for line, (file, sentence, actor, intended) in _columns(root / SAMPLES, _SAMPLES_COLUMNS):
        where = f"samples.csv line {line}"
        if listed.setdefault(file, line) != line:
            raise UserError(f"{where} lists {file} again (first: line {listed[file]}); get the table again")
        if not file or Path(file).name != file:
            raise UserError(f"{where}: {file!r} names no file directly in audio/; get the table again from its source")
        actor = speaker(actor, where)
        emotion = canonical(intended, where=where, label_map=label_map)
        label = known(intended) or emotion  # what was meant, whatever the user's map makes of it
        if label is not None:
            count[label] += 1
        if emotion is not None:
            extra = _extra(raters.get(file, []), label)
            clips.append(
                Clip(
                    file=f"audio/{file}",
                    emotion=emotion,
                    speaker=actor,
                    corpus=NAME,
                    gender=genders.get(actor),
                    prompt=sentence,
                    part=parts.get(file),
                    extra=extra,
                    sentence=sentence,
                )
            )
    if not listed:
        raise UserError(f"{root / SAMPLES} lists no clips: below its header stands nothing; get the file again")
    missing = sum(file not in there for file in listed)
    if missing:
        said = f"{missing} of the {len(listed)} clips that samples.csv lists are not in {root / 'audio'}"
        if strict:
            raise UserError(f"{said}; unpack the whole corpus, or leave out strict to read what is there")
        notes += (said,)
    notes += passed_over(root, {f"audio/{file}" for file in listed}, "any line of metadata/samples.csv")
    if not synthetic:
        notes += compare_counts("Emozionalmente", count, OFFICIAL, strict=strict)
    licence = f"synthetic, not the corpus (whose licence is {LICENCE})" if synthetic else LICENCE
    return Manifest(NAME, root, tuple(clips), synthetic, licence, dict(OFFICIAL), notes)


def human_recall(manifest: Manifest) -> dict[str, float]:
    """Per emotion, the share of all ratings that name what was intended; {} where no rater is known."""
    agree: Counter[str] = Counter()
    ratings: Counter[str] = Counter()
    for clip in manifest.clips:
        known = dict(clip.extra)
        if "raters" in known:
            agree[clip.emotion] += int(known["raters_agree"])
            ratings[clip.emotion] += known["raters"].count("|") + 1
    return {label: agree[label] / ratings[label] for label in manifest.labels if ratings[label]}


def human_uar(manifest: Manifest) -> float | None:
    """The raters' unweighted average recall, which is to be shown beside a model's; None where no rater is known."""
    recall = human_recall(manifest)
    return sum(recall.values()) / len(recall) if recall else None


def _is_root(folder: Path) -> bool:
    return (folder / SAMPLES).is_file()


def _folder(path: Path) -> Path:
    """The corpus's folder where `path` is its samples.csv, which reads as a table of one's own but is none."""
    path = Path(path).expanduser().resolve()
    return path.parent.parent if path.parts[-2:] == tuple(SAMPLES.split("/")) else path


def _roots(path: Path) -> list[Path]:
    return candidates(path, _is_root, lambda folder: folder.name.casefold() in _INNER)


def _columns(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The named columns of a table, row by row with the line."""
    table = open_table(path, such_as=",".join(columns))
    missing = [column for column in columns if column not in table.header]
    if missing:
        raise UserError(
            f"{path} has no column {', '.join(missing)}; found: {shown(table.header)}; "
            f"expected: {', '.join(columns)}. Get the file again from its source"
        )
    places = [table.header.index(column) for column in columns]
    for line, row in table.rows:
        yield line, [row[place].strip() for place in places]


def _genders(root: Path) -> dict[str, str | None]:
    table = root / "metadata/users.csv"
    if not table.is_file():
        return {}
    rows = _columns(table, ("username", "gender"))
    return {unified(user): gender(cell, f"users.csv line {line}") for line, (user, cell) in rows}


def _raters(root: Path, label_map: dict[str, str] | None) -> dict[str, list[str]]:
    """The canonical labels that a clip's raters gave it, in the table's order."""
    table = root / "metadata/evaluations.csv"
    raters: dict[str, list[str]] = {}
    if table.is_file():
        for line, (file, heard) in _columns(table, ("file_name", "emotion_recognized")):
            where = f"evaluations.csv line {line}"
            label = known(heard) or canonical(heard, where=where, label_map=label_map)
            raters.setdefault(file, []).append(label or "")
    return raters


def _parts(root: Path) -> dict[str, str]:
    """The official split of version 1.1, by file name; {} where there is none."""
    parts: dict[str, str] = {}
    for name in ("train", "dev", "test"):
        table = root / f"metadata/split/{name}.csv"
        if table.is_file():
            for line, (file,) in _columns(table, ("file_name",)):
                part = PART_ALIASES[name]
                if parts.setdefault(file, part) != part:
                    raise UserError(
                        f"split/{name}.csv line {line}: {file} is in {parts[file]} too; get the tables again"
                    )
    return parts


def _extra(heard: list[str], intended: str | None) -> tuple[tuple[str, str], ...]:
    if not heard:
        return ()
    return (("raters", "|".join(heard)), ("raters_agree", str(heard.count(intended or ""))))


def _without(root: Path, table: str, strict: bool) -> str:
    unknown = {"users.csv": "the speakers' genders", "evaluations.csv": "the raters"}[table]
    said = f"{root / 'metadata' / table} is not there or empty: {unknown} are not known"
    if strict:
        raise UserError(f"{said}; get the file from its source")
    return said
