"""Texts for an article: commands, a paragraph on the method, references."""
