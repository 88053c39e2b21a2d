"""HuBERT (Hsu et al. 2021)."""

from __future__ import annotations

from affetto.backbones.families.waves import WaveFamily

HUBERT = WaveFamily(
    name="hubert",
    title="HuBERT",
    citation='Hsu et al., "HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden '
    'Units", IEEE/ACM Transactions on Audio, Speech, and Language Processing 29, 2021',
    backbone="affetto.backbones.encoders.hubert:HubertBackbone",
    config="transformers:HubertConfig",
    model="transformers:HubertModel",
    stock="transformers:HubertForSequenceClassification",
    stock_ctc="transformers:HubertForCTC",
    stock_encoder="hubert",
    miniature="hubert-mini",
    objectives=("ctc",),
    from_scratch={"hubert": {}},
)
