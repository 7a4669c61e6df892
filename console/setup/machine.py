"""This machine: Python and packages, Node, Docker, disk, network, directory, port."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from console import preflight
from console.setup.check import Check, missing, ok, unknown

ROOT = Path(preflight.ROOT)
MIN_NODE = 18  # of the CDK CLI
DOCKER = "docker"  # which that calls, unless CDK_DOCKER names another program
IMAGES = {"image", "search"}  # roles in a package of what Docker builds
MIN_BYTES = 500_000_000  # a package of the demo model, copied for CDK; a build of it is smaller
LARGE_BYTES = 5_000_000_000  # a ViT-L: checkpoint, export, bundle
PROBE_SECONDS = 1.5
HUB = "https://huggingface.co"


def python() -> Check:
    """Look at the Python that runs, and at what the builder imports."""
    found = "{}.{}.{} ({})".format(*sys.version_info[:3], sys.executable)
    if problem := preflight.python_problem() or preflight.package_problem(preflight.BUILDER):
        what, _, fix = problem.rpartition(": ")
        return missing("Python", what, fix)
    return ok("Python", found)


def node() -> Check:
    """Look for Node.js and npm, which the CDK CLI needs."""
    fix = f"install Node.js {MIN_NODE} or later with npm from nodejs.org (Debian: apt install nodejs npm)"
    program = shutil.which("node")
    if program is None or shutil.which("npm") is None:
        return missing("Node", "node is not installed" if program is None else "npm is not installed", fix)
    done = _output([program, "--version"], PROBE_SECONDS)
    version = re.match(r"v(\d+)\.", done or "")
    if not version or int(version[1]) < MIN_NODE:
        return missing("Node", f"Node.js {done or 'does not start'}", fix)
    return ok("Node", f"Node.js {done}")


def container_client() -> str:
    """Name the program that builds and pushes images: the CDK CLI's variable may name finch, podman or another one."""
    return os.environ.get("CDK_DOCKER", DOCKER)


def docker(build: Path, seconds: float) -> Check:
    """Look for a Docker engine that answers, or what CDK_DOCKER names. Only a package with an image needs one."""
    roles, client = _roles(build), container_client()
    if roles is not None and not roles & IMAGES:
        return ok("Docker", "not needed: the package is layers")
    if shutil.which(client) is None and roles is None:
        return unknown(
            "Docker", f"{client} is not installed", 'install it, if the package is to be an image (not "layer")'
        )
    instead = 'set package = "layer" in [target] of layer/models.toml, which needs none'
    if roles is not None and "image" not in roles:
        instead = "package without `--with search`, which needs none"
    if shutil.which(client) is None:
        fix = f"install {_program(client)} and start it, or {instead}"
        return missing("Docker", f"the package has an image, and {client} is not installed", fix)
    return _engine(client, seconds, instead)


def _engine(client: str, seconds: float, instead: str) -> Check:
    """Ask the engine behind a client. Of its version Docker's own client alone is asked: others differ in that."""
    asked = [client, "version", "--format", "{{.Server.Version}}"] if client == DOCKER else [client, "info"]
    fix = f"start it, or {instead}"
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return missing("Docker", f"the {_program(client)} engine does not answer within {seconds:g} s", fix)
    except OSError as error:
        again = f"install {_program(client)} anew and {fix}"
        return missing("Docker", f"{client} does not start ({error.strerror})", again)
    if done.returncode == 0:
        return ok("Docker", f"engine {done.stdout.strip()}" if client == DOCKER else f"{client} answers")
    said = (done.stderr.strip() or done.stdout.strip()).partition("\n")[0]
    if "permission denied" in said:  # it has been started
        fix = f"let this user ask it (sudo usermod -aG docker $USER, then log in again), or {instead}"
    return missing("Docker", f"the {_program(client)} engine does not answer ({said})", fix)


def _program(client: str) -> str:
    return "Docker" if client == DOCKER else client


