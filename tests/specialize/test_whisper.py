"""`seq2seq` on a Whisper as OpenAI publishes it, in small: its tokens, and that its child is a Whisper again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import pre_tokenizers
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from affetto.errors import UserError
from affetto.specialize import objectives, parents
from affetto.specialize.prompt import MULTILINGUAL_TOKENS
from affetto.specialize.run import save_preprocessor
from affetto.specialize.spec import settings
from specialize.recordings import VOCABULARY, generator, said

LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
SPOKEN = tuple(f"<|{code}|>" for code in LANGUAGES if code != "yue")  # which only Whisper large knows, since its third
SPECIAL = (
    *("<|endoftext|>", "<|startoftranscript|>"),
    *SPOKEN,
    *("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"),
)
NUMBERS = {token: number for number, token in enumerate((*LETTERS, *SPECIAL))}
BEFORE = [NUMBERS[token] for token in ("<|it|>", "<|transcribe|>", "<|notimestamps|>")]


def whisper(folder: Path, tokens: int = MULTILINGUAL_TOKENS) -> Path:
    """A checkpoint with OpenAI's configuration, without `generation_config.json`, its window 3 s."""
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

    end = NUMBERS["<|endoftext|>"]
    config = WhisperConfig(
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        vocab_size=tokens,
        max_source_positions=150,
        max_target_positions=64,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=NUMBERS["<|startoftranscript|>"],
        suppress_tokens=[1, 2],
        begin_suppress_tokens=[220, end],
    )
    torch.manual_seed(0)
    WhisperForConditionalGeneration(config).save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    content = json.loads((folder / "config.json").read_text())
    # As openai/whisper-*: to begin with the tokens of a language and a task.
    content |= {"forced_decoder_ids": [[place, number] for place, number in enumerate(BEFORE, start=1)]}
    (folder / "config.json").write_text(json.dumps(content))
    WhisperFeatureExtractor(chunk_length=3).save_pretrained(folder)
    tokenizer = WhisperTokenizer(vocab={token: NUMBERS[token] for token in (*LETTERS, SPECIAL[0])}, merges=[])
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL[1:])})
    assert tokenizer.convert_tokens_to_ids("<|notimestamps|>") == NUMBERS["<|notimestamps|>"]
    tokenizer.save_pretrained(folder)
    return folder


def seq2seq(folder: Path, language: str = "it", **chosen: str) -> Any:
    parent = parents.load_parent(str(folder), None, "seq2seq", 0)
    resolved = settings("seq2seq", "full", None, chosen)
    vocabulary = VOCABULARY if objectives.over_characters("seq2seq", resolved) else None
    return objectives.make("seq2seq", parent, resolved, "full", vocabulary, language)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whisper(tmp_path_factory.mktemp("whisper"))


def test_a_text_is_written_as_whisper_learned_to_write(parent: Path) -> None:
    """After the tokens of language and task, which no generation_config.json has to ask for, and after a space."""
    objective = seq2seq(parent)
    assert objective._labels("Mare. ") == [
        *BEFORE,
        *(NUMBERS[letter] for letter in ("Ġ", "M", "a", "r", "e", ".")),
        NUMBERS["<|endoftext|>"],
    ]
    assert objective.facts() == {"before_text": [*BEFORE, " "]} and objective.heads == "of the parent"
    assert ["taken for it by its vocabulary" in note for note in objective.notes] == [True]
    assert objective.doubt(4.9) is None and "7.3 nats a token before training" in str(objective.doubt(7.349))
    with pytest.raises(UserError, match=r"--language yue: this Whisper knows no such language"):
        seq2seq(
            parent, "yue"
        )  # transformers' tokenizer takes it, for the token that stands where it would: <|translate|>


