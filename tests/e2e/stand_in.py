"""Base images for tests where no container registry can be reached: stand-ins for AWS's, made once and kept by Docker.

They have names of their own: under AWS's name they would slip into somebody's real deployment.
"""

import functools
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.e2e.engine import EngineError, docker

HERE = Path(__file__).parent
EMULATOR = Path("build/rie/aws-lambda-rie")
DEBIAN = {"3.13": "trixie", "3.11": "bookworm"}  # whose Python is this one
PACKAGES = "base-files,dash,coreutils,python3,libstdc++6,ca-certificates"
# What AWS's images bring: the runtime client, and boto3.
RUNTIME = ("awslambdaric==4.2.2", "boto3==1.44.8")


@functools.cache
def base_image(python: str) -> str:
    """Return the name of a stand-in for `public.ecr.aws/lambda/python:<python>`, made if need be.

    Needs Debian's mmdebstrap and root to make it. Raises EngineError naming what is missing.
    """
    name = f"openclip-lambda-stand-in/python:{python}-{_recipe()}"
    if docker("image", "ls", "--quiet", name).strip():
        return name
    if shutil.which("mmdebstrap") is None:
        raise EngineError("mmdebstrap is needed to make a base image: as root, `apt-get install mmdebstrap`")
    with tempfile.TemporaryDirectory(prefix="openclip-base-") as scratch:
        debian = _import_debian(DEBIAN[python], Path(scratch))
        context = _context(python, Path(scratch) / "context")
        docker("build", "--quiet", "--tag", name, "--build-arg", f"DEBIAN={debian}", str(context))
    return name


def _import_debian(suite: str, scratch: Path) -> str:
    """Unpack Debian's packages without running their scripts: seconds, where an installation takes minutes."""
    archive = scratch / f"{suite}.tar"
    _run("mmdebstrap", "--quiet", "--variant=extract", f"--include={PACKAGES}", suite, str(archive))
    return docker("import", str(archive)).strip()


def _context(python: str, context: Path) -> Path:
    runtime, entry = context / "runtime", context / "bin"
    (entry / "usr" / "local" / "bin").mkdir(parents=True)
    _run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(runtime)),
        *("--no-compile", "--only-binary=:all:", "--implementation", "cp", "--python-version", python),
        *(
            part
            for tag in ("manylinux_2_28", "manylinux2014")
            for part in ("--platform", f"{tag}_{platform.machine()}")
        ),
        *RUNTIME,
    )
    shutil.copy(HERE / "base" / "Dockerfile", context)
    shutil.copy(HERE / "base" / "lambda-entrypoint.sh", entry)
    shutil.copy(HERE / "base" / "bootstrap", runtime)
    shutil.copy(HERE / "base" / "bootstrap.py", runtime)
    shutil.copy(EMULATOR, entry / "usr" / "local" / "bin")
    return context


def _recipe() -> str:
    """Name this recipe: another one makes other images."""
    digest = hashlib.sha256(f"{PACKAGES} {RUNTIME}".encode())
    for path in sorted((HERE / "base").iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def _run(*command: str) -> None:
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise EngineError(f"{' '.join(command)}\n{run.stderr.strip()}")
