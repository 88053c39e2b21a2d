"""The command line as a user meets it: what it prints, and how a mistake ends."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from affetto.cli import main
from training.corpora import RATE_HZ, sound, write_table

QUICK = ["--backbone", "whisper-mini", "--random-weights", "--set", "compute.precision=float32", "--quiet"]
ONE_EPOCH = ["--method", "frozen", "--set", "training.epochs=1", *QUICK]


def affetto(*words: object, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a command in this process; its exit status."""
    monkeypatch.setattr(sys, "argv", ["affetto", *map(str, words)])
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0)
    return 0


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """`fails(*words)` → the one line on stderr that tells a mistake; fails itself unless there is just that."""

    def run(*words: object) -> str:
        assert affetto(*words, monkeypatch=monkeypatch) == 2
        shown = capfd.readouterr()
        assert shown.out == "" and shown.err.startswith("error: ") and shown.err.count("\n") == 1, shown
        return shown.err

    return run


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def run_folder(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    command = [sys.executable, "-m", "affetto", "train", "--table", table, *ONE_EPOCH, "--out", out]
    made = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    assert "macro F1" in made.stdout and f"affetto predict {out}" in made.stdout and "Traceback" not in made.stderr
    return out


def test_a_run_without_a_final_model_names_that_of_a_fold(tmp_path, monkeypatch, capsys):
    table = write_table(tmp_path / "corpus", parts=False)
    clip = tmp_path / "corpus" / "audio" / "s0-joy-0.wav"
    words = ["--backbone", "whisper-mini", "--random-weights", "--method", "probe", "--split", "kfold:3", "--quiet"]
    for more in (["--no-final"], ["--set", "training.speakers=3"]):
        out = tmp_path / more[-1]
        assert affetto("train", "--table", table, *words, *more, "--out", out, monkeypatch=monkeypatch) == 0
        fold = out / "folds" / "1"
        assert f"Use that of a fold: affetto predict {fold} FILE" in " ".join(capsys.readouterr().out.split())
        assert affetto("predict", fold, clip, monkeypatch=monkeypatch) == 0
        capsys.readouterr()


def test_corpora_made_and_inspected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("espeakng_loader")
    folder = tmp_path / "emovo"
    made = affetto("corpora", "make", "emovo", folder, "--speakers", 2, "--clips", 14, monkeypatch=monkeypatch)
    assert made == 0 and "synthetic" in capfd.readouterr().out
    assert affetto("corpora", "inspect", folder, "--json", monkeypatch=monkeypatch) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["corpus"], found["clips"], found["speakers"], set(found["per_emotion"].values())) == (
        "emovo",
        14,
        2,
        {2},
    )
    assert affetto("corpora", "inspect", folder, monkeypatch=monkeypatch) == 0
    assert "SYNTHETIC" in capfd.readouterr().out.upper()


def test_problems_change_neither_counts_nor_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path)
    (tmp_path / "audio" / "s0-joy-0.wav").write_bytes(b"")
    assert affetto("corpora", "inspect", table, "--json", monkeypatch=monkeypatch) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["clips"] == 42 and found["per_emotion"]["joy"] == 6 and "s0-joy-0.wav" in json.dumps(found["problems"])


