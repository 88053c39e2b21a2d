"""`affetto specialize` from its command to its folder: what it says of bad input, and what else takes the result."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import typer.testing
from safetensors.torch import load_file, save_file

from affetto.cli import app
from affetto.errors import UserError
from affetto.specialize import examine
from affetto.specialize.folder import Folder, provenance
from affetto.specialize.spec import Settings
from affetto.synthetic.layouts.commonvoice import make as make_common_voice
from specialize.recordings import tiny, write_speech  # noqa: F401  # a fixture

FAST = ("batch_size=4", "validations=1", "precision=float32", "shortest_seconds=0.4", "steps=2")


def run(*words: str, sets: tuple[str, ...] = FAST) -> str:
    """What it prints; a UserError where it ends in one."""
    more = [word for one in sets for word in ("--set", one)]
    result = typer.testing.CliRunner().invoke(app, ["specialize", "--device", "cpu", *words, *more])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def words(folder: Path, out: str, family: str = "whisper", objective: str = "ctc") -> list[str]:
    return [
        "--table",
        str(folder / "speech.csv"),
        "--backbone",
        family,
        "--from-scratch",
        "tiny",
        "--objective",
        objective,
        "--out",
        str(folder / out),
        "--characters",
        "aelmnruvo",
    ]


def told(*args: str, **more: Any) -> str:
    with pytest.raises(UserError) as raised:
        run(*args, **more)
    line = str(raised.value)
    assert line.isprintable() and "Traceback" not in line
    return line


def test_a_finished_one_tells_where_it_comes_from_and_is_not_done_again(tmp_path: Path) -> None:
    write_speech(tmp_path, speakers=3, clips=4, words=1)
    said = run(*words(tmp_path, "out"))
    assert "is a checkpoint: use it with --backbone" in said and '"validation_loss"' in said
    made = provenance(tmp_path / "out")
    assert made is not None
    assert made["objective"] == "ctc" and made["steps"] == 2 and made["parent"]["name"] == "whisper, tiny, from nothing"
    corpus = made["corpus"]
    assert corpus["name"] == "speech" and corpus["train"]["speakers"] == 2 and corpus["validation"]["speakers"] == 1
    assert made["heads"] == "new" and corpus["validation"]["clips_with_a_trained_sentence"] <= 4
    assert 0 < made["hours_heard"] < 0.01 and len(made["curve"]) == 2 and len(made["history"]) == 2
    assert {"cer", "wer", "validation_loss", "loss"} <= set(made["history"][-1])
    assert len(made["cka"]) == 3 and all(0.1 < value <= 1.0 for value in made["cka"])
    assert not (tmp_path / "out" / ".work").exists()
    weights = tmp_path / "out" / "model.safetensors"
    assert weights.stat().st_mode == (tmp_path / "out" / "config.json").stat().st_mode  # safetensors alone: its owner's
    before = weights.read_bytes()
    assert "is finished already" in run(*words(tmp_path, "out"))
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == before


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    ("family", "objective", "more"),
    [("whisper", "ctc", ()), ("whisper", "seq2seq", ("decoder=new",)), ("wav2vec2", "masked", ())],
)
def test_one_that_was_killed_while_it_saved_ends_with_the_same_bits(
    family: str, objective: str, more: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_speech(tmp_path, speakers=3, clips=4, words=1)
    sets = (*FAST, *more)
    run(*words(tmp_path, "whole", family, objective), sets=sets)

    def killed(*_: Any) -> None:
        raise Killed

    for where in ("making", "publish"):  # before the first file of the checkpoint, and after the last one
        with monkeypatch.context() as patch:
            patch.setattr(Folder, where, killed)
            with pytest.raises(Killed):
                run(*words(tmp_path, "cut", family, objective), sets=sets)
    run(*words(tmp_path, "cut", family, objective), sets=sets)
    whole, cut = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "cut"))
    assert whole.keys() == cut.keys()
    assert not [name for name in whole if not torch.equal(whole[name], cut[name])]


def test_a_kill_while_clips_are_looked_at_leaves_what_was_seen_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_speech(tmp_path, speakers=3, clips=4, words=1)
    monkeypatch.setattr(examine, "LOT", 2)
    monkeypatch.setattr(examine, "KEEP_SECONDS", 0.0)
    decoded, seen = examine.examine, []  # type: ignore[var-annotated]

    def killed(path: Path, before: Any) -> Any:
        seen.append(path)
        if len(seen) == 6:
            raise Killed
        return decoded(path, before)

    monkeypatch.setattr(examine, "examine", killed)
    with pytest.raises(Killed):
        run(*words(tmp_path, "out"))
    assert len(Folder(tmp_path / "out").work.read("checked.json") or {}) == 4
    assert "is a checkpoint" in run(*words(tmp_path, "out"))  # a folder that holds no more is no stranger's


def test_what_a_kill_left_beside_a_finished_one_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_speech(tmp_path, speakers=3, clips=4, words=1)
    with monkeypatch.context() as patch:
        patch.setattr("affetto.specialize.folder.shutil.rmtree", lambda *_, **__: None)
        run(*words(tmp_path, "out"))
    assert (tmp_path / "out" / ".work").exists()
    assert "is finished already" in run(*words(tmp_path, "out"))
    assert not (tmp_path / "out" / ".work").exists()


def test_it_goes_on_only_with_the_same_corpus_and_settings(tmp_path: Path) -> None:
    write_speech(tmp_path, speakers=3, clips=4, words=1)
    run(*words(tmp_path, "out"))
    line = told(*words(tmp_path, "out"), sets=(*FAST[:-1], "steps=3"))
    assert "holds another specialisation (steps 2, now 3)" in line and "or another --out" in line
    (tmp_path / "audio" / "s0_0.wav").unlink()
    assert "holds another specialisation (sample" in told(*words(tmp_path, "out"))
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.txt").touch()
    assert "no specialisation of affetto's" in told(*words(tmp_path, "strange"))


def test_a_specialised_backbone_can_be_specialised_further_and_trained_on(tmp_path: Path) -> None:
    from affetto.backbones.checkpoints import load_backbone

    write_speech(tmp_path, speakers=3, clips=4, words=1)
    run(*words(tmp_path, "first", "wav2vec2", "masked"))
    table = ["--table", str(tmp_path / "speech.csv"), "--characters", "aelmnruvo"]
    out = ["--out", str(tmp_path / "second"), "--objective", "ctc", "--method", "lora"]
    run("--backbone", str(tmp_path / "first"), *table, *out)
    first, second = load_backbone(str(tmp_path / "first")), load_backbone(str(tmp_path / "second"))
    made = provenance(tmp_path / "second")
    assert made is not None and made["parent"]["digest"] == first.weights_digest()
    assert made["weights_digest"] == second.weights_digest() != first.weights_digest()
    same = [
        bool((a == b).all())
        for (name, a), (_, b) in zip(
            first.model.feature_extractor.named_parameters(),
            second.model.feature_extractor.named_parameters(),
            strict=True,
        )
    ]
    assert all(same)  # LoRA is in the blocks alone


def test_what_a_checkpoint_lacks_is_drawn_by_the_seed_and_its_place_does_not_matter(tmp_path: Path) -> None:
    write_speech(tmp_path, speakers=3, clips=4, words=1)
    run(*words(tmp_path, "parent", "wav2vec2", "masked"))
    weights = load_file(tmp_path / "parent" / "model.safetensors")
    lacking = {name: tensor for name, tensor in weights.items() if not name.endswith("masked_spec_embed")}
    assert len(lacking) == len(weights) - 1
    save_file(lacking, tmp_path / "parent" / "model.safetensors", {"format": "pt"})
    table = ["--table", str(tmp_path / "speech.csv"), "--characters", "aelmnruvo", "--objective", "ctc"]
    made = []
    for number in range(2):
        torch.manual_seed(number)
        out = ["--method", "lora", "--out", str(tmp_path / f"{number}")]
        run("--backbone", str(tmp_path / "parent"), *table, *out, sets=(*FAST, "spec_augment=true"))
        made.append(provenance(tmp_path / f"{number}"))
    assert made[0]["curve"] == made[1]["curve"] and made[0]["weights_digest"] == made[1]["weights_digest"]
    (tmp_path / "parent").rename(tmp_path / "moved")
    again = ["--method", "lora", "--out", str(tmp_path / "0")]
    told = run("--backbone", str(tmp_path / "moved"), *table, *again, sets=(*FAST, "spec_augment=true"))
    assert "is finished already" in told


@pytest.mark.parametrize("family", ["wav2vec2", "wavlm"])
def test_ctc_without_masks_trains_all_but_what_stands_in_for_masked_frames(family: str, tmp_path: Path) -> None:
    write_speech(tmp_path, speakers=3, clips=4, words=1)
    run(*words(tmp_path, "out", family), sets=(*FAST, "spec_augment=false"))


def test_masked_learns_from_a_folder_without_sentences(tmp_path: Path) -> None:
    write_speech(tmp_path, speakers=3, clips=4, words=1)
    for file in sorted((tmp_path / "audio").iterdir()):
        place = tmp_path / "voices" / file.name[:2]
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    line = ["--corpus", f"folder={tmp_path / 'voices'}", "--backbone", "xlsr", "--from-scratch", "tiny"]
    run(*line, "--objective", "masked", "--out", str(tmp_path / "out"))
    made = provenance(tmp_path / "out")
    assert made is not None and "cer" not in made["history"][-1]
    assert "has no sentences: use the objective masked" in told(
        *line, "--objective", "ctc", "--out", str(tmp_path / "o")
    )
    assert not (tmp_path / "o").exists()


def test_mistakes_in_the_command_are_one_line(tmp_path: Path) -> None:
    write_speech(tmp_path, speakers=3, clips=4, words=1)
    line = words(tmp_path, "out")

    def but(name: str, value: str) -> list[str]:
        changed = list(line)
        changed[changed.index(name) + 1] = value
        return changed

    assert "unknown objective 'mask': did you mean 'masked'" in told(*but("--objective", "mask"))
    assert "cannot be had with whisper" in told(*but("--objective", "masked"))
    assert "unknown size of --from-scratch 'huge'" in told(*but("--from-scratch", "huge"))
    assert "unknown family 'whispr': did you mean 'whisper'" in told(*but("--backbone", "whispr"))
    assert "unknown method of specialize 'lorra'" in told(*line, "--method", "lorra")
    assert "unknown setting of specialize 'lrr': did you mean 'lr'" in told(*line, sets=("lrr=1",))
    assert "setting lr=-1" in told(*line, sets=("lr=-1",))
    assert "leave no clip" in told(*line, sets=("longest_seconds=0.4",))
    assert "give one corpus" in told(*line, "--corpus", "x")
    assert "--hours 0: give more than 0" in told(*line, "--hours", "0")
    assert "--hours nan: give more than 0" in told(*line, "--hours", "nan")
    assert "setting betas=1.5" in told(*line, sets=("betas=[1.5,0.9]",))
    assert "--hours 2: " in told(*line, "--hours", "2")
    assert "no usable" in told(*line, sets=("shortest_seconds=15",))
    assert not (tmp_path / "out").exists()


def test_another_language_is_told_before_anything_is_loaded(tmp_path: Path) -> None:
    root = tmp_path / "cv-corpus-20.0-2024-12-06" / "de"
    (root / "clips").mkdir(parents=True)
    (root / "validated.tsv").write_text("client_id\tpath\tsentence\nx\ta.mp3\tHallo\n")
    line = ["--backbone", "whisper", "--from-scratch", "tiny", "--objective", "ctc", "--out", str(tmp_path / "out")]
    assert "Common Voice in 'de', not in 'it'" in told("--corpus", f"common-voice={root}", *line)


@pytest.fixture(scope="module")
def common_voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten voices of espeak-ng that read six short sentences, as MP3s."""
    pytest.importorskip("espeakng_loader")
    folder = tmp_path_factory.mktemp("common-voice") / "cv"
    sentences = ("mare", "luna nuova", "neve", "un ramo", "verme", "amo Roma")
    make_common_voice(folder, speakers=10, clips=60, sentences=sentences)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "objective", "more"),
    [
        ("whisper", "ctc", ("steps=100", "lr=0.01", "spec_augment=false")),
        ("xlsr", "masked", ("steps=8", "lr=0.003")),
        ("whisper", "seq2seq", ("steps=8", "lr=0.003", "decoder=new")),
    ],
)
def test_every_objective_learns_from_a_synthetic_common_voice(
    family: str, objective: str, more: tuple[str, ...], common_voice: Path, tmp_path: Path
) -> None:
    """On speakers who were not trained on; ctc to half of the first error of characters, and less."""
    line = ["--corpus", f"common-voice={common_voice}", "--from-scratch", "tiny", "--backbone", family]
    common = ("batch_size=8", "precision=float32", "validations=2")
    run(*line, "--objective", objective, "--out", str(tmp_path / "out"), sets=(*common, *more))
    made = provenance(tmp_path / "out")
    assert made is not None and made["synthetic"] is True
    history = made["history"]
    assert history[-1]["validation_loss"] < history[0]["validation_loss"]
    if objective == "ctc":
        assert history[-1]["cer"] < 0.5 * history[0]["cer"]


def test_every_setting_is_in_the_users_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "specialize.md").read_text(encoding="utf-8")
    for name, info in Settings.model_fields.items():
        assert f"| `{name}` |" in page and (info.description or "") in page, name
