"""Scores with their uncertainty, of predictions alone: estimates, paired comparisons, groups and raters."""
