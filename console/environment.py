"""Make a virtual environment find this project from every directory: `.venv/bin/python console/environment.py`."""

import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write the path file of the environment that runs this. A Python outside of one is left as it is."""
    if sys.prefix == sys.base_prefix:
        sys.exit("error: run this by the environment's own python, as .venv/bin/python")
    places = (ROOT, ROOT / "client" / "src")
    path_file = Path(sysconfig.get_path("purelib"), "openclip-lambda.pth")
    path_file.write_text("".join(f"{_line(str(place))}\n" for place in places), encoding="ascii")


def _line(place: str) -> str:
    """Return a line of a path file in ASCII: Python before 3.13 reads the file in the locale's encoding."""
    return place if place.isascii() else f"import sys; sys.path.append({place!a})"


if __name__ == "__main__":
    main()
