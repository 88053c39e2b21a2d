"""Reports: tables, figures and a page from a folder of results.

`results` reads runs and compares them, `stats` computes intervals and tests, `render` knows tables, pictures and their
files, `chapters` has a file for each chapter of the page, `papers` a package for each paper beside the results.
"""
