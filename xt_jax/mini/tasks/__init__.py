"""The tasks of the world: meanings are drawn independently of language, then expressed in any.

The `draw_*` functions take a seeded generator and the number of the example (`turn`), by which the
labels alternate, so that the first n examples are balanced for any n.
"""
