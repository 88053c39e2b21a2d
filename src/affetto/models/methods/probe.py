"""Probe: logistic regression on a frozen backbone."""

from __future__ import annotations

from affetto.models.methods.frozen import Frozen


class Probe(Frozen):
    """Frozen backbone under logistic regression: the baseline that other methods must beat.

    Its settings make it one: a linear head on one state's statistics, started as a logistic regression and not trained
    further.
    """

    name = "probe"
    title = "probe"
    trains = "nothing of the backbone; the head is solved for"
    takes_steps = False
    is_baseline = True
    whole_recipe = {
        "model": {"pooling": "layer", "layer": "auto", "states": "auto", "head": "statistics", "head_dropout": 0.0},
        "training": {"warm_start": "probe", "refit": True, "epochs": 0},
    }
