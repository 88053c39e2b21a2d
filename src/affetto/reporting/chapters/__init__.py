"""Chapters of a report, one file each: its tables, its figures and its words."""
