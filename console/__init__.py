"""What every command line here shares: checks before it starts, its parser, and one place where errors are told.

The standard library alone: it has to run where nothing is installed yet, and to say so.
"""