def _roles(build: Path) -> set[str] | None:
    """Return the roles of what was packaged; None where nothing was."""
    try:
        artifacts = json.loads((build / "package.json").read_text(encoding="utf-8"))["artefacts"]
        return {row["role"] for row in artifacts}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def code_bytes(build: Path) -> int | None:
    """Return the bytes of the packaged zips, which Lambda stores (no images); None where nothing is packaged."""
    if _roles(build) is None:
        return None
    rows = json.loads((build / "package.json").read_text(encoding="utf-8"))["artefacts"]
    stored = [row.get("bytes") for row in rows if row["role"] not in IMAGES]
    return sum(size for size in stored if isinstance(size, int))


def disk(folder: Path) -> Check:
    """Check the free space where files will be written, and in the temporary directory."""
    import tempfile

    places = [folder.absolute(), Path(tempfile.gettempdir())]
    for place in places:
        there = next((path for path in (place, *place.parents) if path.exists()), Path("/"))
        free = shutil.disk_usage(there).free
        if free < MIN_BYTES:
            fix = "free some, or name another place (--output and --cache, or TMPDIR)"
            return missing("disk", f"{free / 1e6:,.0f} MB are free in {there}, {MIN_BYTES / 1e6:,.0f} needed", fix)
        if not os.access(there, os.W_OK):
            return missing("disk", f"{there} may not be written", "change its owner or mode, or work in another place")
        if free < LARGE_BYTES:
            fix = f"a model as large as ViT-L takes {LARGE_BYTES / 1e9:.0f} GB to build: free some for one"
            return unknown("disk", f"{free / 1e9:,.1f} GB free in {there}", fix)
    return ok("disk", f"{shutil.disk_usage(there).free / 1e9:,.1f} GB free")


def network() -> Check:
    """Try to reach the hub, or the mirror or proxy that the environment names: a connection, nothing is asked."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return unknown("network", "HF_HUB_OFFLINE is set: the hub is not asked", "build with --from <prepared cache>")
    address = os.environ.get("HF_ENDPOINT") or HUB
    proxy = next(filter(None, map(os.environ.get, ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"))), "")
    host = address
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else urlsplit(address)
        host = parts.hostname or address
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 443)
        with socket.create_connection((parts.hostname or "", port), timeout=PROBE_SECONDS):
            return ok("network", f"{host} answers{' (a proxy)' if proxy else ''}")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        fix = (
            "check the connection, HF_ENDPOINT and HTTPS_PROXY; without a network the demo model is built as well, "
            "others with --from <prepared cache> (docs/prepared-cache.md)"
        )
        return missing("network", f"{host} is not reached ({reason})", fix)


def directory() -> Check:
    """Look whether the working directory is the checkout: paths like build/bundle are relative to it."""
    try:
        where = Path.cwd()
    except OSError:
        return missing("directory", "the working directory is gone", f"run `cd {ROOT}`")
    if where.resolve() == ROOT.resolve():
        return ok("directory", str(ROOT))
    return missing("directory", f"{where} is not the checkout: build/ is looked for here", f"run `cd {ROOT}`")


def port(number: int) -> Check:
    """Look whether a server could listen on a port of this machine."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", number))
        except OSError as error:
            fix = f"end the program that listens there, or take another: make serve PORT={number + 1}"
            return missing("port", f"{number}: {error.strerror}", fix)
    return ok("port", f"{number} is free")


def bundle(folder: Path) -> Check:
    """Look for a bundle, and for one in the checkout where the directory is another."""
    if (folder / "manifest.json").is_file():
        return ok("bundle", str(folder))
    if (elsewhere := elsewhere_fix(folder)) is not None:
        return missing("bundle", f"{folder} holds none", elsewhere)
    return missing("bundle", f"{folder} holds none", "run `make build`, or `make demo` for the demo model")


def elsewhere_fix(folder: Path) -> str | None:
    """Say where a bundle of the checkout is, if this is another directory and the checkout has one."""
    there = ROOT / "build" / "bundle"
    if folder.is_absolute() or Path.cwd().resolve() == ROOT.resolve() or not (there / "manifest.json").is_file():
        return None
    return f"this is another directory than the checkout's, which has one: run `cd {ROOT}`, or name {there}"


def package(build: Path) -> Check:
    """Look for what `make package` writes."""
    if _roles(build) is None:
        return missing("package", f"{build} has no package.json", "run `make build package`")
    return ok("package", str(build / "package.json"))


def _output(command: list[str], seconds: float) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
