"""WavLM (Chen et al. 2022)."""

from __future__ import annotations

from affetto.backbones.families.waves import WaveFamily

WAVLM = WaveFamily(
    name="wavlm",
    title="WavLM",
    citation='Chen et al., "WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing", IEEE '
    "Journal of Selected Topics in Signal Processing 16(6), 2022",
    backbone="affetto.backbones.encoders.wavlm:WavLMBackbone",
    config="transformers:WavLMConfig",
    model="transformers:WavLMModel",
    stock="transformers:WavLMForSequenceClassification",
    stock_ctc="transformers:WavLMForCTC",
    stock_encoder="wavlm",
    attention="eager",  # transformers has no other; the backbone brings its own
    normalizes=False,
    uses_mask=True,
    miniature="wavlm-mini",
    objectives=("ctc",),
    from_scratch={"wavlm": {}},
)
