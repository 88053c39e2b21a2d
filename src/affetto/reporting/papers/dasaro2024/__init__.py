"""D'Asaro et al. (2024): their numbers, tables and claims beside the results of a folder."""
