"""lhotse's manifests (Żelasko et al., 2021): recordings and supervisions, or cuts, as JSON Lines, gzipped or plain.

    recordings.jsonl.gz     {"id", "sources": [{"type": "file", "source": PATH}], "sampling_rate", "duration", …}
    supervisions.jsonl.gz   {"id", "recording_id", "start", "duration", "speaker", "gender", "text", "custom": {…}}
    cuts.jsonl.gz           {"id", "start", "duration", "recording": {…}, "supervisions": [{…}]}

A supervision is a clip. lhotse has no field for an emotion: it stands in `custom`, under `emotion`, `label` or `emo`,
and so do ratings, dimensions and all other columns of a table (`cells.COLUMNS`). A part in a file's name
(`cats_supervisions_train.jsonl.gz`) is the part of its clips. A supervision that covers its whole recording is a clip
without a section. Paths start in the manifest's folder, if a file is there, else where affetto is started, which is
lhotse's rule.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO, Unpack

from affetto import audio
from affetto.corpora.corpus import Corpus
from affetto.corpora.delimited import Table
from affetto.corpora.folders import existing, is_synthetic, visible
from affetto.corpora.formats import cells, tables
from affetto.corpora.formats.rows import EXTRA, RowOptions, manifest_of, parse, rules_of
from affetto.corpora.formats.written_rows import WORDS, Folds, columns_of, keys_of, row_of, unheld
from affetto.corpora.manifest import Clip, Manifest
from affetto.errors import UserError

SUFFIXES = (".jsonl", ".jsonl.gz")
KINDS = ("recordings", "supervisions", "cuts")
WHOLE_SECONDS = 0.002
"""A supervision that lacks no more than this of its recording covers it: lengths are rounded to milliseconds."""
NATIVE = {"sentence": "text", "speaker": "speaker", "gender": "gender"}
"""Fields of a supervision by the columns that they are."""


@dataclass(frozen=True)
class Source:
    """The file of a recording, and its length."""

    file: str
    seconds: float


def matches(path: Path) -> bool:
    """True for a file of cuts or supervisions, or a folder that holds them."""
    path = Path(path).expanduser()
    with suppress(OSError, UserError):
        return any(_kind(file) in ("supervisions", "cuts") for file in _files(path))
    return False


def read(
    path: Path,
    *,
    strict: bool = False,
    name: str = "lhotse",
    **options: Unpack[RowOptions],
) -> Manifest:
    """The clips of all supervisions. Raises UserError."""
    path = Path(path).expanduser().resolve()
    path = path if path.is_file() else existing(path, "lhotse's manifests")
    folder = path if path.is_dir() else path.parent
    files = [file for file in _files(path) if _kind(file) != "recordings"]
    # Cuts hold their supervisions: the same ones may lie beside them.
    files = [file for file in files if _kind(file) == "cuts"] or files
    if not files:
        raise UserError(f"{path}: no manifest of supervisions or cuts here ({' or '.join(SUFFIXES)}); give its folder")
    sources = {} if _kind(files[0]) == "cuts" else _sources(folder)
    rules = rules_of(folder, name, **options)
    parts = (parse(_table(file, sources, rules.root), rules, part=_part(file)) for file in files)
    return manifest_of(rules, parts, strict=strict, synthetic=is_synthetic(folder))


def write(manifest: Manifest, folder: Path, *, folds: Folds, copy: bool) -> tuple[str, ...]:
    """Write `recordings.jsonl.gz` and `supervisions.jsonl.gz`; UserError for a recording whose length is not known."""
    keys = keys_of(manifest)
    columns = columns_of(manifest)
    recordings: dict[str, dict[str, Any]] = {}
    with _opened(folder / "supervisions.jsonl.gz", "wt") as file:
        for clip in manifest.clips:
            recording = recordings.get(clip.file) or _recording(manifest.path(clip), clip.file, f"r{len(recordings)}")
            recordings[clip.file] = recording
            file.write(json.dumps(_supervision(clip, keys[clip.id], recording, columns), ensure_ascii=False) + "\n")
    with _opened(folder / "recordings.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(recording, ensure_ascii=False) + "\n" for recording in recordings.values())
    return unheld(manifest)


def _recording(path: Path, file: str, key: str) -> dict[str, Any]:
    try:
        recording = audio.open_recording(path)
    except audio.AudioError as problem:
        raise UserError(f"{problem}; lhotse lists the length of every recording, so each must be there") from None
    samples = round(recording.seconds * recording.rate_hz)
    return {
        "id": key,
        "sources": [{"type": "file", "channels": list(range(recording.channels)), "source": file}],
        "sampling_rate": recording.rate_hz,
        "num_samples": samples,
        "duration": samples / recording.rate_hz,
        "channel_ids": list(range(recording.channels)),
    }


def _supervision(clip: Clip, key: str, recording: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    row = row_of(clip)
    own = [column for column in columns if column not in ("file", *NATIVE)]
    custom: dict[str, Any] = {column: row[column] for column in own if row.get(column)}
    custom |= {column: "" for column in WORDS if column in columns and not row[column]}
    # What a section's ends are when they are told by a start and a duration depends on rounding.
    custom |= {"start": clip.start, "end": clip.end} if clip.start is not None or clip.end is not None else {}
    custom |= dict(clip.dimensions)
    start = clip.start or 0.0
    return {
        "id": key,
        "recording_id": recording["id"],
        "start": start,
        "duration": (recording["duration"] if clip.end is None else clip.end) - start,
        "channel": recording["channel_ids"] if len(recording["channel_ids"]) > 1 else 0,
        **{field: row[column] for column, field in NATIVE.items() if row[column]},
        "custom": custom,
    }


# -- manifests as a table ------------------------------------------------------------------------------------------


def _files(path: Path) -> list[Path]:
    files = visible(path) if path.is_dir() else [path]
    return [file for file in files if file.is_file() and file.name.casefold().endswith(SUFFIXES) and _kind(file)]


def _kind(file: Path) -> str | None:
    """The kind of a manifest by its name, else by the keys of its first line."""
    kind = next((kind for kind in KINDS if kind in file.name.casefold()), None)
    if kind or not file.name.casefold().endswith(SUFFIXES):
        return kind
    first = next(_objects(file), (0, {}))[1]
    return "supervisions" if "recording_id" in first else "cuts" if "supervisions" in first else None


def _part(file: Path) -> str | None:
    words = file.name.casefold().replace("-", "_").replace(".", "_").split("_")
    return next((cells.PART_ALIASES[word] for word in words if word in cells.PART_ALIASES), None)


def _opened(path: Path, mode: Literal["rt", "wt"]) -> TextIO:
    if path.name.casefold().endswith(".gz"):
        return gzip.open(path, mode, encoding="utf-8")
    return open(path, mode, encoding="utf-8")


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with _opened(path, "rt") as file:
            for line, text in enumerate(file, start=1):
                if text.strip():
                    entry = json.loads(text)
                    if not isinstance(entry, dict):
                        raise UserError(f"{path.name} line {line} is no object; each line must hold one")
                    yield line, entry
    except (OSError, EOFError, ValueError, RecursionError) as problem:
        raise UserError(f"{path}: no JSON Lines that can be read ({problem}); copy or make it again") from None


def _sources(folder: Path) -> dict[str, Source]:
    """The file and the length of each recording, by its id."""
    files = [file for file in _files(folder) if _kind(file) == "recordings"]
    if not files:
        raise UserError(f"{folder}: the supervisions have no recordings beside them; put recordings.jsonl.gz there")
    return {
        str(entry.get("id")): _source(entry, f"{file.name} line {n}") for file in files for n, entry in _objects(file)
    }


def _source(recording: Mapping[str, Any], where: str) -> Source:
    sources = recording.get("sources") or [{}]
    if len(sources) != 1 or sources[0].get("type") != "file":
        kinds = ", ".join(str(source.get("type")) for source in sources)
        raise UserError(f"{where}: a recording must be one file, not {kinds}; store it as a file with lhotse first")
    return Source(str(sources[0]["source"]), float(recording.get("duration") or 0.0))


def _table(file: Path, sources: Mapping[str, Source], root: Path) -> Table:
    """The supervisions of a manifest as a table, with the columns that any of them fills."""
    header = list(dict.fromkeys(column for _, row in _rows(file, sources, root) for column in row))
    rows = ((line, [row.get(column, "") for column in header]) for line, row in _rows(file, sources, root))
    return Table(file.name, header or ["file"], rows)


def _rows(file: Path, sources: Mapping[str, Source], root: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for line, entry in _objects(file):
        where = f"{file.name} line {line}"
        if "tracks" in entry:
            raise UserError(f"{where} is a mixture of cuts, which are no clips; give cuts of one recording each")
        if "supervisions" in entry:
            source = _source(entry.get("recording") or {}, where)
            offset = float(entry.get("start") or 0.0)
            supervisions = entry["supervisions"]
        else:
            if str(entry.get("recording_id")) not in sources:
                raise UserError(
                    f"{where}: no recording {entry.get('recording_id')!r} is listed; add it, or mend the id"
                )
            source, offset, supervisions = sources[str(entry["recording_id"])], 0.0, [entry]
        for supervision in supervisions:
            yield line, _row(supervision, source, offset, root)


def _row(supervision: Mapping[str, Any], source: Source, offset: float, root: Path) -> dict[str, str]:
    custom = supervision.get("custom") or {}
    start = offset + float(supervision.get("start") or 0.0)
    seconds = float(supervision.get("duration") or 0.0)
    is_whole = start <= WHOLE_SECONDS and start + seconds >= source.seconds - WHOLE_SECONDS
    section: dict[str, Any] = {} if is_whole else {"start": start, "end": start + seconds}
    fields = {column: supervision.get(field) for column, field in NATIVE.items()}
    row = {**fields, **section, **{key: value for key, value in custom.items() if _is_column(key)}}
    return {"file": _file(source.file, root), **{key: _text(value) for key, value in row.items() if value is not None}}


def _file(file: str, root: Path) -> str:
    path = Path(file)
    if not path.is_absolute() and not (root / path).exists() and path.exists():
        return str(path.resolve())
    return file


_COLUMNS = {alias for column, aliases in cells.COLUMNS.items() if column != "file" for alias in aliases}


def _is_column(key: str) -> bool:
    return key.casefold() in _COLUMNS or key.startswith(EXTRA)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


CORPUS = Corpus(
    name="lhotse",
    title="lhotse (recordings, supervisions, cuts)",
    matches=matches,
    read=read,
    write=write,
    options=tables.OPTIONS,
    source="github.com/lhotse-speech/lhotse",
    citation="Żelasko et al., 2021",
    protocol_reason="`column` where the files' names or `custom` tell each clip's part, else `paper`",
    is_format=True,
    rank=3,
)
