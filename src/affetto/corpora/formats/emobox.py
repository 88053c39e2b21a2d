"""EmoBox's JSONL, and any other table of clips with one JSON object a line.

EmoBox (Ma et al., Interspeech 2024, github.com/emo-box/EmoBox) describes 32 corpora in lines such as

    {"key": "rab-f1-b1", "dataset": "emovo", "wav": "downloads/emovo/EMOVO/f1/rab-f1-b1.wav", "emo": "angry", …}

in one file per part (`…_train_…`, `…_test_…`). Codes of emotions are explained by `label_map.json` in the corpus's
folder. Its lines name no speakers, and many of its splits share speakers between the parts; so the speaker must come
from a further key (`spk`, `speaker`), from `speaker_pattern`, a regular expression with one group that is searched in
`key` (in the file where there is none), or from `speaker_table`, such as EmoBox's own `data.seg.wrd.stm`. Relative
files start in the JSONL's own folder, or in `audio_root`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from affetto.corpora.corpus import Corpus
from affetto.corpora.delimited import Table
from affetto.corpora.folders import existing, found_in, is_synthetic
from affetto.corpora.formats import tables
from affetto.corpora.formats.cells import COLUMNS, PART_ALIASES
from affetto.corpora.formats.rows import EXTRA, RowOptions, manifest_of, parse, rules_of
from affetto.corpora.formats.written_rows import Folds, columns_of, keys_of, parted, row_of, unheld
from affetto.corpora.manifest import Manifest
from affetto.errors import UserError

SUFFIX = ".jsonl"
TIMES = {"start_time": "start", "end_time": "end"}
"""Columns of a table by the keys that EmoBox has for them."""
CODES = ("label_map.json", "label_dict.json")
"""Files in which EmoBox explains the codes of a corpus's emotions."""
SHORT = {"train": "train", "validation": "valid", "test": "test"}
"""Word for each part in EmoBox's file names."""
_KNOWN = {alias for aliases in COLUMNS.values() for alias in aliases}


def matches(path: Path) -> bool:
    """True if `path` is a JSONL file, or a folder with some that are not AudioFolder's metadata."""
    return bool(_files(Path(path).expanduser()))


def read(
    path: Path,
    *,
    strict: bool = False,
    name: str = "emobox",
    **options: Unpack[RowOptions],
) -> Manifest:
    """The clips of a JSONL file, or of all in a folder, where a file's name holds its part."""
    path = existing(path, f"EmoBox's {SUFFIX}, or of its folder")
    files = _files(path)
    if not files:
        held = f"; it holds {found_in(path)}" if path.is_dir() else ""
        advice = f"give EmoBox's {SUFFIX}, or the folder of its parts"
        raise UserError(f"{path}: neither a {SUFFIX} file nor a folder of some{held}; {advice}")
    folder = path if path.is_dir() else path.parent
    rules = rules_of(folder, name, codes=codes_beside(folder), **options)
    parts = (parse(open_lines(file), rules, part=_part(file)) for file in files)
    return manifest_of(rules, parts, strict=strict, synthetic=is_synthetic(rules.root))


def write(manifest: Manifest, folder: Path, *, folds: Folds, copy: bool) -> tuple[str, ...]:
    """Write `<corpus>_<part>.jsonl` for each part, or all clips and `fold_1/<corpus>_<part>_fold_1.jsonl` and so on."""
    keys = keys_of(manifest)
    name = _plain_name(manifest.corpus)
    if not folds:
        for part, clips in parted(manifest).items():
            _write_lines(folder / f"{'_'.join(filter(None, (name, SHORT.get(part))))}{SUFFIX}", clips, keys)
        return unheld(manifest)
    plain = replace(manifest, clips=tuple(replace(clip, part=None) for clip in manifest.clips))
    _write_lines(folder / f"{name}{SUFFIX}", plain, keys)
    for number, parts in enumerate(folds.values(), start=1):
        fold = f"fold_{number}"
        (folder / fold).mkdir()
        used = tuple(replace(clip, part=parts[clip.id]) for clip in manifest.clips if clip.id in parts)
        for part, clips_of_part in parted(replace(manifest, clips=used)).items():
            _write_lines(folder / fold / f"{name}_{SHORT[part]}_{fold}{SUFFIX}", clips_of_part, keys)
    return unheld(manifest)


