"""`python -m handler.serve`."""

import sys

from devserver.command import main

sys.exit(main(prog="python -m handler.serve"))
