"""Inference: a trained classifier applied to recordings, by the same path as in training."""
