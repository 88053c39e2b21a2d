"""wav2vec 2.0 (Baevski et al. 2020) and XLSR (Conneau et al. 2021)."""

from __future__ import annotations

from affetto.backbones.config_fields import PRE_NORM
from affetto.backbones.families.waves import WaveFamily

WAV2VEC2 = WaveFamily(
    name="wav2vec2",
    title="wav2vec 2.0",
    citation='Baevski et al., "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations", '
    "NeurIPS 2020",
    backbone="affetto.backbones.encoders.wav2vec2:Wav2Vec2Backbone",
    config="transformers:Wav2Vec2Config",
    model="transformers:Wav2Vec2Model",
    stock="transformers:Wav2Vec2ForSequenceClassification",
    stock_ctc="transformers:Wav2Vec2ForCTC",
    stock_encoder="wav2vec2",
    miniature="wav2vec2-mini",
    pre_norm_miniature="xlsr-mini",
    objectives=("masked", "ctc"),
    from_scratch={"wav2vec2": {}, "xlsr": PRE_NORM},
)
