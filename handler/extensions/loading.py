"""Import `handler_ext`, and check it before the first request: a misspelled name would be a hook that nobody calls."""

import os
import re
import sys
from collections.abc import Callable, Mapping
from importlib.util import module_from_spec, spec_from_file_location
from types import FunctionType, ModuleType
from typing import Any

from handler.extensions import Extension, ExtensionError, reserved
from handler.extensions.digest import tree_sha256

PACKAGE = "handler_ext"
HOOKS = {"authenticate": 1, "preprocess_image": 2, "preprocess_text": 2, "metrics": 2}  # arguments
METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
MOST_ROUTES = 50  # an HTTP API of API Gateway has at most 300 routes, and ours are up to 40
PATH = re.compile(r"(/[A-Za-z0-9._~-]+)+")
VERSION = re.compile(r"[A-Za-z0-9._-]{1,64}")
NOT_PLAIN = 0x20 | 0x80 | 0x200  # of a code object: a generator, a coroutine, both (Python's data model, co_flags)
ASIDE = "begin the name of a helper with _, or write it into another file of handler_ext"


def load(folder: str) -> Extension:
    """Import and check the package in `folder`. Raises ExtensionError, naming the file, the name and the fix."""
    if not os.path.isfile(os.path.join(folder, "__init__.py")):  # noqa: PTH113, PTH118 - pathlib is 5 ms of a cold start
        raise ExtensionError(
            f"{folder} has no __init__.py, which is where code of your own begins: give the path of your handler_ext, "
            "or make one with `python -m layer init`"
        )
    found = vars(_import(folder))
    names = {name: value for name, value in found.items() if not name.startswith("_")}
    routes = _routes(names.get("routes", {}))
    served = {id(function) for methods in routes.values() for function in methods.values()}
    for name, value in names.items():
        if id(value) not in served:
            _check_name(name, value)
    version = names.get("PREPROCESSING", "")
    if version and not (isinstance(version, str) and VERSION.fullmatch(version)):
        raise _wrong("PREPROCESSING", "is not 1 to 64 letters, digits, dots, _ or -", 'write PREPROCESSING = "crop-1"')
    hooks: dict[str, Any] = {
        name: _function(name, names[name], count) for name, count in HOOKS.items() if name in names
    }
    try:
        sha256 = tree_sha256(folder, PACKAGE)
    except OSError as error:
        raise ExtensionError(
            f"{error.filename or folder} cannot be read ({error.strerror}): make all of {PACKAGE} readable (`chmod -R "
            "a+rX`), and package again"
        ) from error
    changed = "preprocess_image" in hooks or "preprocess_text" in hooks
    if version and not changed:
        raise _wrong("PREPROCESSING", "is there without preprocess_image or preprocess_text", "remove it")
    if not routes and not hooks:
        raise ExtensionError(
            f"{PACKAGE}/__init__.py defines none of routes, {', '.join(HOOKS)}: add one, or package without it"
        )
    return Extension(folder, sha256, routes, **hooks, preprocessing=(version or sha256) if changed else "")


def _import(folder: str) -> ModuleType:
    for name in [name for name in list(sys.modules) if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]  # of another folder
    place = os.path.join(folder, "__init__.py")  # noqa: PTH118
    spec = spec_from_file_location(PACKAGE, place, submodule_search_locations=[folder])
    if spec is None or spec.loader is None:
        raise ExtensionError(f"{place} cannot be imported: see that it is a Python file")
    module = sys.modules[PACKAGE] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also sys.exit(): the function must keep running, and report the reason
        del sys.modules[PACKAGE]
        raise ExtensionError(_why_not_imported(error, folder)) from error
    return module


