"""Let a virtual environment find this project from every directory: `.venv/bin/python console/environment.py`."""

import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write the path file of the environment that runs this. A Python outside of one is left as it is."""
    if sys.prefix == sys.base_prefix:
        sys.exit("error: run this by the environment's own python, as .venv/bin/python")
    Path(sysconfig.get_path("purelib"), "openclip-lambda.pth").write_text(f"{ROOT}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
