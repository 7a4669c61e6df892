"""`python -m client`: the command `openclip-lambda`, from the repository."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "src"))

from openclip_lambda.__main__ import start

if __name__ == "__main__":
    sys.exit(start("python -m client"))
