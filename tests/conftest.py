"""What several kinds of test share: the bundle of the embedded model, built once per run by the real command."""

import fcntl
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A shell's background job ignores SIGINT, and `nohup` SIGHUP: what a test starts would ignore them, too. Handlers are
# not inherited, so with these it has both as in a terminal, and a hang-up ends the tests as little as before.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)

SPEC = '[[model]]\nname = "hf-hub:openclip-lambda/shapes-i18n"\nengine = "{engine}"\nprecision = "{precision}"\n'


@pytest.fixture(scope="session")
def demo_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the embedded model's bundle for open_clip itself. Tests that change it change a copy."""
    return build_demo(tmp_path_factory.mktemp("demo"), "torch", "fp32")


def build_demo(root: Path, engine: str, precision: str) -> Path:
    """Build the embedded model's bundle for one engine by the real command; returns its directory.

    The builds of all tests share a cache: each is made once, and again where something that it depends on has changed.
    """
    (root / "models.toml").write_text(SPEC.format(engine=engine, precision=precision))
    cache = ROOT / "build" / "test-cache"
    cache.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "layer", "build", "--models", str(root / "models.toml")]
    with (cache / ".tests").open("w") as one_at_a_time:  # the command itself refuses a cache that is in use
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        run = subprocess.run(
            [*command, "--output", str(root / "bundle"), "--cache", str(cache)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert run.returncode == 0, run.stderr
    return root / "bundle"
