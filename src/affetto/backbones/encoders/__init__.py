"""Encoders of each family: subclasses of `Backbone`, one file a family."""
