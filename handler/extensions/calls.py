"""Call code of your own: an exception becomes a response with an error code, and a line in the log."""

import logging
import os
from collections.abc import Callable
from typing import Any, NoReturn

from handler.errors import STATUS, ApiError
from handler.extensions import Extension
from handler.telemetry.invocation import current

PACKAGE = "handler_ext"
CODE = "extension_failed"
log = logging.getLogger(__name__)


def call(extension: Extension, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of the extension, which its messages call `name`.

    Raises the ApiError that it raises, where that is one of this API's, and `extension_failed` for anything else.
    """
    try:
        return function(*arguments)
    except KeyboardInterrupt:
        raise
    except ApiError as error:
        if error.code in STATUS and isinstance(error.message, str):
            raise
        failed(extension, name, f"an ApiError of the unknown code {error.code!r:.40}", error)
    except BaseException as error:  # noqa: BLE001 - also sys.exit(): it would end the execution environment
        failed(extension, name, type(error).__name__, error)


def failed(extension: Extension, name: str, what: str, error: BaseException | None = None) -> NoReturn:
    """Log what went wrong, and where in the extension's files; raise ApiError `extension_failed`, without details.

    Neither messages nor source lines are logged: they may contain a request or a secret.
    """
    request_id = current().request_id
    where = "".join(f"\n  {frame}" for frame in frames(error, extension.folder)) if error else ""
    log.error("request %s: %s of %s/__init__.py failed with %s%s", request_id, name, PACKAGE, what, where)
    message = f"code of this deployment's own failed ({name}): look for request {request_id} in the function's log"
    raise ApiError(CODE, message) from None


def frames(error: BaseException, folder: str) -> list[str]:
    """Return the traceback's places in the extension, the last one last, as `handler_ext/a.py:12 in hello`."""
    found, here, root = [], error.__traceback__, os.path.join(folder, "")  # noqa: PTH118
    while here is not None:
        code = here.tb_frame.f_code
        if code.co_filename.startswith((root, f"/var/task/{PACKAGE}/")):  # the path in bytecode compiled for Lambda
            inside = code.co_filename.removeprefix(root).removeprefix(f"/var/task/{PACKAGE}/")
            found.append(f"{PACKAGE}/{inside}:{here.tb_lineno} in {code.co_name}")
        here = here.tb_next
    return found