def _plain_name(corpus: str) -> str:
    """A name for files in which no word is a part."""
    return corpus if corpus and _part(Path(corpus)) is None and "/" not in corpus else CORPUS.name


def _write_lines(path: Path, manifest: Manifest, keys: Mapping[str, str]) -> None:
    columns = [column for column in columns_of(manifest) if column not in ("file", "emotion", "speaker", "split")]
    with open(path, "w", encoding="utf-8") as file:
        for clip in manifest.clips:
            row = row_of(clip)
            line: dict[str, object] = {
                "key": keys[clip.id],
                "dataset": manifest.corpus,
                "wav": row["file"],
                "type": "raw",
                "task": "category",
                "emo": row["emotion"],
                "spk": row["speaker"],
            }
            line |= {column: row.get(column, "") for column in columns}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def codes_beside(folder: Path) -> dict[str, str]:
    """Meaning of each code of an emotion by EmoBox's `label_map.json`, in the folder or the one around it."""
    files = (home / name for home in (folder, folder.parent) for name in CODES)
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return {}
    try:
        codes = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise UserError(f"{file} cannot be read ({problem}); mend it, or move it away") from None
    if not isinstance(codes, dict):
        raise UserError(f"{file} must hold one object of codes and their meanings; mend it, or move it away")
    return {str(code).casefold(): str(meaning) for code, meaning in codes.items()}


def open_lines(path: Path, columns: Sequence[str] = ()) -> Table:
    """EmoBox's lines as a table, with EmoBox's keys for the ends of a section; `columns` are kept too."""
    table = open_jsonl(path, (*TIMES, *columns))
    return replace(table, header=[TIMES.get(key, key) for key in table.header])


def open_jsonl(path: Path, columns: Sequence[str] = ()) -> Table:
    """A file of JSON objects as a table. Its columns are the known keys of the first object, and `columns`."""
    objects = _objects(path)
    first = next(objects, None)
    if first is None:
        raise UserError(f"{path}: an empty table; each line must hold an object with a file, an emotion and a speaker")
    header = [key for key in first[1] if key.casefold() in _KNOWN or key in columns or key.startswith(EXTRA)]
    return Table(path.name, header or list(first[1]), _rows(path, header))


def keys(path: Path) -> list[str]:
    """The keys of the first object of a file; [] where it has none."""
    return list(next(_objects(path), (0, dict[str, object]()))[1])


def _rows(path: Path, header: list[str]) -> Iterator[tuple[int, list[str]]]:
    for line, entry in _objects(path):
        yield line, ["" if (value := entry.get(key)) is None else str(value) for key in header]


def _objects(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            for line, text in enumerate(file, start=1):
                if text.strip():
                    yield line, _object(text, f"{path.name} line {line}")
    except OSError as problem:
        raise UserError(f"{path}: cannot be read ({problem.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise UserError(f"{path.name} is not UTF-8 text; save it as UTF-8") from None


def _object(text: str, where: str) -> dict[str, object]:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise UserError(f"{where} is no JSON ({problem}); each line must hold one object") from None
    if not isinstance(entry, dict):
        raise UserError(f"{where} is no object but {text.strip()[:40]!r}; each line must hold one object")
    return entry


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.casefold() == SUFFIX else []
    if not path.is_dir():
        return []
    return sorted(
        file
        for file in path.iterdir()
        if file.suffix.casefold() == SUFFIX and not file.name.startswith(".") and file.name != "metadata.jsonl"
    )


def _part(file: Path) -> str | None:
    words = file.stem.casefold().replace("-", "_").split("_")
    return next((PART_ALIASES[word] for word in words if word in PART_ALIASES), None)


CORPUS = Corpus(
    name="emobox",
    title="EmoBox (JSON Lines)",
    matches=matches,
    read=read,
    write=write,
    holds_folds=True,
    is_listing=True,
    options=tables.OPTIONS,
    source="github.com/emo-box/EmoBox",
    citation="Ma et al., Interspeech 2024",
    protocol_reason="`column` where the files' names tell train, validation and test, else `paper`",
    is_format=True,
    rank=4,
)
