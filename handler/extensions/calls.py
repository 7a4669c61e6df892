"""Call code of your own: an exception becomes a response with an error code, and a line in the log."""

import logging
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from handler.errors import STATUS, ApiError
from handler.extensions import Extension
from handler.telemetry.invocation import current

PACKAGE = "handler_ext"
CODE = "extension_failed"
HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
log = logging.getLogger(__name__)


def call(extension: Extension, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of the extension, which its messages call `name`.

    Raises the ApiError that it raises, where that can be a response, and `extension_failed` for anything else.
    """
    try:
        return function(*arguments)
    except KeyboardInterrupt:
        raise
    except ApiError as error:
        _check(extension, name, error)
        raise
    except BaseException as error:  # noqa: BLE001 - also sys.exit(): it would end the execution environment
        failed(extension, name, type(error).__name__, error)


def _check(extension: Extension, name: str, error: ApiError) -> None:
    """Write an error's headers as a gateway takes them. Raises ApiError `extension_failed` for what cannot be sent."""
    try:
        problem = _problem(error)
        if not problem:
            error.headers = plain_headers(error.headers)
    except KeyboardInterrupt:
        raise
    except BaseException as broken:  # noqa: BLE001 - what an error is made of may have code of its own
        failed(extension, name, f"an ApiError that cannot be read ({type(broken).__name__})", broken)
    if problem:
        failed(extension, name, f"an ApiError that has {problem}", error)


def _problem(error: ApiError) -> str | None:
    """Say why an error cannot be a response."""
    if not isinstance(error.code, str) or error.code not in STATUS:
        return f"the unknown code {error.code!r:.40}"
    if not isinstance(error.message, str) or not isinstance(error.param, str | None):
        return "a message or a param that is no text"
    return header_problem(error.headers)


def header_problem(headers: Any) -> str | None:
    """Say what is wrong with headers, where a gateway would refuse them, or a value could end its line."""
    if not isinstance(headers, Mapping):
        return "headers that are no mapping"
    seen = set()
    for name, value in headers.items():
        if not (isinstance(name, str) and HEADER.fullmatch(name)):
            return f"the header {name!r:.60}: a name has letters of ASCII, digits and -, 64 at most"
        if name.lower() in seen:
            return f"the header {name} twice: upper and lower case are the same"
        seen.add(name.lower())
        if isinstance(value, bool) or not isinstance(value, str | int):
            return f"a value of the header {name} that is no text and no int"
        if not (str(value).isascii() and str(value).isprintable()):
            return f"a value of the header {name} that is not printable ASCII"
    return None


def plain_headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """Return headers of which `header_problem` says nothing: names in lower case, numbers as text."""
    return {name.lower(): str(value) for name, value in headers.items()}


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
