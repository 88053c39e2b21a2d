"""Tables that commands print: their cells, and that nothing in a name breaks them."""

from __future__ import annotations

import io

import numpy as np

from affetto.measures.scores import scores
from affetto.reporting.render.sheet import Cell, Column, Sheet, columns, text_cell
from affetto.reporting.render.terminal import print_sheet
from affetto.reporting.terminal_sheets import ScoredSet, headline_sheet, prediction_sheet, score_sheet
from affetto.targets.dimensions import Dimensions, Interval
from affetto.targets.distribution import Distribution
from affetto.targets.multilabel import Multilabel

TRUTH = ["joy", "anger", "joy", "anger"]
SCORES = scores(TRUTH, np.eye(2)[[1, 0, 1, 0]], ["anger", "joy"], ["a", "b", "c", "d"])
LORA = ScoredSet(name="lora[r=8] | q", scores=SCORES, trained=1_590_000, seconds=640)


def printed(sheet, width):
    stream = io.StringIO()
    print_sheet(sheet, file=stream, width=width)
    return stream.getvalue()


def texts(sheet):
    return [[cell.text for cell in row] for row in sheet.rows]


def test_scores_carry_interval_chance_cost_and_their_basis():
    sheet = score_sheet([LORA])
    # Chance for two clips of each of two labels: Σ m/(2+m) (1, 4, 6, 4, 1)/16 over m = 0…4 is 0.4625.
    assert texts(sheet) == [["lora[r=8] | q", "100.0 (100.0–100.0)", "100.0", "46.2", "1.59M", "10 min 40 s"]]
    assert sheet.caption == "4 clips. 95 % interval by Student's t over 4 speakers."
    shown = printed(sheet, 120)
    assert "lora[r=8] | q" in shown and "macro F1 (95 %)" in shown and sheet.caption in shown


def test_of_a_table_that_is_too_wide_the_names_stay():
    wide = Sheet(
        name="s",
        title="t",
        columns=columns("name", *"abcdef", texts=("name",)),
        rows=((text_cell("a long name, and longer"), *(Cell("1234567890123") for _ in range(6))),),
    )
    folded, cut = printed(wide, 115), printed(wide, 80)
    assert "a long name," in folded and "and longer" in folded and folded.count("1234567890123") == 6
    assert "a long" in cut and "…" in cut


def test_columns_that_no_row_fills_are_left_out_and_a_dash_stands_for_the_rest():
    bare = ScoredSet(name="probe", scores=SCORES)
    assert [column.name for column in score_sheet([bare]).columns] == ["method", "macro F1 (95 %)", "UAR", "chance"]
    assert texts(score_sheet([LORA, bare]))[1][-2:] == ["–", "–"]


def test_a_name_has_room_at_80_columns_and_synthetic_speech_is_stamped():
    interval = SCORES["interval"] | {"macro_f1": [0.401, 0.555]}
    scored = SCORES | {"macro_f1": 0.488, "uar": 0.5, "interval": interval}
    synthetic = ScoredSet(name="lora, attention", scores=scored, trained=264_455, seconds=3540, synthetic=True)
    shown = printed(score_sheet([synthetic]), 80)
    assert "lora, attention" in shown and shown.count("\n") == 7 and shown.count("SYNTHETIC SPEECH") == 1
    mixed = score_sheet([synthetic, LORA])
    assert mixed.rows[0][0].text == "lora, attention (synthetic speech)" and mixed.stamp == "partly synthetic speech"


def test_no_number_of_clips_stands_below_sets_of_different_size():
    more = scores(TRUTH * 2, np.eye(2)[[1, 0, 1, 0] * 2], ["anger", "joy"], ["a", "b", "c", "d"] * 2)
    assert score_sheet([LORA, ScoredSet(name="probe", scores=more)]).caption.startswith("95 % interval")


