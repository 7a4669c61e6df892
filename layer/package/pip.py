"""Run pip for a target, without those of the machine's settings that would change the result.

From pip.conf and the `PIP_` variables, only the settings for where packages are and how to reach them are kept. Others
(`user`, `prefix`, `constraint`, `no-binary`, `require-virtualenv`, ...) are meant for the user's own environments.
"""

import ast
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable

from layer.errors import PackageError
from layer.spec import Target

SOURCES = ("index-url", "pypi-url", "extra-index-url", "find-links", "no-index")
TRANSPORT = (
    *("proxy", "cert", "client-cert", "trusted-host", "timeout", "default-timeout", "retries", "resume-retries"),
    *("keyring-provider", "cache-dir", "no-cache-dir"),
)
# Amazon Linux 2023 has glibc 2.34. pip takes a tag literally, so every older one is listed too, newest first.
_GLIBC = (*(f"manylinux_2_{minor}" for minor in range(34, 16, -1)), "manylinux2014", "manylinux2010", "manylinux1")
MACHINE = {"x86_64": "x86_64", "arm64": "aarch64"}
_LINE = re.compile(r"(?P<section>[^.=]+)\.(?P<option>[^=]+)=(?P<value>.*)")
_OF_PYTHON = ("PYTHONUSERBASE", "PYTHONPATH", "PYTHONHOME")  # could put another pip, or its packages, before this one's


class PipError(PackageError):
    """pip installed nothing: what it said, and whether a wheel had another hash than the recorded one."""

    def __init__(self, message: str, said: str, other_hash: bool) -> None:
        super().__init__(message)
        self.said, self.other_hash = said, other_hash


def install(arguments: Iterable[str], target: Target, index: str | None = None) -> None:
    """Run `pip install` of wheels for the target, without their dependencies: the requirements are complete.

    With `index`, packages come only from there. Raises PipError with pip's output.
    """
    machine = MACHINE[target.architecture]
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"),
        *("--no-compile", "--no-deps", "--only-binary=:all:", "--ignore-installed"),
        *("--implementation", "cp", "--python-version", target.python),
        *(part for tag in _GLIBC for part in ("--platform", f"{tag}_{machine}")),
        *arguments,
    ]
    with tempfile.TemporaryDirectory(prefix="openclip-pip-", ignore_cleanup_errors=True) as place:  # pip may be killed
        environ = {**environment(index), "TMPDIR": place}
        run = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return
    output = run.stderr.strip()
    if "DO NOT MATCH THE HASHES" in output or "but is not pinned" in output:
        raise PipError(
            "a wheel is not the one whose sha256 is recorded in layer/package/hashes, so nothing was installed. "
            "Where the index has another build of it on purpose, `make pins` records that:\n" + output,
            output,
            other_hash=True,
        )
    raise PipError(
        f"pip found no wheels for Python {target.python} on {machine} (layer/package/requirements): check the "
        f"network, and pip's own settings by `pip config list`:\n{output}",
        output,
        other_hash=False,
    )


def environment(index: str | None = None) -> dict[str, str]:
    """Return the variables under which pip gives the same result on every machine that reaches the same packages."""
    settings = _settings()
    if index:
        settings = {name: value for name, value in settings.items() if name not in SOURCES} | {"index-url": index}
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PIP_") and name not in _OF_PYTHON},
        "PIP_CONFIG_FILE": os.devnull,  # pip's own way of reading no file at all
        **{f"PIP_{name.upper().replace('-', '_')}": value for name, value in settings.items()},
    }


def _settings() -> dict[str, str]:
    """Return the options of SOURCES and TRANSPORT that pip.conf or a variable sets. Raises PackageError."""
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}  # what counts more comes later
    doubled: list[tuple[str, str]] = []
    for line in _config("list").splitlines():
        matched = _LINE.fullmatch(line)
        if matched and matched["section"] in found and matched["option"] in (*SOURCES, *TRANSPORT):
            section, option = found[matched["section"]], matched["option"]
            if option in section:
                doubled.append((matched["section"], option))
            section[option] = " ".join(str(ast.literal_eval(matched["value"])).split())
    for name, option in doubled:  # in several files, which newer releases of pip list by their paths
        found[name][option] = " ".join(_config("get", f"{name}.{option}").split())
    return {option: value for section in found.values() for option, value in section.items() if value}


def _config(*arguments: str) -> str:
    """Run `pip config` with this machine's settings, except for those that change its output."""
    # `pip config` has options of these names, too: `user = true` would make it list the user's file alone.
    plain = dict.fromkeys(("PIP_QUIET", "PIP_VERBOSE", "PIP_USER", "PIP_GLOBAL", "PIP_SITE"), "0")
    environ = {name: value for name, value in os.environ.items() if name not in ("PIP_PYTHON", *_OF_PYTHON)}
    command = [sys.executable, "-m", "pip", "config", *arguments]
    run = subprocess.run(command, env={**environ, **plain}, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise PackageError(
            f"pip cannot read its own settings (pip.conf, or a PIP_ variable): correct them, or set PIP_CONFIG_FILE="
            f"{os.devnull}\n{run.stderr.strip()}"
        )
    return run.stdout
