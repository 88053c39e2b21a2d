"""Scenario B: a speech model specialised in a language or domain before it is adapted to emotion."""
