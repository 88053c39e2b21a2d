"""Targets: what a model predicts of a clip, with its loss, its activation and the measures it goes by."""
