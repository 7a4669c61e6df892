"""Check code of your own as the function will: `python -m handler.extensions <handler_ext>`.

Prints one JSON document: its routes, its functions, its digest, and what tells its vectors apart from others where
OPENCLIP_BUNDLE_DIR names a bundle. Exits with 1 and the reason where a function with this code would not start.
"""

import argparse
import contextlib
import json
import os
import sys

from handler import manifest
from handler.errors import StartError
from handler.extensions import describe
from handler.extensions.loading import load
from handler.settings import Settings


def main(arguments: list[str] | None = None) -> int:
    """Print the document; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m handler.extensions", description=__doc__)
    parser.add_argument("folder", help="the directory with your __init__.py")
    folder = os.path.abspath(parser.parse_args(arguments).folder)  # noqa: PTH100
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what the code prints is no part of the document
            extension = load(folder)
            report = {"ok": True, **describe(extension)}
            settings = Settings.from_env()
            if os.path.isfile(settings.bundle_dir / "manifest.json"):  # noqa: PTH113
                bundle = manifest.load(settings.bundle_dir)
                report["vectors_sha256"] = bundle.vectors_sha256(extension.preprocessing)
    except StartError as error:
        report = {"ok": False, "reason": str(error)}
    print(json.dumps(report, indent=1))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
