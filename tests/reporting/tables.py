"""Reading of a report's tables in tests."""

from __future__ import annotations


def values(cell):
    return dict(cell.values)


def column(sheet, name):
    return next(number for number, head in enumerate(sheet.columns) if head.name == name)


def cell(sheet, name, **where):
    """The cell of a column, in the row whose cells of the columns `where` read so."""
    for row in sheet.rows:
        if all(row[column(sheet, key)].text == value for key, value in where.items()):
            return row[column(sheet, name)]
    raise AssertionError(where)
