"""Demonstration: all of affetto in small, on synthetic Italian speech, with each step under its command."""

from affetto.demo.tour import run

__all__ = ["run"]
