"""Lambda's entry point, `handler.app.lambda_handler`. Importing it is the init phase."""

from handler import offline  # noqa: F401, I001 - before all else: libraries freeze their network settings when imported

import os
import time
from typing import Any

STARTED = time.monotonic()

from handler import api  # noqa: E402 - what these import is part of the cold start
from handler.service import Service  # noqa: E402

SERVICE = Service.start(os.environ, STARTED)


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer API Gateway (HTTP API, REST API), a Function URL, a load balancer, or a direct Invoke of the JSON body."""
    return api.handle(SERVICE, event, context)
