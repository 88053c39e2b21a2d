"""Speaker-independent splits: protocols, the optimiser behind them, and the audit that proves them."""

from affetto.splits.audit import render
from affetto.splits.protocols import PROTOCOLS, default_protocol, inner_folds, make_split
from affetto.splits.split import Fold, Split

__all__ = ["PROTOCOLS", "Fold", "Split", "default_protocol", "inner_folds", "make_split", "render"]
