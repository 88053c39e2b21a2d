"""Runs of a folder, read, checked, named and grouped into configurations."""
