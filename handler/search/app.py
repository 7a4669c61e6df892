"""Lambda's entry point of the search function, `handler.search.app.lambda_handler`: an image of its own."""

from handler import offline  # noqa: F401, I001 - before all else: libraries freeze their network settings when imported

import logging
import os
import time
from typing import Any

STARTED = time.monotonic()

from handler.service import Service, loads_at_init  # noqa: E402 - what is imported is part of the cold start

SERVICE = Service.start(os.environ, STARTED)

from handler.errors import StartError  # noqa: E402
from handler.http import dispatch  # noqa: E402 - meanwhile the model loads
from handler.search.backends import import_ahead  # noqa: E402
from handler.search.routes import refusing, table  # noqa: E402
from handler.search.settings import SearchSettings  # noqa: E402

log = logging.getLogger(__name__)

try:
    SETTINGS = SearchSettings.from_env(os.environ)
    TABLE = table(SETTINGS)
    import_ahead(SETTINGS.place, loads_at_init(os.environ))
except StartError as error:
    log.error("the search cannot start: %s", error)
    TABLE = refusing(str(error))
if loads_at_init(os.environ):
    from handler.http.late import import_late

    import_late(SERVICE.settings)


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Answer API Gateway, a Function URL, a load balancer, or a direct Invoke of the body of `POST /v1/search`."""
    return dispatch.handle(SERVICE, event, context, TABLE)
