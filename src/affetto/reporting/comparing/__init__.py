"""Comparison of two folders of runs: scores, settings, inputs, versions."""
