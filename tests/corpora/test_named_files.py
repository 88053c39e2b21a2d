"""Corpora whose file names say all: the names of each, and the rules that hold for all of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

import pytest

from affetto.corpora import published
from affetto.corpora.manifest import Clip
from affetto.corpora.named_files import Naming
from affetto.corpora.registry import CORPORA, detect, open_corpus
from affetto.errors import UserError
from affetto.splits.protocols import parse_protocol

MODULES = [importlib.import_module(f"{published.__name__}.{m.name}") for m in pkgutil.iter_modules(published.__path__)]
NAMINGS: dict[str, Naming] = {module.CORPUS.name: module.NAMING for module in MODULES if hasattr(module, "NAMING")}

FILES: dict[str, list[tuple[str, tuple[str, ...]]]] = {
    "aesdd": [
        ("anger/a03 (4).wav", ("anger", "4", "male", "03")),
        ("fear/f18 (05)b.wav", ("fear", "5", "female", "18")),
    ],
    "ai4ser": [
        ("07/hap_03_07.wav", ("joy", "07", "", "03")),
    ],
    "ased": [
        ("05Angry/a5-03-01-02-50.wav", ("anger", "50", "male", "a5-03")),
        ("04Sad/S4-04-02-01-29.wav", ("sadness", "29", "female", "s4-04")),
        ("01Neutral/n1-01-01-02-21.wav", ("neutrality", "21", "female", "n1-01")),
    ],
    "baved": [
        ("0/100-f-6-0-2-2.wav", ("high", "100", "female", "0", "اعجبني")),
        ("3/53-m-20-3-1-1020.wav", ("normal", "46", "male", "3", "الفيلم")),
    ],
    "cafe": [
        ("Colère/Faible/01-C-1-1.wav", ("anger", "01", "male", "1", "Un cheval fou dans mon jardin", "mild")),
        ("Neutre/12-N-6.aiff", ("neutrality", "12", "female", "6", "Six ours aimants domestiqués")),
        ("Neutre/12-N-1-6.wav", ("neutrality", "12", "female", "6", "Six ours aimants domestiqués")),
    ],
    "cremad": [
        ("AudioWAV/1002_IEO_HAP_LO.wav", ("joy", "1002", "female", "ieo", "It's eleven o'clock", "low")),
        ("AudioWAV/1001_DFA_NEU_XX.wav", ("neutrality", "1001", "male", "dfa", "Don't forget a jacket")),
    ],
    "emodb": [
        ("wav/03a01Fa.wav", ("joy", "03", "male", "a01", "Der Lappen liegt auf dem Eisschrank.")),
        ("wav/16b10Ab.wav", ("fear", "16", "female", "b10", "Die wird auf dem Platz sein, wo wir sie immer hinlegen.")),
    ],
    "emovdb": [
        ("bea_Amused/amused_1-15_0001.wav", ("joy", "bea", "female", "0001")),
        ("EmoV-DB_sorted/josh/Neutral/Neutral_1_28_0560.wav", ("neutrality", "josh", "male", "0560")),
    ],
    "enterface": [
        ("subject 19/anger/sentence 4/s19_an_4.wav", ("anger", "19", "", "an_4")),
        ("subject 3/surprise/sentence 1/s_3_su_1.wav", ("surprise", "3", "", "su_1")),
    ],
    "esd": [
        ("0011/Angry/train/0011_000351.wav", ("anger", "0011", "male", "english-001", "", "english")),
        ("0002/Sad/0002_001400.wav", ("sadness", "0002", "female", "mandarin-350", "", "mandarin")),
    ],
    "jl": [
        ("JL(wav+txt)/female1_angry_10a_1.wav", ("anger", "female1", "female", "10")),
        ("JL(wav+txt)/male2_excited_3b_2.wav", ("joy", "male2", "male", "3")),
    ],
    "mesd": [
        ("Anger_F_A_basta_ya.wav", ("anger", "F", "female", "basta_ya", "basta ya", "common")),
        ("Happiness_C_B_risa.wav", ("joy", "C", "", "risa", "risa", "emotional")),
    ],
    "nemo": [
        ("samples/EB0_surprised_64.wav", ("surprise", "EB0", "female", "64")),
    ],
    "ravdess": [
        (
            "Actor_18/03-01-05-02-02-01-18.wav",
            ("anger", "18", "female", "02", "Dogs are sitting by the door", "strong"),
        ),
        ("03-01-01-01-01-02-07.wav", ("neutrality", "07", "male", "01", "Kids are talking by the door", "normal")),
    ],
    "savee": [
        ("AudioData/DC/sa01.wav", ("sadness", "DC", "male", "sa01")),
        ("ALL/KL_su15.wav", ("surprise", "KL", "male", "su15")),
    ],
    "shemo": [
        ("female/F21N37.wav", ("neutrality", "F21", "female")),
    ],
    "subesco": [
        ("F_02_MONIKA_S_2_SURPRISE_3].wav", ("surprise", "F_02", "female", "2")),
    ],
    "tess": [
        ("OAF_angry/OAF_back_angry.wav", ("anger", "OAF", "female", "back", "Say the word back")),
        ("OAF_neutral/OA_bite_neutral.wav", ("neutrality", "OAF", "female", "bite", "Say the word bite")),
        ("YAF_food_ps.wav", ("surprise", "YAF", "female", "food", "Say the word food")),
    ],
    "turev": [
        ("Sound Source/Calm/1984_sk_ogul1.wav", ("neutrality", "1984", "", "ogul")),
    ],
    "urdu": [
        ("Angry/SM1_F10_A010.wav", ("anger", "SM1", "male")),
    ],
}
"""Files of each corpus, and the emotion, speaker, gender, prompt, words and extras that their names tell."""


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def facts(clip: Clip) -> tuple[str, ...]:
    texts = (clip.emotion, clip.speaker, clip.gender, clip.prompt, clip.sentence, *dict(clip.extra).values())
    return tuple(text or "" for text in texts)


def padded(texts: tuple[str, ...], length: int) -> tuple[str, ...]:
    return texts + ("",) * (length - len(texts))


def test_each_corpus_of_this_kind_has_its_names_here() -> None:
    assert list(FILES) == sorted(NAMINGS)


@pytest.mark.parametrize(("name", "file", "expected"), [(n, *row) for n, rows in FILES.items() for row in rows])
def test_a_name_tells_all_of_its_clip(tmp_path: Path, name: str, file: str, expected: tuple[str, ...]) -> None:
    root = touch(tmp_path / "corpus", file)
    assert detect(root).name == name
    (clip,) = open_corpus(name, root).clips
    assert facts(clip) == padded(expected, len(facts(clip)))
    assert clip.corpus == name


@pytest.mark.parametrize("name", FILES)
def test_the_record_of_a_corpus_agrees_with_its_names(tmp_path: Path, name: str) -> None:
    naming, corpus = NAMINGS[name], CORPORA[name]
    assert set(naming.emotions.values()) == set(corpus.official or corpus.uncounted)
    assert {clip.emotion for clip in open_corpus(name, touch(tmp_path, naming.example)).clips} <= set(corpus.labels)
    assert parse_protocol(corpus.protocol) and corpus.protocol_reason and corpus.citation and corpus.language
    assert corpus.licence and corpus.source and corpus.speakers >= len(naming.speakers)
    if corpus.folds:
        assert sorted(speaker for fold in corpus.folds for speaker in fold) == sorted(naming.speakers)


@pytest.mark.parametrize("name", FILES)
def test_wherever_the_files_lie(tmp_path: Path, name: str) -> None:
    """Capitals, what archives add, files of other names; and a wrong folder says what was looked for."""
    (file, _), *_ = FILES[name]
    root = touch(tmp_path / "a/b", file.upper(), f"__MACOSX/{file}", "read me.pdf", "other.wav")
    hidden = root / file
    touch(root, f"{hidden.parent.relative_to(root).as_posix()}/._{hidden.name}")
    manifest = open_corpus(None, tmp_path)
    (clip,) = manifest.clips
    assert manifest.path(clip) == root / file.upper()
    assert any("other.wav" in note for note in manifest.notes) or manifest.root != root
    counts = [note for note in manifest.notes if f"1 clip, officially {CORPORA[name].clips}" in note]
    assert len(counts) == bool(CORPORA[name].official)
    wrong = touch(tmp_path / "wrong", "slides.pdf")
    with pytest.raises(UserError) as raised:
        open_corpus(name, wrong)
    assert NAMINGS[name].example in str(raised.value) and "found 1 .pdf file named slides.pdf" in str(raised.value)


def test_a_second_copy_below_the_first_is_passed_over(tmp_path: Path) -> None:
    names = ("OAF_angry/OAF_back_angry.wav", "YAF_sad/YAF_back_sad.wav")
    root = touch(tmp_path / "tess", *names, *(f"copy/{name}" for name in names))
    manifest = open_corpus("tess", root)
    assert [clip.file for clip in manifest.clips] == list(names)
    assert "2 files have the name of another and were passed over as copies: copy/OAF_angry" in manifest.notes[0]


def test_two_whole_copies_beside_one_another_are_ambiguous(tmp_path: Path) -> None:
    touch(tmp_path, "one/OAF_back_angry.wav", "two/OAF_back_angry.wav")
    with pytest.raises(UserError, match=r"TESS lies in two folders, .*one and .*two: give one of them"):
        open_corpus("tess", tmp_path)


def test_an_inner_folder_means_the_corpus_where_the_folder_belongs_to_the_name(tmp_path: Path) -> None:
    root = touch(tmp_path / "AESDD", "anger/a03 (4).wav", "fear/f01 (1).wav")
    manifest = open_corpus(None, root / "anger")
    assert manifest.root == root and len(manifest.clips) == 2
    assert f"AESDD was found in {root}" in manifest.notes[0]


def test_a_file_of_another_actor_is_passed_over(tmp_path: Path) -> None:
    """As in a mirror of RAVDESS, which moreover holds songs."""
    names = ("Actor_02/03-01-05-01-01-01-02.wav", "Actor_05/03-01-05-01-01-01-05.wav")
    touch(tmp_path, *names, "Actor_05/03-01-05-01-01-01-02.wav", "Actor_05/03-02-05-01-01-01-05.wav")
    manifest = open_corpus("ravdess", tmp_path)
    assert [clip.file for clip in manifest.clips] == list(names)
    assert "1 file has the name of another and was passed over as copies: Actor_05/03-01-05" in manifest.notes[0]
    assert "1 audio file does not fit" in manifest.notes[1] and "Actor_05/03-02-" in manifest.notes[1]


def test_a_speaker_whom_the_corpus_does_not_have_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "s1_an_1.wav", "subject 6/s6_an_1.wav", "subject 6/s6_fe_1.wav", "s6_an.wav")
    notes = open_corpus("enterface", tmp_path).notes
    assert notes[:2] == (
        "2 audio files of a speaker whom eNTERFACE'05 does not have (6) were passed over: subject 6/s6_an_1.wav, "
        "subject 6/s6_fe_1.wav; 6: the recordings of subject 6 are not cut into sentences",
        "1 audio file does not fit s<subject>_<emotion>_<sentence>.wav and was passed over: s6_an.wav",
    )


OTHERS = {
    "ravdess": ("03-01-02-01-01-01-01.wav", "calm"),
    "emodb": ("03a01Lb.wav", "boredom"),
    "emovdb": ("sam_Sleepy/sleepiness_1-28_0001.wav", "sleepiness"),
    "jl": ("male1_apologetic_6b_1.wav", "apologetic"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_labels_beside_the_seven_are_left_out_kept_or_mapped(tmp_path: Path, name: str) -> None:
    file, label = OTHERS[name]
    touch(tmp_path, file, FILES[name][0][0])
    assert label not in open_corpus(name, tmp_path).labels
    assert label in open_corpus(name, tmp_path, keep_other=True).labels
    mapped = open_corpus(name, tmp_path, label_map={label: "neutral"})
    assert "neutrality" in mapped.labels and len(mapped.clips) == 2
    assert any(f"1 clip of {label} is left out" in note for note in open_corpus(name, tmp_path).notes)


def test_the_words_of_jl_come_from_the_text_beside_a_clip(tmp_path: Path) -> None:
    touch(tmp_path, "male2_neutral_6b_2.wav", "male2_neutral_7b_2.wav")
    (tmp_path / "male2_neutral_6b_2.txt").write_text("Jack views an art piece.\n", encoding="utf-8")
    assert [clip.sentence for clip in open_corpus("jl", tmp_path).clips] == ["Jack views an art piece.", None]


def test_archives_beside_an_incomplete_copy_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "OAF_angry/OAF_back_angry.wav", "OAF_sad.zip")
    assert any("unpack OAF_sad.zip" in note for note in open_corpus("tess", tmp_path).notes)


def test_a_faulty_file_is_left_out_with_its_reason(tmp_path: Path) -> None:
    touch(tmp_path, "sadness/s05 (3).wav", "sadness/s05 (4).wav")
    manifest = open_corpus("aesdd", tmp_path)
    assert [clip.file for clip in manifest.clips] == ["sadness/s05 (4).wav"]
    assert "s05 (3).wav is left out: all copies lack its data" in manifest.notes


def test_a_speaker_that_the_corpus_does_not_have_is_no_clip_of_it(tmp_path: Path) -> None:
    touch(tmp_path, "13-C-1-1.wav", "12-C-1-1.wav")
    manifest = open_corpus("cafe", tmp_path)
    assert [clip.speaker for clip in manifest.clips] == ["12"]
    stranger = "1 audio file of a speaker whom CaFE does not have (13) was passed over: 13-C-1-1.wav"
    assert manifest.notes[0] == stranger


def test_the_words_of_nemo_come_from_its_table(tmp_path: Path) -> None:
    touch(tmp_path, "samples/EB0_anger_1.wav", "samples/EB0_fear_2.wav")
    (tmp_path / "data.tsv").write_text('file_id\temotion\traw_text\nEB0_anger_1.wav\tanger\tLubię "to".\n', "utf-8")
    assert [clip.sentence for clip in open_corpus("nemo", tmp_path).clips] == ['Lubię "to".', None]


def test_the_label_map_and_strict_reach_the_reader(tmp_path: Path) -> None:
    touch(tmp_path, "OAF_back_angry.wav", "OAF_back_sad.wav")
    manifest = open_corpus("tess", tmp_path, label_map={"joy": "drop", "anger": "hot", "sadness": "drop"})
    assert manifest.labels == ("hot",)
    with pytest.raises(UserError, match="2 clips, officially 2800"):
        open_corpus("tess", tmp_path, strict=True)


@pytest.mark.parametrize("where", [lambda p: p / "nowhere", lambda p: touch(p, "x.wav") / "x.wav"])
def test_nothing_is_recognised_in_nothing(tmp_path: Path, where: Callable[[Path], Path]) -> None:
    assert not any(naming.matches(where(tmp_path)) for naming in NAMINGS.values())
