"""Fields of transformers' configurations, by their effect on the states of an encoder."""

from __future__ import annotations

PRE_NORM = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
"""Configuration of pre-LayerNorm checkpoints of wav2vec 2.0, such as XLSR's."""
DIGESTED = (
    "model_type",
    "conv_stride",
    "feat_extract_norm",
    "feat_extract_activation",
    "do_stable_layer_norm",
    "conv_pos_batch_norm",
    "num_attention_heads",
    "hidden_act",
    "layer_norm_eps",
    "max_bucket_distance",
    "encoder_attention_heads",
    "activation_function",
)
"""Fields that change the states without showing in the weights' names and shapes.

A saved model names its backbone by a digest over these: they stay as they are, so that it is found again.
"""
_FILES = (
    "_name_or_path architectures dtype id2label label2id output_attentions output_hidden_states problem_type "
    "return_dict transformers_version is_encoder_decoder chunk_size_feed_forward"
)
_TRAINING = (
    "activation_dropout apply_spec_augment attention_dropout dropout encoder_layerdrop feat_proj_dropout "
    "feat_quantizer_dropout final_dropout hidden_dropout layerdrop mask_feature_length mask_feature_min_masks "
    "mask_feature_prob mask_time_length mask_time_min_masks mask_time_prob init_std initializer_range"
)
_TEXT = (
    "begin_suppress_tokens bos_token_id decoder_attention_heads decoder_ffn_dim decoder_layerdrop decoder_layers "
    "decoder_start_token_id eos_token_id max_target_positions median_filter_width pad_token_id suppress_tokens "
    "tie_word_embeddings use_cache vocab_size"
)
_HEADS = (
    "classifier_proj_size codevector_dim contrastive_logits_temperature ctc_loss_reduction ctc_zero_infinity "
    "diversity_loss_weight num_codevector_groups num_codevectors_per_group num_ctc_classes num_negatives "
    "proj_codevector_dim tdnn_dilation tdnn_dim tdnn_kernel use_weighted_layer_sum xvector_output_dim"
)
IRRELEVANT = frozenset(" ".join((_FILES, _TRAINING, _TEXT, _HEADS)).split())
"""Fields that change no state of an encoder in eval mode. Any other field, a new one too, tells stored states apart."""
