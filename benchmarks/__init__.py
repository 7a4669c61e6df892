"""Cold start, latency and memory, side by side with the plain recipe: `make bench`. Measures a machine, not AWS."""

import sys
from pathlib import Path

from console import preflight

ROOT = Path(__file__).parents[1]  # of the repository

if preflight.starts_command():
    preflight.check(preflight.BUILDER)

# AWS's prices stand in the client, a distribution of its own. `make` lets its environment find it; no other has to.
sys.path.append(str(ROOT / "client" / "src"))
