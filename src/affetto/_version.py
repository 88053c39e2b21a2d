"""The version of affetto, in one place: the package, its outputs and the build read it here."""

__version__ = "0.1.0"
