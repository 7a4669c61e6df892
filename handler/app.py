"""Lambda's entry point, `handler.app.lambda_handler`. Importing it is the init phase, in this order:

1. `handler.offline` sets the environment, before any library can read it.
2. `handler.service` imports what loading a model needs, and starts the load in a thread.
3. `handler.http` imports the rest, while the model loads.
4. Where init may be long, what requests import late is imported, too.
"""

from handler import offline  # noqa: F401, I001 - before all else: libraries freeze their network settings when imported

import gc
import os
import time
from typing import Any

STARTED = time.monotonic()

gc.disable()  # an import leaves hardly any garbage, and looking for it takes a tenth of the import's time
from handler.service import Service, loads_at_init  # noqa: E402 - what is imported is part of the cold start

SERVICE = Service.start(os.environ, STARTED)

from handler.http import dispatch  # noqa: E402 - meanwhile the model loads

if loads_at_init(os.environ):
    from handler.http.late import import_late

    import_late(SERVICE.settings)

gc.freeze()
gc.enable()


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer API Gateway (HTTP API, REST API), a Function URL, a load balancer, or a direct Invoke of the JSON body."""
    return dispatch.handle(SERVICE, event, context)
