"""A file of labels has rows of one kind: a call that goes on with it has the options by which it was begun."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from affetto.audio import RATE_HZ
from affetto.cli import app
from affetto.errors import UserError
from affetto.inference.batch.options import MODEL, check, options_of, record, record_of
from affetto.inference.spec import PredictorSpec
from affetto.models.saved import HEAD
from inference.saved import saved_model
from models.systems import clips

PLAIN = PredictorSpec("runs/mine")
CASES = {
    "--abstain-below": (replace(PLAIN, abstain_below=0.5), replace(PLAIN, abstain_below=0.6), "0.5", "0.6"),
    "--coverage": (replace(PLAIN, coverage=0.9), replace(PLAIN, coverage=0.5), "0.9", "0.5"),
    "--refuse-novel": (replace(PLAIN, refuse_novel=1.0), replace(PLAIN, refuse_novel=0.99), "1", "0.99"),
    "--require-speech": (replace(PLAIN, require_speech=0.0), replace(PLAIN, require_speech=1.0), "0", "1"),
    "--tta": (replace(PLAIN, speeds=(0.9, 1.1)), replace(PLAIN, speeds=(0.9,)), "0.9,1.1", "0.9"),
    "--map": (
        replace(PLAIN, label_map=(("a", "b"), ("c", ""))),
        replace(PLAIN, label_map=(("a", ""),)),
        "a=b,c=",
        "a=",
    ),
    "--precision": (replace(PLAIN, precision="int8"), replace(PLAIN, precision="float32"), "int8", "float32"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("options") / "model"
    return saved_model(folder, "whisper-mini", "frozen", head="statistics", pooling="layer", layer=1)


@pytest.fixture
def recordings(tmp_path: Path) -> list[str]:
    files = [tmp_path / f"{name}.wav" for name in "abc"]
    for file, wave in zip(files, clips(0.5, 0.6, 0.7), strict=True):
        soundfile.write(file, wave, RATE_HZ, subtype="FLOAT")
    return [str(file) for file in files]


def predict(model: Path, *words: object) -> tuple[str, str]:
    """The message of a mistake, and the notes."""
    done = CliRunner().invoke(app, ["predict", str(model), *map(str, words), "--device", "cpu", "--quiet"])
    assert done.exit_code == 0 or isinstance(done.exception, UserError), done.output
    return str(done.exception or ""), done.stderr


@pytest.mark.parametrize("name", CASES)
def test_each_option_is_compared_and_named_with_both_values(name: str, tmp_path: Path) -> None:
    file, (first, second, before, after) = tmp_path / "labels.csv", CASES[name]
    given = {spec: options_of(spec, "0123456789ab") for spec in (PLAIN, first, second)}
    record(file, given[first])
    assert check(file, given[first])
    for spec, words in ((second, f"with {name} {after}"), (PLAIN, f"without {name}")):
        with pytest.raises(UserError) as problem:
            check(file, given[spec])
        line = f"{file} was begun with {name} {before}, and this call goes on {words}; give the same, or another --out"
        assert str(problem.value) == line
    record(file, given[PLAIN])
    with pytest.raises(UserError, match=f"was begun without {name}, and this call goes on with {name} {before}"):
        check(file, given[first])


def test_kinds_of_sets_are_compared_where_there_are_sets(tmp_path: Path) -> None:
    file, covering = tmp_path / "labels.csv", replace(PLAIN, coverage=0.9, sets="lac")
    record(file, options_of(covering, None))
    with pytest.raises(UserError, match="was begun with --sets lac, and this call goes on with --sets aps"):
        check(file, options_of(replace(covering, sets="aps"), None))
    record(file, options_of(replace(PLAIN, sets="lac"), None))
    assert check(file, options_of(replace(PLAIN, sets="aps"), None))


def test_a_model_is_known_by_its_identity_and_without_one_by_its_name(tmp_path: Path) -> None:
    file, moved = tmp_path / "labels.csv", replace(PLAIN, model="/elsewhere/mine", device="cpu", backbone="/weights")
    record(file, options_of(PLAIN, "0123456789ab"))
    assert check(file, options_of(moved, "0123456789ab"))
    with pytest.raises(UserError) as problem:
        check(file, options_of(PLAIN, "ba9876543210"))
    assert (
        "was begun with the model runs/mine (0123456789ab), and this call goes on with the model runs/mine "
        "(ba9876543210); give the same, or another --out"
    ) in str(problem.value)
    record(file, options_of(PLAIN, None))
    with pytest.raises(UserError, match="goes on with the model /elsewhere/mine; give"):
        check(file, options_of(moved, None))


def test_an_option_that_an_earlier_record_lacks_was_not_given(tmp_path: Path) -> None:
    file, options = tmp_path / "labels.csv", options_of(replace(PLAIN, coverage=0.9), None)
    record(file, {MODEL: options[MODEL]})
    assert check(file, options_of(PLAIN, None))
    with pytest.raises(UserError, match="was begun without --coverage"):
        check(file, options)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 2, "options": {}}', '{"format": 1, "options": {"a": 1}}']
)
def test_a_broken_record_is_told(content: str, tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    record_of(file).write_text(content)
    with pytest.raises(UserError, match=r"\.labels\.csv\.options\.json: no record of options; remove it to go on"):
        check(file, options_of(PLAIN, None))


def test_a_name_that_is_no_utf_8_is_recorded(tmp_path: Path) -> None:
    options = options_of(replace(PLAIN, model="runs/\udcff"), None)
    record(tmp_path / "labels.csv", options)
    assert check(tmp_path / "labels.csv", options)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_command_goes_on_with_its_own_options_alone(
    kind: str, model: Path, recordings: list[str], tmp_path: Path
) -> None:
    out = tmp_path / f"labels.{kind}"
    words = ["--out", out, "--abstain-below", "0.4", "--tta", "0.9"]
    assert predict(model, *recordings[:2], *words)[0] == ""
    hidden = record_of(out)
    assert {path for path in tmp_path.iterdir() if path.suffix != ".wav"} == {out, hidden}
    first, kept = out.read_text(), hidden.read_text()
    line, _ = predict(model, *recordings, "--out", out, "--tta", "0.9", "--abstain-below", "0.5", "--resume")
    assert line.startswith(f"{out} was begun with --abstain-below 0.4, and this call goes on with --abstain-below 0.5")
    assert out.read_text() == first and hidden.read_text() == kept
    out.write_text(first[:-3])  # killed within its last row
    assert predict(model, *recordings, *words, "--resume") == ("", "note: this model was trained on synthetic speech\n")
    whole, rows = out.read_text(), first.splitlines(keepends=True)
    assert whole.startswith("".join(rows[:-1])) and hidden.read_text() == kept
    assert len(whole.splitlines()) == len(rows) + 1 and all(whole.count(name) == 1 for name in recordings)


def test_another_model_does_not_go_on(model: Path, recordings: list[str], tmp_path: Path) -> None:
    other, out = shutil.copytree(model, tmp_path / "other"), tmp_path / "labels.csv"
    assert predict(model, recordings[0], "--out", out)[0] == ""
    assert predict(other, *recordings[:2], "--out", out, "--resume")[0] == ""  # a copy is the same model
    head = load_file(other / HEAD)
    save_file({name: tensor + 0.5 for name, tensor in head.items()}, other / HEAD)
    line, _ = predict(other, *recordings, "--out", out, "--resume")
    assert f"was begun with the model {model} (" in line and f"goes on with the model {other} (" in line


def test_the_clips_of_a_speaker_are_known_by_their_content(model: Path, recordings: list[str], tmp_path: Path) -> None:
    out, (own, others, copies) = tmp_path / "labels.jsonl", (tmp_path / name for name in ("own", "others", "copies"))
    for folder, waves in ((own, clips(0.6, 0.9)), (others, clips(0.9, 1.2))):
        folder.mkdir()
        for number, wave in enumerate(waves):
            soundfile.write(folder / f"{number}.wav", wave * 0.9, RATE_HZ, subtype="FLOAT")
    shutil.copytree(own, copies)
    assert predict(model, recordings[0], "--out", out, "--calibrate", own, "--resume")[0] == ""
    assert predict(model, *recordings, "--out", out, "--calibrate", copies, "--resume")[0] == ""
    assert out.read_text().count("speaker-calibrated (2 clips)") == 3
    line, _ = predict(model, *recordings, "--out", out, "--calibrate", others, "--resume")
    assert "was begun with --calibrate of 2 clips (" in line and "goes on with --calibrate of 2 clips (" in line
    record_of(out).unlink()
    line, _ = predict(model, *recordings, "--out", out, "--calibrate", own, "--resume")
    assert line == (
        f"{out} has no record of the clips that its rows were adapted by (.labels.jsonl.options.json): "
        "leave --calibrate or --resume out"
    )


def test_a_file_without_a_record_goes_on_with_a_note_and_has_one_then(
    model: Path, recordings: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "labels.csv"
    assert predict(model, recordings[0], "--out", out)[0] == ""
    record_of(out).unlink()
    words = [model, *recordings[:2], "--out", out, "--abstain-below", "0.4", "--resume"]
    note = f"note: {out} has no record of its options: they are taken to be those of this call\n"
    assert predict(*words)[1].endswith(note)
    assert note not in predict(*words)[1]
    assert "was begun with --abstain-below 0.4" in predict(model, *recordings, "--out", out, "--resume")[0]


def test_options_of_no_rows_bind_nothing(model: Path, recordings: list[str], tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    assert predict(model, recordings[0], "--out", out, "--abstain-below", "0.4")[0] == ""
    out.write_text(out.read_text().splitlines(keepends=True)[0])  # killed behind its header
    line, err = predict(model, recordings[0], "--out", out, "--resume")
    assert not line and "no record" not in err
    out.unlink()
    assert predict(model, recordings[0], "--out", out, "--abstain-below", "0.3")[0] == ""
    assert '"--abstain-below"' in record_of(out).read_text() and "0.3" in record_of(out).read_text()


def test_what_no_call_continues_has_no_record(model: Path, recordings: list[str], tmp_path: Path) -> None:
    assert predict(model, recordings[0], "--out", tmp_path / "labels.json")[0] == ""
    assert json.loads((tmp_path / "labels.json").read_text())
    assert predict(model, recordings[0], "--format", "csv")[0] == ""
    assert not list(tmp_path.glob(".*"))


def test_a_file_that_cannot_be_read_is_told(
    model: Path, recordings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, opened = tmp_path / "labels.csv", Path.open
    assert predict(model, recordings[0], "--out", out)[0] == ""

    def denied(self: Path, *words: object, **options: object) -> object:
        if self == out:
            raise PermissionError(13, "Permission denied")
        return opened(self, *words, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", denied)
    line, _ = predict(model, *recordings, "--out", out, "--resume")
    assert line == f"{out}: cannot be resumed (Permission denied); give another --out"
