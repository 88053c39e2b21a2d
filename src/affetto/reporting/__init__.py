"""Scores made readable: tables and figures."""
