"""The CDK CLI for the emulated account, as a program: `benchmarks.measure --cdk <this file's wrapper>`.

It runs the real CLI. Between synthesis and deployment it does what deployment.py does for the same reasons: the
emulator refuses an alarm on a quotient of metrics, and reports every image as there already.
"""

import subprocess
import sys
from pathlib import Path

from tests.e2e.deployment import adapt, build_images

ROOT = Path(__file__).parents[2]
CDK = ROOT / "node_modules" / ".bin" / "cdk"


def wrapper(folder: Path) -> Path:
    """Write a program that runs this module with the tests' Python, and return it."""
    path = folder / "cdk"
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m tests.e2e.emulated_cdk "$@"\n')
    path.chmod(0o755)
    return path


def main(arguments: list[str]) -> int:
    """Run the CLI's command."""
    if arguments[0] == "deploy":
        out = Path(arguments[arguments.index("--app") + 1])
        for template in out.glob("*.template.json"):
            adapt(template)
            build_images(out, template.name.removesuffix(".template.json"))
    return subprocess.call([str(CDK), *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