def test_predictions_name_the_next_emotion_and_an_abstaining_model():
    probabilities = {"joy": 0.2, "anger": 0.7, "fear": 0.1}
    rows = [{"file": "[a].wav", "emotion": emotion, "probabilities": probabilities} for emotion in ("anger", None)]
    rows.append({"file": "b.wav", "emotion": "joy", "probabilities": {"joy": 1.0}})
    assert texts(prediction_sheet(rows)) == [
        ["[a].wav", "anger", "70.0 %", "joy 20.0 %"],
        ["[a].wav", "–", "–", "anger 70.0 %"],
        ["b.wav", "joy", "100.0 %", "–"],
    ]
    long = [{"file": "folder/" * 20 + "a.wav", "emotion": "anger", "probabilities": probabilities}]
    assert "…" not in printed(prediction_sheet(long), 60)  # a path is broken, never shortened


def test_the_headline_joins_names_and_hides_what_has_no_room():
    sheet = Sheet(
        name="methods",
        title="Methods",
        columns=(*columns("method", "recipe", texts=("method", "recipe")), *map(Column, ("macro F1", "UAR", "chance"))),
        rows=((text_cell("LoRA"), text_cell("–"), Cell("50.0", under="40–60"), Cell("51.0", under="x"), Cell("1.0")),),
        caption="A caption.",
    )
    short = headline_sheet(sheet)
    assert [column.name for column in short.columns] == ["method, recipe", "macro F1 (95 %)", "UAR"]
    assert texts(short) == [["LoRA", "50.0 (40–60)", "51.0"]] and short.caption == ""


def dimension_set(name, shift):
    target = Dimensions(("arousal", "valence"), (Interval(1, 5), Interval(1, 5)))
    rows = [
        {
            "speaker": speaker,
            "truth": {"arousal": float(number), "valence": 3.0 + number % 2},
            "prediction": {"arousal": number + shift, "valence": 3.0 + number % 2},
        }
        for speaker in "abc"
        for number in (1, 2, 3, 4)
    ]
    return ScoredSet(name=name, scores=target.scores(rows), target=target, trained=12_345, seconds=3)


def test_numbers_are_a_row_a_measure_with_the_interval_of_each_model_and_the_chance():
    sheet = score_sheet([dimension_set("lora", 0.5), dimension_set("probe", 0.0)])
    assert [column.name for column in sheet.columns] == ["measure", "lora (95 %)", "probe (95 %)", "chance"]
    # Var 1.25 twice, covariance 1.25, bias 0.5: CCC = 2.5 / (2.5 + 0.25) = 0.909; with valence's 1 the mean is 0.955.
    assert texts(sheet)[:2] == [
        ["mean CCC", "0.955 (0.955–0.955)", "1.000 (1.000–1.000)", "0.000"],
        ["CCC of arousal", "0.909 (0.909–0.909)", "1.000 (1.000–1.000)", "0.000"],
    ]
    rows = {row[0]: row[1:] for row in texts(sheet)}
    assert rows["RMSE of arousal"] == ["0.500 (0.500–0.500)", "0.000 (0.000–0.000)", "1.118"]
    assert rows["MAE of valence"] == ["0.000 (0.000–0.000)", "0.000 (0.000–0.000)", "–"]
    assert sheet.caption.startswith("12 clips. 95 % interval by Student's t over 3 speakers. lora: 12.3k trainable")
    assert "…" not in printed(sheet, 80)


def test_shares_stand_below_the_scores_of_classes_and_several_labels_begin_with_macro_f1():
    shares = Distribution(("anger", "joy"))
    rows = [
        {
            "speaker": speaker,
            "truth": "joy",
            "shares": {"anger": 0.25, "joy": 0.75},
            "probabilities": {"anger": 0.25, "joy": 0.75},
        }
        for speaker in "abc"
    ]
    names = [row[0] for row in texts(score_sheet([ScoredSet(name="x", scores=shares.scores(rows), target=shares)]))]
    assert names[:2] == ["macro F1", "UAR"] and "KL divergence" in names and "Jensen-Shannon" in names
    several = Multilabel(("anger", "joy"))
    rows = [
        {"speaker": s, "truth": ["joy"], "prediction": ["joy"], "probabilities": {"anger": 0, "joy": 1}} for s in "abc"
    ]
    sheet = score_sheet([ScoredSet(name="x", scores=several.scores(rows), target=several)])
    assert texts(sheet)[0] == ["macro F1 of labels", "100.0 (100.0–100.0)", "–"]
