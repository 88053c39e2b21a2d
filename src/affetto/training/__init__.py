"""Training: a run from its spec to its folder, and the scores of what came out."""
