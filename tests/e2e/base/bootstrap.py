"""Start AWS's runtime client with the module path that AWS documents: the task, then the layers, then the runtime."""

import os
import sys

if "PYTHONPATH" not in os.environ:
    sys.path.insert(0, "/opt/python")
    sys.path.insert(0, f"/opt/python/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages")
sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])

from awslambdaric.__main__ import main  # the path comes first

main(sys.argv)
