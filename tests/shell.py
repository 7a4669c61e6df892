"""A shell that runs the commands of a page, and compares what they print with what the page shows."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.documents import ROOT, Block
from tests.patience import BUILD_SECONDS
from tests.transcript import commands, difference

# `python` is this environment's, `openclip-lambda` the client of this checkout.
PRELUDE = 'openclip-lambda() { python -m client "$@"; }\n'


@dataclass
class Shell:
    """A directory in which commands are run, with this checkout's packages, and `environ` above the machine's."""

    folder: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    python: str = sys.executable

    def run(self, line: str, *statuses: int) -> str:
        """Run a line; returns what it printed, errors among it. The status is 0, or one of those that are given."""
        environ = {
            "HOME": str(self.folder),
            **self.environ,
            "PATH": f"{Path(self.python).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'client' / 'src'}",
        }
        done = subprocess.run(
            ["bash", "-c", f"{PRELUDE}{line}"], cwd=self.folder, env=environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=BUILD_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode in (statuses or (0,)), f"{line}\nended with {done.returncode}\n{done.stdout}"
        return done.stdout

    def follow(self, block: Block, *statuses: int, names: Mapping[str, str] | None = None) -> None:
        """Run each `$ ` line of a block, and compare what the page shows of it.

        names: what is called otherwise here, and the page's word for it.
        """
        for line, shown in commands(block.text):
            typed = line
            for here, called in (names or {}).items():
                typed = typed.replace(called, here)
            printed = self.run(typed, *statuses)
            found = difference(shown, printed, names) if shown else ""
            assert not found, f"{block.page}:{block.line}\n$ {line}\n{found}"
