"""Corpora that can be made of synthetic speech, one file each, in the layouts of the real ones."""
