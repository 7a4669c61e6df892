"""Check code of your own as the function will: `python -m handler.extensions <handler_ext>`.

Prints one JSON document: its routes, its functions, its digest, and what tells its vectors apart from others where
OPENCLIP_BUNDLE_DIR names a bundle. Exits with 1 and the reason where a function with this code would not start.
"""

import argparse
import contextlib
import json
import os
import sys
from typing import Any

from handler import manifest
from handler.errors import StartError
from handler.extensions import describe
from handler.extensions.loading import load
from handler.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Print the document; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m handler.extensions", description=__doc__)
    parser.add_argument("folder", help="the directory with your __init__.py")
    folder = parser.parse_args(arguments).folder
    try:
        report = _report(folder)
    except StartError as error:
        report = {"ok": False, "reason": str(error)}
    except OSError as error:
        report = {"ok": False, "reason": f"{folder} cannot be read ({error.strerror}): check its rights, and the disk"}
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    try:
        print(json.dumps(report, indent=1), flush=True)
    except OSError as error:
        with contextlib.suppress(OSError):  # or Python tries to write what is left when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"error: standard output cannot be written ({error.strerror}): redirect it elsewhere", file=sys.stderr)
        return 1
    return 0 if report["ok"] else 1


def _report(folder: str) -> dict[str, Any]:
    with contextlib.redirect_stdout(sys.stderr):  # what the code prints is no part of the document
        extension = load(os.path.abspath(folder))  # noqa: PTH100
        settings = Settings.from_env()
        report = {"ok": True, **describe(extension)}
        if (settings.bundle_dir / "manifest.json").is_file():
            report["vectors_sha256"] = manifest.load(settings.bundle_dir).vectors_sha256(extension.preprocessing)
        return report


if __name__ == "__main__":
    sys.exit(main())
