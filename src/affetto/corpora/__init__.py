"""Corpora: readers that turn a folder or a table into a manifest, their audit, and synthetic ones."""
