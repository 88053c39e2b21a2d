"""What tables call the seven emotions."""

from __future__ import annotations

import pytest

from affetto.corpora.labels import ALIASES, EMOTIONS, OTHER_LABELS, canonical, find_emotion, find_label, in_order

NAMES = {
    "anger": "Anger angry ANG rabbia rab",
    "disgust": "disgust disgusted disgusto dis",
    "fear": "fear fearful fea paura pau",
    "joy": "joy happy Happiness hap gioia gio",
    "neutrality": "neutrality neutral neutrale neu",
    "sadness": "sadness sad tristezza tri",
    "surprise": "surprise surprised ps sur sorpresa sor",
}


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_each_emotion_by_all_of_its_names(emotion: str) -> None:
    assert {canonical(name, where="x") for name in NAMES[emotion].split()} == {emotion}
    assert {emotion, *ALIASES[emotion]} == {name.casefold() for name in NAMES[emotion].split()}


def test_single_letters_are_no_names_and_own_classes_come_last() -> None:
    assert [find_emotion(letter) for letter in "adfjns"] == [None] * 6
    assert in_order({"calm", "surprise", "anger", "boredom"}) == ("anger", "surprise", "boredom", "calm")


def test_a_user_s_map_counts_before_the_usual_names() -> None:
    told = {"joy": "good", "sad": "drop", "calm": "neutral"}
    labels = [canonical(name, where="x", label_map=told) for name in ("gio", "joy", "sad", "tri", "Calm")]
    assert labels == ["good", "good", None, "sadness", "neutrality"]


def test_labels_beside_the_seven_have_one_name_and_no_emotion_s_alias() -> None:
    assert [find_label(name) for name in ("Bored", "exc", "happy", "zeal")] == ["boredom", "excitement", "joy", None]
    usual = {name for emotion in EMOTIONS for name in (emotion, *ALIASES[emotion])}
    assert not usual & {name for label in OTHER_LABELS for name in (label, *OTHER_LABELS[label])}