def _why_not_imported(error: BaseException, folder: str) -> str:
    """Say what stopped the import, and where. Without the exception's message: it may contain a secret.

    Every caller of the API can read the result.
    """
    from handler.extensions.calls import frames  # late: only this message needs it

    if isinstance(error, SyntaxError):
        place = f"{PACKAGE}/{os.path.basename(error.filename or '')}:{error.lineno}"  # noqa: PTH119
    else:
        place = next(iter(reversed(frames(error, folder))), f"{PACKAGE}/__init__.py")
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith(PACKAGE):
        return (
            f"{place} imports {error.name}, which is not there: name it in {PACKAGE}/requirements.txt, with its "
            "sha256, and package again (docs/extending.md); on a workstation, install that file with pip"
        )
    return (
        f"{PACKAGE} cannot be imported: {type(error).__name__} at {place}: correct it, and try it with `make serve` "
        "before you package again"
    )


def _check_name(name: str, value: Any) -> None:
    """Raise ExtensionError for a function or a dict under an unknown name: it would never be called."""
    if name in HOOKS or name in ("routes", "PREPROCESSING"):
        return
    own = isinstance(value, FunctionType) and value.__module__.partition(".")[0] == PACKAGE
    if own or (isinstance(value, dict) and not name.isupper()):
        import difflib  # late: for the message alone

        known = ("routes", *HOOKS)
        close = difflib.get_close_matches(name, known, n=1)
        fix = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)};"
        raise _wrong(name, "is not a name that is called", f"{fix} {ASIDE}")


def _routes(value: Any) -> Mapping[str, Mapping[str, Callable[..., Any]]]:
    if not isinstance(value, dict):
        raise _wrong("routes", "is not a dict", 'write routes = {("GET", "/ext/hello"): hello}')
    if len(value) > MOST_ROUTES:
        raise _wrong("routes", f"has {len(value)} routes", f"have {MOST_ROUTES} at most")
    found: dict[str, dict[str, Callable[..., Any]]] = {}
    for key, function in value.items():
        if not (isinstance(key, tuple) and len(key) == 2 and all(isinstance(part, str) for part in key)):
            raise _wrong("routes", f"has the key {key!r:.60}", 'write ("GET", "/ext/hello")')
        method, path = key
        if method not in METHODS:
            raise _wrong("routes", f"has the method {method!r:.20}", f"write one of {', '.join(METHODS)}")
        if not PATH.fullmatch(path) or len(path) > 200 or {".", ".."} & set(path.split("/")):
            raise _wrong(
                "routes", f"has the path {path!r:.60}", "begin it with / and use letters, digits, ., _, ~ and - alone"
            )
        if reserved.is_ours(path):
            raise _wrong(
                "routes",
                f"has {method} {path}, a path of ours",
                f"take another, as {reserved.FREE}{path.split('/')[-1]}",
            )
        found.setdefault(path, {})[method] = _function(f"routes[{method} {path}]", function, 2)
    return found


def _function(name: str, value: Any, arguments: int) -> Any:
    """Return a function after checking, without calling it, its number of arguments. Raises ExtensionError."""
    if not callable(value):
        raise _wrong(name, "is not a function", f"write one of {arguments} arguments")
    code = getattr(value, "__code__", None)  # none of a class, a partial, a callable object: those are tried
    if code is None:
        return value
    if code.co_flags & NOT_PLAIN:
        raise _wrong(name, "is async or a generator", "write a plain function: one request runs at a time")
    most, least = code.co_argcount, code.co_argcount - len(value.__defaults__ or ())
    if hasattr(value, "__self__"):
        most, least = most - 1, least - 1
    unnamed = code.co_kwonlyargcount <= len(value.__kwdefaults__ or ())
    if not unnamed or arguments < least or (arguments > most and not code.co_flags & 0x04):
        raise _wrong(name, f"takes {most} arguments", f"it is called with {arguments} (docs/extending.md)")
    return value


def _wrong(name: str, what: str, fix: str) -> ExtensionError:
    return ExtensionError(f"{PACKAGE}/__init__.py: {name} {what}: {fix}")
