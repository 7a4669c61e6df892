"""WORKSTATION: the handler on localhost, behind what behaves as an HTTP API of API Gateway."""

from console import preflight

if preflight.starts_command():  # before a missing package ends in a traceback
    preflight.check(("numpy", "PIL"))
