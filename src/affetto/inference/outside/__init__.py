"""Models that affetto did not train: formats of others, each read without code from its folder."""
