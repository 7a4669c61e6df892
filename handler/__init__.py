"""RUNTIME: the only code that ships. Serves OpenCLIP embeddings from a verified offline bundle."""

import sys

if sys.argv[:1] == ["-m"] and "handler.serve" in getattr(sys, "orig_argv", ["handler.serve"]):
    from console import preflight  # of the repository: the local server is started there, and not in Lambda

    preflight.check(("numpy", "PIL"))
