"""Stress tests: how the answers of a trained model hold when the sound of a corpus is changed."""
