"""OpenVINO is imported without what only builds graphs, in a process of its own: whoever wants that still gets it."""

import subprocess
import sys

from tests.patience import SECONDS

PROGRAM = """
import sys
from handler.engines import openvino_engine
brought = {name for name, module in sys.modules.items() if name.startswith("openvino.") and module is not None}
assert not {name for name in brought if "opset" in name or name.startswith(("openvino.tools", "openvino.frontend"))}
from openvino import opset13
import openvino.frontend
assert callable(opset13.matmul) and openvino.frontend.FrontEndManager
"""


def test_the_engine_leaves_out_what_builds_graphs_and_others_still_find_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
