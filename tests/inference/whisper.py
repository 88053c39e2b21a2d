"""A tiny random Whisper with its decoder and a made-up tokenizer of words."""

from __future__ import annotations

from pathlib import Path

import torch

WORDS = ("mare", "sole", "vento", "luna", "strada", "casa", "pane", "fiume", "neve", "porta", "voce", "sera")
SPECIAL = ("<pad>", "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|it|>", "<|transcribe|>", "<|notimestamps|>")


def write_whisper(folder: Path, *, chunk_seconds: int = 30) -> Path:
    """Write the folder; `chunk_seconds` is the length of sound that it takes at once."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import (
        GenerationConfig,
        PreTrainedTokenizerFast,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
    )

    numbers = {token: number for number, token in enumerate((*SPECIAL, *WORDS))}
    ends = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 1, "decoder_start_token_id": 2}
    shape = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = WhisperConfig(
        vocab_size=len(numbers),
        max_source_positions=50 * chunk_seconds,
        max_target_positions=64,
        init_std=0.4,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        **ends,
        **shape,
        **heads,
    )
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        is_multilingual=True,
        lang_to_id={"<|en|>": 3, "<|it|>": 4},
        task_to_id={"transcribe": 5},
        no_timestamps_token_id=6,
        max_length=64,
        suppress_tokens=[0, *range(2, 7)],
        **ends,
    )
    model.save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=chunk_seconds).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<|endoftext|>", additional_special_tokens=SPECIAL[2:]
    ).save_pretrained(folder)
    return folder