def test_an_english_whisper_is_not_asked_for_another_language(tmp_path: Path) -> None:
    """Its tokenizer has their tokens all the same."""
    folder = whisper(tmp_path, MULTILINGUAL_TOKENS - 1)
    with pytest.raises(UserError, match=r"^--language it: this Whisper is English-only, .* take the multilingual"):
        seq2seq(folder)
    objective = seq2seq(folder, "en")
    numbers = objective._labels("sea")
    assert numbers[:2] == [NUMBERS["<|notimestamps|>"], NUMBERS["Ġ"]] and not objective.notes
    (folder / "generation_config.json").write_text('{"is_multilingual": true}')  # what it says itself goes first
    assert seq2seq(folder)._labels("mare")[:3] == BEFORE


def test_a_shorter_window_is_that_of_a_whisper_with_fewer_positions(parent: Path, tmp_path: Path) -> None:
    """The loss is transformers' own of such a model; the child has the whole table of positions again."""
    from transformers import WhisperForConditionalGeneration

    whole = WhisperForConditionalGeneration.from_pretrained(parent)
    table = whole.model.encoder.embed_positions.weight.detach().clone()
    objective = seq2seq(parent, window_seconds="1.0")
    batch = objective.batch([objective.item(said("mare"), "mare", generator())])
    assert batch["input_features"].shape[2] == 100 and objective.padded(1) == 16000
    whole.config.max_source_positions = 50
    whole.model.encoder.embed_positions = torch.nn.Embedding.from_pretrained(table[:50])
    expected = whole.eval()(input_features=batch["input_features"], labels=batch["labels"]).loss
    objective.model.eval()
    loss, tokens = objective.loss(batch)
    assert (loss / tokens).item() == pytest.approx(expected.item(), rel=1e-5)
    longer = seq2seq(parent)
    assert longer.batch([longer.item(said("mare"), "mare", generator())])["input_features"].shape[2] == 300
    objective.save(tmp_path)
    child = WhisperForConditionalGeneration.from_pretrained(tmp_path)
    assert child.config.max_source_positions == len(table)
    assert torch.equal(child.model.encoder.embed_positions.weight, table)


def test_a_window_is_checked(parent: Path) -> None:
    with pytest.raises(UserError, match=r"^setting window_seconds=5: .* takes 0.02 to 3 s$"):
        seq2seq(parent, window_seconds="5")
    with pytest.raises(UserError, match=r"^settings shortest_seconds=2 and window_seconds=1 leave no clip"):
        settings("seq2seq", "full", None, {"window_seconds": "1", "shortest_seconds": "2"})
    window = settings("ctc", "full", None, {"window_seconds": "1"})
    with pytest.raises(UserError, match=r"^setting window_seconds: ctc does not pad clips"):
        objectives.make("ctc", parents.load_parent(str(parent), None, "ctc", 0), window, "full", VOCABULARY, "it")
    assert settings("seq2seq", "full", None, {"window_seconds": "8"}).longest == 8
    assert settings("seq2seq", "full", None, {"window_seconds": "8", "longest_seconds": "5"}).longest == 5


@pytest.mark.parametrize("decoder", ["own", "new"])
def test_transformers_generates_with_the_child(decoder: str, parent: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, WhisperForConditionalGeneration

    objective = seq2seq(parent, decoder=decoder)
    objective.save(tmp_path)
    save_preprocessor(objective.parent, tmp_path)
    child = WhisperForConditionalGeneration.from_pretrained(tmp_path).eval()
    batch = objective.batch([objective.item(said("mare"), "mare", generator())])
    asked = {"language": "it", "task": "transcribe"} if decoder == "own" else {}
    tokens = child.generate(batch["input_features"], max_new_tokens=5, do_sample=False, **asked)
    assert tokens.shape[1] > 0 and int(tokens.max()) < child.config.vocab_size
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    if decoder == "own":
        assert child.generation_config.lang_to_id == {token: NUMBERS[token] for token in SPOKEN}
        assert child.generation_config.task_to_id["transcribe"] == NUMBERS["<|transcribe|>"]
        assert tokenizer.prefix_tokens[1:] == BEFORE
