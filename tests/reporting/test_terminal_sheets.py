"""Tables that commands print: their cells, and that nothing in a name breaks them."""

from __future__ import annotations

import io

import numpy as np

from affetto.measures.scores import scores
from affetto.reporting.render.sheet import Cell, Column, Sheet, columns, text_cell
from affetto.reporting.render.terminal import print_sheet
from affetto.reporting.terminal_sheets import ScoredSet, headline_sheet, prediction_sheet, score_sheet

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
