"""`python -m handler.serve`, an older name of `python -m devserver`. Not shipped: see layer/package/pipeline.py."""

import devserver  # noqa: F401 - checks what is installed, before a missing package ends in a traceback
