"""Mixup: the draws of partners, and the loss of a mixture by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from affetto.models.head_layers import StatisticsHead
from affetto.targets.losses import class_weights
from affetto.training.augment_settings import AugmentSettings
from affetto.training.mixtures import draw_partners
from training.test_fit import CLIPS, FEATURES, LABELS, STEPS, TARGET, Clips, Frozen, fitted

NAMES = [str(n) for n in range(40)]


def test_partners_are_drawn_by_seed_epoch_and_clip() -> None:
    partners = draw_partners(NAMES, 1, 0, alpha=0.4)
    assert list(partners) == NAMES and {partner.clip for partner in partners.values()} <= set(NAMES)
    assert len({partner.clip for partner in partners.values()}) > 15
    assert all(0.5 <= partner.share <= 1 for partner in partners.values())
    assert draw_partners(NAMES, 1, 0, alpha=0.4) == partners
    for seed, epoch in ((1, 1), (2, 0)):
        changed = draw_partners(NAMES, seed, epoch, alpha=0.4)
        assert sum(changed[name] == partners[name] for name in NAMES) == 0
    assert draw_partners(NAMES, 1, 0, alpha=0.0) == {}
    mild, strong = (
        np.mean([partner.share for partner in draw_partners(NAMES, 1, 0, alpha=alpha).values()]) for alpha in (0.1, 5)
    )
    assert strong < 0.7 < 0.85 < mild


def test_the_loss_of_a_mixture_is_that_of_the_mixed_truth(tmp_path: Path) -> None:
    """At a rate of next to nothing, in one batch of all clips; classes and clips of a corpus are weighted."""
    clips = Clips(torch.randn(len(CLIPS), FEATURES, generator=torch.Generator().manual_seed(0)))
    still = {"lr": 1e-12, "method_lr": 1e-12, "batch_size": len(CLIPS), "epochs": 1}
    start = np.random.default_rng(0).normal(size=(len(LABELS), FEATURES)), np.ones(len(LABELS))
    head, factors = StatisticsHead(FEATURES // 2, len(LABELS), 0.0), dict.fromkeys(CLIPS[:4], 0.3)
    _, progress = fitted(
        clips,
        tmp_path,
        STEPS.model_copy(update=still),
        classifier=Frozen(head),
        head=start,
        factors=factors,
        augment=AugmentSettings(mixup=0.7),
    )
    partners = draw_partners(CLIPS, 5, 0, alpha=0.7)
    features, truth = [], []
    for clip, partner in partners.items():
        pair = ((clip, partner.share), (partner.clip, 1 - partner.share))
        features.append(sum(share * clips.features[name] for name, share in pair))
        counted = [(share * factors.get(name, 1.0), TARGET[name]) for name, share in pair]
        truth.append(sum(share * functional.one_hot(torch.tensor(label), 3).double() for share, label in counted))
    mixed, weights = torch.stack(truth), class_weights(torch.tensor([6, 3, 2])).double()
    logits = head.classify(torch.stack(features)).detach().double()
    sums = mixed.sum(1)
    losses = functional.cross_entropy(logits, mixed / sums[:, None], weights, reduction="none", label_smoothing=0.2)
    expected = float((losses * sums).sum() / (mixed @ weights).sum())
    assert progress.history[1]["loss"] == pytest.approx(expected, rel=1e-5)
    assert progress.history[1]["loss"] != pytest.approx(progress.history[0]["loss"], rel=1e-3)
