"""Synthetic speech: emotional corpora and read sentences, by espeak-ng."""