def test_predict_in_every_format(
    run_folder: Path, table: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    files = [str(table.parent / "audio" / f"s5-{emotion}-0.wav") for emotion in ("joy", "anger")]
    shown = {}
    for kind in ("json", "jsonl", "csv", "table"):
        assert affetto("predict", run_folder, *files, "--format", kind, monkeypatch=monkeypatch) == 0
        shown[kind] = capfd.readouterr().out
    rows = json.loads(shown["json"])
    assert [row["file"] for row in rows] == files
    for row in rows:
        assert set(row) == {"file", "emotion", "probabilities"}
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["emotion"] == max(row["probabilities"], key=row["probabilities"].get)
    assert [json.loads(line) for line in shown["jsonl"].splitlines()] == rows
    read = list(csv.DictReader(shown["csv"].splitlines()))
    assert [(row["file"], row["emotion"]) for row in read] == [(row["file"], row["emotion"]) for row in rows]
    assert float(read[0]["joy"]) == pytest.approx(rows[0]["probabilities"]["joy"], abs=1e-6)
    assert rows[0]["emotion"] in shown["table"]


def test_a_bad_file_among_good_ones_is_named_and_the_rest_is_answered(
    run_folder: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.wav").write_text("this is no sound")
    good = table.parent / "audio" / "s5-joy-0.wav"
    files = (tmp_path / "text.wav", good, tmp_path / "absent.wav")
    assert affetto("predict", run_folder, *files, "--format", "json", monkeypatch=monkeypatch) == 1
    shown = capfd.readouterr()
    rows = json.loads(shown.out)
    assert [row["file"] for row in rows] == [str(file) for file in files]
    assert [set(row) for row in rows] == [{"file", "error"}, {"file", "emotion", "probabilities"}, {"file", "error"}]
    assert "text.wav" in shown.err and "absent.wav" in shown.err and "2 of 3 recordings" in shown.err
    assert "Traceback" not in shown.err


def test_a_long_recording_is_heard_to_its_end(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    long = np.concatenate([sound(emotion, 5, 0, seconds=3.0) for emotion in (3, 5)])
    parts = {"long": long, "a": long[: 4 * RATE_HZ], "b": long[2 * RATE_HZ :]}
    for name, wave in parts.items():
        soundfile.write(tmp_path / f"{name}.wav", wave, RATE_HZ, subtype="FLOAT")
    files = [tmp_path / f"{name}.wav" for name in parts]
    assert affetto("predict", run_folder, *files, "--format", "json", monkeypatch=monkeypatch) == 0
    whole, a, b = (row["probabilities"] for row in json.loads(capfd.readouterr().out))
    assert a != b
    assert whole == pytest.approx({label: (a[label] + b[label]) / 2 for label in a}, abs=1e-6)


def test_evaluate_and_store(
    run_folder: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    other = write_table(tmp_path / "other", speakers=2, takes=2, parts=False)
    for clip in (other.parent / "audio").glob("*-0.wav"):  # half of them the training clips again
        clip.write_bytes((table.parent / "audio" / clip.name).read_bytes())
    assert affetto("evaluate", run_folder, "--table", other, "--json", monkeypatch=monkeypatch) == 2
    assert "other recordings of the same speakers" in capfd.readouterr().err  # two corpora of one name
    assert affetto("evaluate", run_folder, "--corpus", f"other={other}", "--json", monkeypatch=monkeypatch) == 0
    assert json.loads(capfd.readouterr().out)["test"]["n"] == 14
    assert affetto("store", "status", "--json", monkeypatch=monkeypatch) == 0
    assert json.loads(capfd.readouterr().out)["bytes"] > 0


def test_settings_lists_what_set_takes(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert affetto("settings", "--recipe", "paper", monkeypatch=monkeypatch) == 0
    shown = capfd.readouterr().out
    assert "training.epochs=30" in shown and "lora.rank=8" in shown
    assert "; one of attentive, ecapa, linear, paper, short, statistics" in shown
    assert "; one of shuffled" not in shown  # the description names them already


# Mistakes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "lorra", *QUICK], ["lorra", "'lora'", "adapter"]),
        (["--method", "lora", "--backbone", "wav2vec2-bas", "--random-weights"], ["wav2vec2-bas", "'wav2vec2-base'"]),
        (["--method", "lora", *QUICK, "--set", "training.epoch=3"], ["training.epoch", "training.epochs"]),
        (["--method", "lora", *QUICK, "--set", "training.epochs=many"], ["training.epochs", "many"]),
        (["--method", "lora", *QUICK, "--set", "training.epochs"], ["NAME=VALUE"]),
        (["--method", "lora", *QUICK, "--recipe", "papr"], ["papr", "'paper'"]),
        (["--method", "lora", *QUICK, "--split", "losso"], ["losso", "'loso'"]),
        (["--method", "lora", *QUICK, "--split", "kfold:9"], ["kfold:9", "there are 6"]),
        (["--method", "lora", *QUICK, "--device", "cuda"], ["cuda", "cpu"]),
        (["--method", "lora", *QUICK, "--seed", "-1"], ["seed"]),
        (["--method", "lora", "--backbone", "./nowhere"], ["nowhere"]),
        (["--method", "lora", *QUICK, "--corpus", "emovo="], ["emovo=", "NAME=PATH"]),
        (["--method", "lora"], ["--backbone"]),
    ],
    ids=[
        "method",
        "key",
        "setting",
        "value",
        "pair",
        "recipe",
        "split",
        "folds",
        "cuda",
        "seed",
        "folder",
        "path",
        "missing",
    ],
)
def test_mistakes_in_the_arguments_of_train(words: list[str], said: list[str], fails, table: Path, tmp_path: Path):
    if "cuda" in words:
        torch = pytest.importorskip("torch")
        if torch.cuda.is_available():
            pytest.skip("there is a GPU here")
    out = tmp_path / "run"
    line = fails("train", "--table", table, *words, "--out", out)
    assert all(part in line for part in said), line
    assert not out.exists()


def test_a_wrong_path_an_empty_folder_and_an_archive(fails, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "emovo.zip", "w") as archive:
        archive.writestr("EMOVO/f1/gio-f1-b1.wav", b"")
    for path, said in (("nowhere", "no such"), ("empty", "empty"), ("emovo.zip", "npack")):
        for words in (["corpora", "inspect"], ["train", *ONE_EPOCH, "--out", tmp_path / "run", "--corpus"]):
            line = fails(*words, tmp_path / path)
            assert said in line and path in line, line
    assert not (tmp_path / "run").exists()


def test_a_name_before_a_path_that_stands_alone(fails, table: Path, tmp_path: Path) -> None:
    for words in (("inspect",), ("audit",), ("convert", tmp_path / "out", "--to", "table")):
        line = fails("corpora", words[0], f"table={table}", *words[1:])
        assert f"give the path alone, and its name as an option: {table} --as table" in line
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_folder_without_weights_or_of_an_unknown_family(fails, table: Path, tmp_path: Path) -> None:
    for name, config, said in (
        ("bare", {"model_type": "wav2vec2"}, "weights"),
        ("text", {"model_type": "bert"}, "bert"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
        words = ("--method", "frozen", "--backbone", tmp_path / name, "--out", tmp_path / "run", "--quiet")
        line = fails("train", "--table", table, *words)
        assert said in line and name in line, line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("bad", ["zero-byte", "truncated", "text", "nan"])
def test_a_bad_clip_is_an_error_and_left_out_by_skip_bad(
    bad: str, fails, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path / "corpus", takes=2)
    clip = table.parent / "audio" / "s0-joy-0.wav"
    if bad == "nan":
        soundfile.write(clip, np.full(8000, np.nan, np.float32), RATE_HZ, subtype="FLOAT")
    else:
        whole = clip.read_bytes()
        clip.write_bytes({"zero-byte": b"", "truncated": whole[: len(whole) // 3], "text": b"no sound at all"}[bad])
    out = tmp_path / "run"
    line = fails("train", "--table", table, *ONE_EPOCH, "--out", out)
    assert "s0-joy-0.wav" in line and "--skip-bad" in line and not out.exists()
    told = [word for word in ONE_EPOCH if word != "--quiet"]
    assert affetto("train", "--table", table, *told, "--skip-bad", "--out", out, monkeypatch=monkeypatch) == 0
    shown = capfd.readouterr()
    assert "s0-joy-0.wav" in shown.err + shown.out
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["clips"] == 83 and "s0-joy-0.wav" in json.dumps(metrics["left_out"])


def test_an_unknown_label_one_speaker_and_a_class_absent_from_training(fails, tmp_path: Path) -> None:
    table = write_table(tmp_path / "corpus")
    rows = table.read_text().splitlines()

    def told(name: str, lines: list[str], *words: str) -> str:
        (table.parent / name).write_text("\n".join(lines) + "\n")
        return fails("train", "--table", table.parent / name, *ONE_EPOCH, *words, "--out", tmp_path / "run")

    label = told("label.csv", [row.replace(",joy,", ",joyy,") for row in rows])
    assert "joyy" in label and "joy" in label and "--label" in label
    plain = [row.rsplit(",", 1)[0] for row in rows]
    assert "speaker" in told("one.csv", [row.rsplit(",", 1)[0] + ",s0" if n else row for n, row in enumerate(plain)])
    absent = told("absent.csv", [row for row in rows if not (",joy," in row and row.endswith("train"))])
    assert "joy" in absent and "train" in absent
    assert not (tmp_path / "run").exists()


def test_a_speaker_in_two_parts_is_an_error(fails, tmp_path: Path) -> None:
    table = write_table(tmp_path / "corpus")
    text = table.read_text().replace("s0-joy-0.wav,joy,s0,train", "s0-joy-0.wav,joy,s0,test")
    table.write_text(text)
    line = fails("train", "--table", table, *ONE_EPOCH, "--out", tmp_path / "run")
    assert "s0" in line and not (tmp_path / "run").exists()


def test_a_folder_that_holds_another_run_or_something_else(fails, run_folder: Path, table: Path, tmp_path: Path):
    before = {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()}
    line = fails("train", "--table", table, *ONE_EPOCH, "--seed", "7", "--out", run_folder)
    assert "another run" in line and "--out" in line
    assert before == {path: path.read_bytes() for path in run_folder.rglob("*") if path.is_file()}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    assert "thesis.tex" in fails("train", "--table", table, *ONE_EPOCH, "--out", tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_predict_from_what_is_no_run(fails, run_folder: Path, tmp_path: Path) -> None:
    assert "absent" in fails("predict", tmp_path / "absent", "clip.wav")
    line = fails("predict", run_folder, "clip.wav", "--format", "jsn")
    assert "jsn" in line and "'json'" in line


def test_an_unreachable_hub_is_told_at_once(fails, table: Path, tmp_path: Path) -> None:
    words = ("--method", "lora", "--backbone", "some-one/some-model", "--split", "kfold:3", "--out", tmp_path / "run")
    line = fails("train", "--table", table, *words)
    assert all(part in line for part in ("some-one/some-model", "--backbone", "HF_HOME")), line
    assert not (tmp_path / "run").exists()


def test_export_and_predict(
    run_folder: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = table.parent / "audio" / "s5-joy-0.wav"
    assert affetto("export", run_folder, "--to", "hf", "--out", tmp_path / "hf", monkeypatch=monkeypatch) == 0
    assert "the label is the same" in capfd.readouterr().out
    answers = []
    for model in (run_folder, tmp_path / "hf"):
        assert affetto("predict", model, file, "--format", "json", monkeypatch=monkeypatch) == 0
        answers.append(json.loads(capfd.readouterr().out)[0]["probabilities"])
    assert answers[0] == pytest.approx(answers[1], abs=1e-5)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--to", "onx"], "did you mean 'onnx'"),
        (["--to", "hf", "--precision", "int8"], "--precision belongs to --to onnx"),
        (["--to", "hf", "--stock"], "leave --stock out"),
        (["--to", "onnx", "--precision", "int4"], "unknown precision of an ONNX file 'int4'"),
    ],
)
def test_mistakes_in_export(words: list[str], told: str, run_folder: Path, tmp_path: Path, fails) -> None:
    assert told.casefold() in fails("export", run_folder, *words, "--out", tmp_path / "out").casefold()
    assert not (tmp_path / "out").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    assert "not an empty folder" in fails("export", run_folder, "--to", "hf", "--out", tmp_path / "full")


def test_a_dimension_that_is_written_wrongly_is_named_by_its_option(fails, table: Path, tmp_path: Path) -> None:
    words = ["train", "--table", table, *ONE_EPOCH, "--out", tmp_path / "run", "--dimension", "arousal"]
    assert "--dimension 'arousal' must be NAME=COLUMN:LOW:HIGH" in fails(*words)
    assert not (tmp_path / "run").exists()
