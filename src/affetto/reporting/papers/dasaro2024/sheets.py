"""Tables of the paper, by their earlier names."""

from affetto.reporting.papers.dasaro2024.figure_4 import figure_4_table as figure_4
from affetto.reporting.papers.dasaro2024.protocols import protocols
from affetto.reporting.papers.dasaro2024.table_1 import table_1
from affetto.reporting.papers.dasaro2024.table_2 import table_2
from affetto.reporting.papers.dasaro2024.table_3 import table_3

__all__ = ["figure_4", "protocols", "table_1", "table_2", "table_3"]
