"""audformat's databases, in files as the library audformat 1.4 writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.corpora.annotations import Range, Rating
from affetto.corpora.registry import open_corpus
from affetto.errors import UserError
from bombs import bomb

HEADER = """
name: emodb
license: CC0-1.0
raters:
  gold: {type: human}
  r1: {type: human}
  r2: {type: human}
schemes:
  arousal: {dtype: float, minimum: 1.0, maximum: 9.0}
  emotion: {dtype: str, labels: [anger, happiness]}
  speaker: {dtype: int, labels: people}
  transcription: {dtype: str, labels: {a01: Der Lappen liegt, a02: Das will sie}}
splits:
  dev: {type: dev}
  train: {type: train}
tables:
  emotion.train:
    type: filewise
    split_id: train
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
      emotion.confidence: {}
      vote1: {scheme_id: emotion, rater_id: r1}
      level: {scheme_id: arousal, rater_id: r1}
      vote2: {scheme_id: emotion, rater_id: r2}
  emotion.dev:
    type: segmented
    split_id: dev
    columns:
      emotion: {scheme_id: emotion, rater_id: gold}
  files:
    type: filewise
    columns:
      duration: {}
      speaker: {scheme_id: speaker}
      transcription: {scheme_id: transcription}
misc_tables:
  people:
    levels: {id: int}
    columns:
      gender: {}
"""
TRAIN = "file,emotion,emotion.confidence,vote1,level,vote2\nwav/a.wav,anger,0.5,anger,2.5,happiness\n"
DEV = """file,start,end,emotion
wav/b.wav,0 days 00:00:00.500000000,0 days 00:00:01.250000000,happiness
wav/c.wav,0 days,NaT,anger
"""
FILES = "file,duration,speaker,transcription\nwav/a.wav,,3,a01\nwav/b.wav,,8,a02\nwav/c.wav,,8,a01\n"
PEOPLE = "id,gender\n3,male\n8,female\n"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    folder = tmp_path / "german"
    folder.mkdir()
    (folder / "db.yaml").write_text(HEADER)
    for name, text in {"emotion.train": TRAIN, "emotion.dev": DEV, "files": FILES, "people": PEOPLE}.items():
        (folder / f"db.{name}.csv").write_text(text)
    return folder


def test_tables_schemes_and_raters_become_clips(database: Path) -> None:
    manifest = open_corpus(None, database)
    voted, section, whole = manifest.clips
    assert (voted.file, voted.emotion, voted.speaker, voted.gender, voted.part) == (
        "wav/a.wav",
        "anger",
        "3",
        "male",
        "train",
    )
    assert (voted.prompt, voted.sentence) == ("a01", "Der Lappen liegt")
    assert voted.ratings == (Rating("r1", ("anger",), (("arousal", 2.5),)), Rating("r2", ("joy",)))
    assert voted.dimensions == (("arousal", 2.5),) and manifest.dimensions == {"arousal": Range(1, 9)}
    assert (section.start, section.end, section.speaker, section.part) == (0.5, 1.25, "8", "validation")
    assert (whole.start, whole.end, whole.gender) == (None, None, "female")
    assert manifest.licence == "CC0-1.0" and manifest.corpus == "german"


def test_tables_that_disagree_are_named(database: Path) -> None:
    header = HEADER.replace(
        "  files:\n", "  other:\n    type: filewise\n    columns:\n      emotion: {scheme_id: emotion}\n  files:\n"
    )
    (database / "db.yaml").write_text(header)
    (database / "db.other.csv").write_text("file,emotion\nwav/a.wav,happiness\n")
    with pytest.raises(
        UserError, match=r"wav/a\.wav: the table other says happiness, another one anger; name the tables"
    ):
        open_corpus(None, database)
    (clip,) = open_corpus(None, database, options={"table_names": "other"}).clips
    assert (clip.emotion, clip.speaker, clip.part) == ("joy", "3", None)
    with pytest.raises(UserError, match="has no table more"):
        open_corpus(None, database, options={"table_names": "more"})


def test_what_cannot_be_read_is_named(database: Path) -> None:
    (database / "db.emotion.train.csv").rename(database / "db.emotion.train.pkl")
    with pytest.raises(UserError, match="is pickled, and nothing is unpickled here"):
        open_corpus(None, database)
    (database / "db.emotion.train.pkl").unlink()
    with pytest.raises(UserError, match=r"the table db\.emotion\.train\.csv is not there"):
        open_corpus(None, database)
    (database / "db.yaml").write_text("tables: {files: {type: filewise, columns: {speaker: {}}}}")
    with pytest.raises(UserError, match="no table has a column of emotions"):
        open_corpus(None, database)
    (database / "db.yaml").write_text("name: [")
    with pytest.raises(UserError, match="no header of audformat's that can be read"):
        open_corpus(None, database)
    (database / "db.yaml").write_text(bomb())
    with pytest.raises(UserError, match=r"no header of audformat's that can be read \(more than .* aliases"):
        open_corpus(None, database)


def test_parquet_tables_are_read_as_csv_is(database: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    import pyarrow.parquet

    times = {"start": [500_000_000, 0], "end": [1_250_000_000, None]}
    columns = {name: arrow.array(values, arrow.duration("ns")) for name, values in times.items()}
    emotions = arrow.array(["happiness", "anger"]).dictionary_encode()
    table = arrow.table({"file": ["wav/b.wav", "wav/c.wav"], **columns, "emotion": emotions})
    expected = open_corpus(None, database)
    (database / "db.emotion.dev.csv").unlink()
    pyarrow.parquet.write_table(table, database / "db.emotion.dev.parquet")
    assert open_corpus(None, database).clips == expected.clips
