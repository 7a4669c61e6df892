"""Runs under the emulator: imports the handler as Lambda does, and answers each line of stdin, which is an event.

The responses go to the descriptor that the argument names. It is handed to Python as text, so it imports the standard
library and the handler, nothing else.
"""

import json
import logging
import os
import sys

# Lambda's level, and all of the handler's own. A line without the name of a logger was written by a library.
logging.basicConfig(format="%(name)s: %(message)s", level=logging.WARNING)
logging.getLogger("handler").setLevel(logging.INFO)

from handler.app import lambda_handler  # noqa: E402 - logging comes first, as in Lambda

with os.fdopen(int(sys.argv[1]), "w") as responses:
    for line in sys.stdin:
        print(json.dumps(lambda_handler(json.loads(line), None)), file=responses, flush=True)
