"""Testing of trained models on other corpora."""
