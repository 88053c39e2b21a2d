"""Classes of labels beside the seven emotions: the user's map, then the rule of the corpus."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.corpora.corpus import Corpus
from affetto.corpora.labelling import Labelling
from affetto.corpora.labels import DROP, EMOTIONS, find_label
from affetto.corpora.manifest import Clip, Manifest
from affetto.corpora.registry import CORPORA, open_corpus
from affetto.errors import UserError

OTHER_LABELS = {"calm": DROP, "excitement": "joy", "contempt": "contempt"}
OFFICIAL = {"joy": 2, "calm": 3, "excitement": 1, "contempt": 1}


def labelling(**label_map: str) -> Labelling:
    labels = Labelling(other_labels=OTHER_LABELS, label_map=label_map)
    for code in ("hap", "hap", "calm", "exc", "contempt"):
        labels.emotion(code, "x", code=code)
    return labels


def test_the_rule_of_the_corpus_maps_drops_or_keeps_a_label() -> None:
    labels = labelling()
    assert [labels.target(label) for label in ("calm", "exc", "contempt", "happy")] == [None, "joy", "contempt", "joy"]
    assert labels.counts == {"joy": 2, "calm": 1, "excitement": 1, "contempt": 1}
    assert {change.label: change.to_json() for change in labels.relabelled} == {
        "calm": {"clips": 1, "by": "corpus"},
        "excitement": {"clips": 1, "by": "corpus", "to": "joy"},
    }
    assert labels.notes("a convention") == (
        "1 clip of excitement counts as joy; 1 clip of calm is left out (a convention); --keep-other makes each a "
        "class of its own, --label calm=EMOTION maps one of them",
    )
    with pytest.raises(UserError, match="unknown emotion 'zeal' in x"):
        labels.emotion("zeal", "x")


def test_labels_of_one_fate_and_their_reason_are_one_note() -> None:
    labels = Labelling(other_labels={"calm": DROP, "tired": DROP, "zeal": DROP})
    for label in ("calm", "calm", "tired", "zeal"):
        labels.emotion(label, "x")
    (note,) = labels.notes("none of the seven")
    assert note.startswith(
        "2 clips of calm, 1 of tired and 1 of zeal are left out (none of the seven); --keep-other makes"
    )
    assert Labelling().notes("none of the seven") == ()
    labels = Labelling(other_labels={"calm": DROP})
    labels.emotion("calm", "x")
    (note,) = labels.notes("")
    assert note == (
        "1 clip of calm is left out; --keep-other makes calm a class of its own, --label calm=EMOTION maps it"
    )


@pytest.mark.parametrize("name", ["exc", "excitement", "excited"])
def test_the_user_s_map_comes_first_by_any_name_of_a_label(name: str) -> None:
    labels = labelling(**{"excitement": "excitement", name: "surprise"})
    assert labels.target("exc", code="exc") == "surprise"
    assert [(c.target, c.by_user) for c in labels.relabelled if c.label == "excitement"] == [("surprise", True)]
    assert [note for note in labels.notes("") if "excitement" in note] == [
        "1 clip of excitement counts as surprise, by --label"
    ]


def test_a_map_of_a_class_holds_for_labels_that_are_joined_to_it() -> None:
    assert labelling(joy="good").target("exc") == "good"


def test_a_rater_s_answer_may_be_no_label() -> None:
    labels = labelling(hum="joy")
    answers = ("Happiness", "calm", "hum", "Other-confused", "")
    assert [labels.answer(words) for words in answers] == ["joy", None, "joy", None, None]
    assert labels.counts["calm"] == 1


def test_official_counts_follow_the_rule() -> None:
    assert labelling().official(OFFICIAL) == {"joy": 2, "excitement": 1, "contempt": 1}
    assert labelling().official_classes(OFFICIAL) == {"joy": 3, "contempt": 1}
    assert labelling(calm="calm").official_classes(OFFICIAL) == {"joy": 3, "calm": 3, "contempt": 1}
    assert labelling(joy="good").official_classes({"joy": 2}) == {"joy": 2}
    assert "calm" not in labelling().compared()


def read(path: Path, *, label_map: dict[str, str] | None = None, strict: bool = False) -> Manifest:
    labels = CORPUS.labelling(label_map)
    codes = ("hap", "hap", "calm", "calm", "calm", "exc", "contempt")
    emotions = (labels.emotion(code, "x", code=code) for code in codes)
    clips = [Clip(str(number), emotion, "s") for number, emotion in enumerate(emotions) if emotion]
    return CORPUS.manifest(path, clips, labelling=labels, strict=strict)


CORPUS = Corpus(
    name="toy", title="Toy", matches=lambda _: True, read=read, official=OFFICIAL, other_labels=OTHER_LABELS
)


@pytest.mark.parametrize(
    ("keep_other", "label_map", "labels"),
    [
        (False, {}, ("joy", "contempt")),
        (True, {}, ("joy", "calm", "contempt", "excitement")),
        (True, {"excited": "joy", "calm": "drop"}, ("joy", "contempt")),
    ],
)
def test_keep_other_makes_classes_where_the_user_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep_other: bool, label_map: dict[str, str], labels: tuple[str]
) -> None:
    monkeypatch.setattr("affetto.corpora.registry.CORPORA", {"toy": CORPUS})
    manifest = open_corpus("toy", tmp_path, keep_other=keep_other, label_map=label_map, strict=True)
    assert manifest.labels == labels
    assert CORPUS.labels == ("joy", "contempt") and CORPUS.clips == 4


@pytest.mark.parametrize("keep_other", [False, True])
def test_entries_of_the_user_s_map_that_do_nothing_or_were_mistyped_are_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep_other: bool
) -> None:
    monkeypatch.setattr("affetto.corpora.registry.CORPORA", {"toy": CORPUS})
    asked = {"clam": "neutrality", "zeal": "joy", "happy": "joi", "contempt": "drop"}
    notes = open_corpus("toy", tmp_path, keep_other=keep_other, label_map=asked).notes
    assert [note for note in notes if "--label" in note and "--keep-other" not in note] == [
        "2 clips of joy count as joi; 1 clip of contempt is left out, by --label",
        "--label happy=joi makes 'joi' a class of its own: did you mean 'joy'?",
        "--label has no effect on 'clam' (did you mean 'calm'?), 'zeal': no clip of toy has such a label",
    ]


def test_a_table_s_label_that_no_line_has_is_noted(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("file,emotion,speaker\na.wav,bored,1\nb.wav,joy,2\n", encoding="utf-8")
    notes = open_corpus(None, table, label_map={"bored": "neutrality", "nope": "joy"}).notes
    assert [note for note in notes if "--label" in note] == [
        "--label has no effect on 'nope': no clip of clips has such a label"
    ]


def test_keep_other_holds_for_the_user_s_tables(tmp_path: Path) -> None:
    table = tmp_path / "clips.csv"
    table.write_text("file,emotion,speaker\na.wav,bored,1\nb.wav,joy,2\n", encoding="utf-8")
    assert open_corpus(None, table, keep_other=True).labels == ("joy", "boredom")
    with pytest.raises(UserError, match=r"unknown emotion 'bored'.* --keep-other makes it a class of its own"):
        open_corpus(None, table)


@pytest.mark.parametrize("corpus", CORPORA.values(), ids=lambda corpus: corpus.name)
def test_records_name_their_other_labels_as_readers_do(corpus: Corpus) -> None:
    for label, target in corpus.other_labels.items():
        assert find_label(label) in (label, None)
        assert target in (*EMOTIONS, DROP, label)
        assert corpus.other_labels_reason
