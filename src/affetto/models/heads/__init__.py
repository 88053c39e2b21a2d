"""Heads: one file each, with its record; `registry` finds them."""
