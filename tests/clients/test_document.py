"""schemathesis reads /openapi.json and holds the function to it: what it allows is taken, what it forbids refused."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.clients.gateway import Gateway
from tests.patience import SECONDS

HERE = Path(__file__).parent
# Of each route; `make fuzz` sets more, for 5,000 cases and over.
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES") or "20"


def test_schemathesis_finds_nothing_with_all_its_checks(gateway: Gateway, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{gateway.url}/openapi.json"]
    options = ["--url", gateway.url, "--checks", "all", "--max-examples", EXAMPLES, "--seed", "2026"]
    options += ["--suppress-health-check", "too_slow", "--request-timeout", str(SECONDS)]  # of a busy machine
    done = subprocess.run(
        [*command, *options],
        cwd=tmp_path,  # it keeps what it found in the working directory
        env={**os.environ, "SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    [generated] = re.findall(r"(\d[\d,]*) generated, (?:all )?[\d,]+ passed", done.stdout) or [done.stdout]
    print(f"schemathesis: {generated} cases")
    assert int(generated.replace(",", "")) >= 100
