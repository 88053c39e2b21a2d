"""Corpora of speech with its text, for specialisation."""
