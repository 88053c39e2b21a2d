"""Families of speech encoders: one file each, with its record; `registry` finds them."""
