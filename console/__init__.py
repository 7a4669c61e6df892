"""Parts that all command lines share: checks before the start, the parser, and the one place that prints errors.

The standard library alone: it has to run where nothing is installed yet, and to say so.
"""
