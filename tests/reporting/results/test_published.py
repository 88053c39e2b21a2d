"""Tables of published numbers: what is read, and what is refused by its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from affetto.errors import UserError
from affetto.reporting.results.published import PublishedScore, of_corpora, read_published

HEADER = "system,corpus,protocol,measure,value,unit,low,high,sd,clips,speakers,labels,source,differs"
LINE = "wav2vec2,EMOVO,loso,uar,57.8,percent,50,60,1.5,588,6,7,Ma et al. 2024,a head"


def read(folder: Path, *lines: str, header: str = HEADER):
    file = folder / "published.csv"
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return read_published(file)


def test_lines_of_one_system_are_joined_and_units_are_one(tmp_path: Path) -> None:
    (system,) = read(tmp_path, LINE, "", LINE.replace("uar,57.8,percent,50,60,1.5", "macro_f1,0.56,fraction,,,"))
    assert (system.corpus, system.protocol, system.facts) == ("emovo", "loso", (588, 6, 7))
    assert system.scores["macro_f1"] == PublishedScore(value=0.56)
    score = system.scores["uar"]
    assert [score.value, score.low, score.high, score.deviation] == pytest.approx([0.578, 0.5, 0.6, 0.015])


def test_labels_are_a_number_or_names(tmp_path: Path) -> None:
    numbered, named = read(tmp_path, LINE, LINE.replace(",7,", ",anger joy,"))
    assert (numbered.labels, numbered.classes) == ((), 7)
    assert (named.labels, named.classes) == (("anger", "joy"), 2)

    (unstated,) = read(tmp_path, LINE.replace("588,6,7", ",,"))
    assert unstated.facts == (None, None, None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("wav2vec2", "wavlm"),
        ("EMOVO", "SAVEE"),
        ("loso", "kfold:5"),
        ("Ma et al. 2024", "Ma et al. 2025"),
        ("a head", "two heads"),
        ("588", "587"),
        (",6,7,", ",5,7,"),
        (",7,", ",8,"),
        (",7,", ",anger joy,"),
    ],
)
def test_lines_that_differ_in_more_than_their_measure_are_of_two_systems(
    tmp_path: Path, before: str, after: str
) -> None:
    first, second = read(tmp_path, LINE, LINE.replace(before, after).replace("57.8", "59"))
    assert (first.scores["uar"].value, second.scores["uar"].value) == pytest.approx((0.578, 0.59))
    labelled = [LINE.replace(",7,", f",{labels},") for labels in ("anger joy", "anger sadness")]
    assert len(read(tmp_path, *labelled)) == 2


def test_capitals_and_blanks_do_not_matter_and_corpora_go_by_their_titles(tmp_path: Path) -> None:
    header = HEADER.replace("system,corpus", "System , CORPUS")
    line = LINE.replace("EMOVO", " crema-d ").replace("uar,57.8,percent", " UAR ,57.8,Percent")
    (system,) = read(tmp_path, line, "," * HEADER.count(","), header=header)
    assert (system.corpus, system.scores["uar"].value) == ("cremad", pytest.approx(0.578))
    (system,) = read(tmp_path, LINE.replace("EMOVO", "CREMAD"))
    assert system.corpus == "cremad"


def test_a_deviation_is_in_the_unit_of_its_value_and_nought_is_a_score(tmp_path: Path) -> None:
    (system,) = read(tmp_path, LINE.replace("57.8,percent,50,60,1.5", "0.578,fraction,0.5,0.6,0.015"))
    assert system.scores["uar"] == PublishedScore(value=0.578, low=0.5, high=0.6, deviation=0.015)
    (system,) = read(tmp_path, LINE.replace("57.8,percent,50,60", "0,percent,,"))
    assert system.scores["uar"].value == 0.0


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("uar", "log_loss", "unknown measure on published.csv line 2 'log_loss'"),
        ("uar", "wa", "unknown measure on published.csv line 2 'wa'"),
        ("percent", "fraction", "line 2 has the value 57.8 in the unit fraction: UAR goes from 0 to 1"),
        ("57.8", "157.8", "line 2 has the value 157.8 in the unit percent"),
        ("57.8", "0.578", "give the unit fraction"),
        (",57.8,percent,50,60,", ",1,percent,,,", "line 2 has a value of 1 per cent: give the unit fraction"),
        ("57.8", "-1", "UAR goes from 0 to 100"),
        ("57.8", "nan", "UAR goes from 0 to 100"),
        ("57.8", "58 %", "line 2 has the value '58 %': write a number such as 57.8"),
        ("percent", "points", "unknown unit on published.csv line 2 'points'"),
        ("Ma et al. 2024", "", "line 2 has no source: a number without a source is not shown"),
        ("loso", "", "line 2 has no protocol"),
        (",50,60,", ",58,60,", "outside its interval, 58 to 60"),
        (",50,60,", ",50,55,", "outside its interval, 50 to 55"),
        (",50,60,", ",,60,", "one end of an interval"),
        (",60,1.5,", ",60,-1.5,", "line 2 has the sd -1.5 in the unit percent"),
        (",50,60,", ",50,,", "one end of an interval"),
        ("588", "many", "line 2 has 'many' clips: write a whole number above 0"),
        ("588", "0", "line 2 has '0' clips"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, before: str, after: str, message: str) -> None:
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        read(tmp_path, LINE.replace(before, after))


def test_a_second_value_of_one_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 3 has a second uar of 'wav2vec2'"):
        read(tmp_path, LINE, LINE.replace("57.8", "59.9"))


def test_columns_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no column source"):
        read(tmp_path, LINE, header=HEADER.replace(",source", ""))
    with pytest.raises(UserError, match=r"published\.csv 'speaker': did you mean 'speakers'"):
        read(tmp_path, LINE, header=HEADER.replace("speakers", "speaker"))
    with pytest.raises(UserError, match="more than one column value: leave one"):
        read(tmp_path, LINE + ",58.9", header=HEADER + ",Value")
    with pytest.raises(UserError, match="no line below its header"):
        read(tmp_path)


def test_corpora_without_a_run_are_left_out_with_a_note(tmp_path: Path) -> None:
    others = [LINE.replace("EMOVO", "MSP-Podcast").replace("loso", protocol) for protocol in ("loso", "kfold:5")]
    systems = read(tmp_path, LINE, *others)
    matched, notes = of_corpora(systems, {"emovo", "demos"}, tmp_path / "published.csv")
    assert [system.corpus for system in matched] == ["emovo"]
    assert len(notes) == 1 and "published.csv: no finished run of classes was tested on" in notes[0]
    assert "demos, emovo" in notes[0]


def test_a_corpus_of_the_user_s_goes_by_the_name_of_its_run(tmp_path: Path) -> None:
    matched, notes = of_corpora(read(tmp_path, LINE.replace("EMOVO", "call centre")), {"Call Centre"}, "published.csv")
    assert [system.corpus for system in matched] == ["Call Centre"] and not notes
