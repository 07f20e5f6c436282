"""Tasks as functions of meanings: drawn once in no language, then said in any of them.

The `draw_*` functions take a seeded generator and a turn; labels take turns, so that any first n
examples are balanced.
"""
