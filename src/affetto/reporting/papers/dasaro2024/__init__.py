"""D'Asaro et al. (2024): their numbers, tables and claims beside the results of a folder."""

from affetto.reporting.papers.dasaro2024.chapters import CLAIMS as CLAIMS
from affetto.reporting.papers.dasaro2024.chapters import TABLES as TABLES
