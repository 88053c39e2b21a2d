"""Each objective on each family that takes it: padding is in no loss, everything trains, what is saved is what was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from affetto.backbones.checkpoints import load_backbone
from affetto.errors import UserError
from affetto.specialize import parents
from affetto.specialize.ctc import HEAD_FILE, frames_needed
from affetto.specialize.run import save_preprocessor
from specialize.recordings import VOCABULARY, generator, make, said, tiny  # noqa: F401  # a fixture

SYSTEMS = [
    ("wav2vec2", "masked"),
    ("xlsr", "masked"),
    ("wav2vec2", "ctc"),
    ("xlsr", "ctc"),
    ("hubert", "ctc"),
    ("wavlm", "ctc"),
    ("whisper", "ctc"),
    ("whisper", "seq2seq"),
]
TEXTS = ("mare", "luna neve ramo", "leva verme")


def built(family: str, objective: str, method: str = "full", **chosen: Any) -> Any:
    return make(family, objective, method, **chosen, **({"decoder": "new"} if objective == "seq2seq" else {}))


def items(objective: Any, texts: tuple[str, ...] = TEXTS) -> list[Any]:
    return [objective.item(said(text, n), text, generator(n)) for n, text in enumerate(texts)]


@pytest.mark.parametrize(("family", "name"), SYSTEMS)
def test_a_clips_loss_does_not_depend_on_what_is_beside_it(family: str, name: str) -> None:
    objective = built(family, name)
    objective.model.eval()
    if name == "masked":  # the diversity of the codebook is a property of a batch, by definition; see below
        objective.model.config.diversity_loss_weight = 0.0
    with torch.no_grad():
        together, units = objective.loss(objective.batch(items(objective)))
        alone = [objective.loss(objective.batch([item])) for item in items(objective)]
    assert units == sum(int(n) for _, n in alone)
    torch.testing.assert_close(together, sum(loss for loss, _ in alone), rtol=2e-5, atol=1e-4)


def test_padding_is_in_no_diversity_loss_either() -> None:
    objective = built("wav2vec2", "masked")
    objective.model.eval()
    batch = objective.batch(items(objective, TEXTS[:2]))
    longer = objective.batch([*items(objective, TEXTS[:2]), objective.item(said("mare " * 5), "", generator())])
    rows = {n: t[:2] for n, t in longer.items()}
    with torch.no_grad():
        plain, padded = (objective.loss(b)[0] for b in (batch, rows))
    torch.testing.assert_close(plain, padded, rtol=2e-5, atol=1e-4)


def test_gradients_of_a_padded_batch_are_those_of_the_clips() -> None:
    objective = built("wav2vec2", "ctc")  # group norm, whose statistics see the whole row in the stock class
    objective.model.eval()
    objective.loss(objective.batch(items(objective)))[0].backward()
    together = {name: p.grad.clone() for name, p in objective.trainable().items() if p.grad is not None}
    objective.model.zero_grad()
    for item in items(objective):
        objective.loss(objective.batch([item]))[0].backward()
    for name, p in objective.trainable().items():
        if name in together:
            torch.testing.assert_close(together[name], p.grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("family", "name"), SYSTEMS)
@pytest.mark.parametrize("method", ["full", "lora"])
def test_everything_that_should_train_gets_a_gradient(family: str, name: str, method: str) -> None:
    objective = built(family, name, method, gradient_checkpointing=method == "full")
    objective.model.train()
    np.random.seed(0)
    objective.at_step(0)
    objective.loss(objective.batch(items(objective)))[0].backward()
    trained = objective.trainable()
    # A mask is only drawn by chance in ctc, and its embedding trained only where it is.
    assert [n for n, p in trained.items() if p.grad is None and "masked_spec_embed" not in n] == []
    front = [n for n in trained if "feature_extractor" in n or "conv1" in n]
    assert bool(front) == (method == "full")  # from nothing the convolutions train too
    if method == "lora":
        assert any("lora_A" in n for n in trained) and not any("base_layer" in n for n in trained)


def test_gradient_checkpointing_changes_no_gradient() -> None:
    grads = []
    for again in (False, True):
        objective = built("xlsr", "ctc", gradient_checkpointing=again, spec_augment=False)
        objective.model.train()
        torch.manual_seed(3)
        objective.loss(objective.batch(items(objective)))[0].backward()
        grads.append({name: p.grad for name, p in objective.trainable().items()})
    for name, grad in grads[0].items():
        torch.testing.assert_close(grad, grads[1][name], msg=name)


@pytest.mark.parametrize(("family", "name"), SYSTEMS)
def test_the_checkpoint_is_transformers_own_and_gives_the_same_states(family: str, name: str, tmp_path: Path) -> None:
    import transformers

    objective = built(family, name, "lora")
    with torch.no_grad():
        for n, p in objective.trainable().items():
            p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(len(n))))
    objective.merge()
    objective.save(tmp_path)
    save_preprocessor(objective.parent, tmp_path)
    config = transformers.AutoConfig.from_pretrained(tmp_path)
    assert getattr(config, "layerdrop", 0.1) == 0.1  # the family's, not what training here needs
    cls: Any = getattr(transformers, config.architectures[0])
    model, report = cls.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    backbone = load_backbone(str(tmp_path))
    assert backbone.weights_digest() == objective.backbone.weights_digest()

    seconds = 150 * 320 / 16_000 if family == "whisper" else 1.0
    wave = np.pad(said("mare luna"), (0, 48_000))[: round(16_000 * seconds)]
    encoder = model.eval().get_encoder() if family == "whisper" else getattr(model.eval(), model.base_model_prefix)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(tmp_path)
    with torch.no_grad():
        if family == "whisper":
            mel = extractor(wave, sampling_rate=16_000, return_tensors="pt", padding="do_not_pad").input_features
            theirs = encoder(mel).last_hidden_state[0]
        else:
            theirs = encoder(extractor(wave, sampling_rate=16_000, return_tensors="pt").input_values)
            theirs = theirs.last_hidden_state[0]
        hidden = backbone.embed(backbone.features(backbone.prepare(wave))[None], None)
        context = backbone.context(None, hidden.shape[1])
        for index in range(backbone.depth):
            hidden = backbone.block(index, hidden, context)
        ours = backbone.finish(hidden)[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-5)
    if name == "ctc" and family != "whisper":
        processor = transformers.Wav2Vec2Processor.from_pretrained(tmp_path)
        assert processor.tokenizer("mare").input_ids == objective.vocabulary.encode("mare")
        assert config.ctc_loss_reduction == "mean"
    if family == "whisper" and name == "ctc":
        assert (tmp_path / HEAD_FILE).is_file()


def test_a_head_goes_on_where_the_parent_has_it_for_the_same_characters(tmp_path: Path) -> None:
    objective = built("wav2vec2", "ctc")
    objective.save(tmp_path)
    save_preprocessor(objective.parent, tmp_path)
    from affetto.specialize import objectives
    from affetto.specialize.spec import settings
    from affetto.specialize.text import Vocabulary

    parent = parents.load_parent(str(tmp_path), None, "ctc", 0)
    chosen = settings("ctc", "full", None)
    again = objectives.make("ctc", parent, chosen, "full", VOCABULARY, "it")
    torch.testing.assert_close(again.model.lm_head.weight, objective.model.lm_head.weight)
    other = objectives.make("ctc", parent, chosen, "full", Vocabulary(" aelmnruvz"), "it")
    assert not torch.equal(other.model.lm_head.weight, objective.model.lm_head.weight)
    assert not again.trains_front_end
    assert (again.heads, again.notes, other.heads) == ("of the parent", [], "new")
    assert ["has none for this vocabulary" in note for note in other.notes] == [True]
    encoder = parents.load_parent(str(tmp_path), None, "masked", 0)
    masked = objectives.make("masked", encoder, settings("masked", "full", None), "full", None, "it")
    assert masked.heads == "new" and ["codebook and projections are new" in note for note in masked.notes] == [True]


def test_the_codebook_goes_on_in_masked(tmp_path: Path) -> None:
    objective = built("wav2vec2", "masked")
    objective.save(tmp_path)
    save_preprocessor(objective.parent, tmp_path)
    parent = parents.load_parent(str(tmp_path), None, "masked", 0)
    from affetto.specialize import objectives
    from affetto.specialize.spec import settings

    again: Any = objectives.make("masked", parent, settings("masked", "full", None), "full", None, "it")
    torch.testing.assert_close(again.model.quantizer.codevectors, objective.model.quantizer.codevectors)
    assert again.heads == "of the parent" and again.notes == []


@pytest.mark.parametrize(
    ("family", "name", "takes"),
    [
        ("hubert", "masked", "ctc"),
        ("wavlm", "seq2seq", "ctc"),
        ("whisper", "masked", "ctc or seq2seq"),
        ("wav2vec2", "seq2seq", "masked or ctc"),
    ],
)
def test_an_objective_that_the_family_lacks_is_refused_with_those_that_it_has(
    family: str, name: str, takes: str
) -> None:
    with pytest.raises(UserError, match=f"takes {takes}"):
        built(family, name)


def test_a_text_needs_a_frame_a_letter_and_one_between_two_alike() -> None:
    assert frames_needed("alla") == 5 and frames_needed("") == 0
    objective = built("wav2vec2", "ctc")
    assert objective.fits(16_000, "a" * 25) and not objective.fits(16_000, "a" * 26)  # 49 frames


def test_seq2seq_writes_greedily_what_generate_writes() -> None:
    objective = built("whisper", "seq2seq")
    objective.model.eval()
    with torch.no_grad():
        torch.manual_seed(4)
        # Else all say the same; so they do where scores are tied to tokens.
        objective.model.model.decoder.embed_positions.weight.normal_(std=2.0)
        objective.model.proj_out.weight = torch.nn.Parameter(torch.randn(objective.model.proj_out.weight.shape))
        objective.model.proj_out.weight[:5] = 0.0  # a letter is likelier than an end
        batch = objective.batch(items(objective))
        limit = 2 * batch["labels"].shape[1] + 1
        ours = objective.transcribe(batch)
        theirs = objective.model.generate(batch["input_features"], max_length=limit, do_sample=False, num_beams=1)
    texts = objective.tokenizer.batch_decode(theirs, skip_special_tokens=True)
    assert len(set("".join(ours))) > 2
    own = (batch["labels"] >= 0).sum(1).tolist()
    assert len(set(own)) > 1
    for a, b, tokens in zip(ours, texts, own, strict=True):
        # Each clip by its own text's length, whatever is beside it; +1: the start.
        assert b.startswith(a) and len(b[: 2 * tokens]) <= len(a) + 1
    alone = [objective.transcribe(objective.batch([one]))[0] for one in items(objective)]
    assert alone == ours


def test_seq2seq_without_a_tokenizer_or_a_decoder_says_what_to_do(tmp_path: Path) -> None:
    objective = built("whisper", "ctc")
    objective.save(tmp_path)
    save_preprocessor(objective.parent, tmp_path)
    from affetto.specialize import objectives
    from affetto.specialize.spec import settings

    parent = parents.load_parent(str(tmp_path), None, "seq2seq", 0)
    with pytest.raises(UserError, match=r"no tokenizer in it.*--set decoder=new"):
        objectives.make("seq2seq", parent, settings("seq2seq", "full", None), "full", None, "it")
    with pytest.raises(UserError, match="from-scratch has none"):
        make("whisper", "seq2seq")
