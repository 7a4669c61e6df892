"""Check the Python and the packages that a command needs, before anything else: `python3 console/preflight.py`.

Every Python from 3.6 on has to be able to read this file, or it could not tell that one is too old.
"""

import importlib.util
import os
import shutil
import sys

MIN_PYTHON = (3, 11)  # as requires-python in pyproject.toml
LIGHT = ("numpy", "PIL", "tqdm")
BUILDER = (*LIGHT, "torch", "torchvision", "open_clip", "transformers", "tokenizers", "huggingface_hub", "safetensors")
CLIENT = ("numpy", "tqdm")
# These print, or start other processes: what they need beyond LIGHT is asked for when it is known what they will do.
LIGHT_MODULES = ("layer", "layer.demo.tour", "layer.sizes", "layer.runtime_only")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - quick, and for any Python


def check(needs: "tuple[str, ...]") -> None:
    """Exit with a message where this Python is too old, or one of the packages `needs` is not installed."""
    problem = python_problem() or package_problem(needs)
    if problem:
        sys.exit("error: " + problem)


def starts_command() -> bool:
    """Tell whether a package is imported because `python -m` is about to run it, and not by a program."""
    return sys.argv[:1] == ["-m"]  # so documented for sys.argv


def check_builder() -> None:
    """Check what the module needs that `python -m` is about to run; called while `layer` is imported."""
    given = getattr(sys, "orig_argv", [])
    module = given[given.index("-m") + 1] if "-m" in given[:-1] else "layer"
    check(LIGHT if module in LIGHT_MODULES else BUILDER)


def python_problem() -> "str | None":
    """Say that this Python is too old, and how to take another one."""
    if sys.version_info[:2] >= MIN_PYTHON:
        return None
    least = ".".join(str(part) for part in MIN_PYTHON)
    return "{} is Python {}.{}, and {} or later is needed: {}".format(  # noqa: UP032 - as plain as it gets
        sys.executable, sys.version_info[0], sys.version_info[1], least, _another()
    )


def _another() -> str:
    for minor in range(20, MIN_PYTHON[1] - 1, -1):
        name = "python3.%d" % minor  # noqa: UP031
        if _runs(name):
            return "this machine has {0}, so run `make demo PYTHON={0}` (or another target)".format(name)  # noqa: UP032
    return "install one, then run `make demo PYTHON=python3.12` (or another target) with its name"


def _runs(name: str) -> bool:
    """Tell whether the interpreter is there and starts; a version manager has names that lead to none."""
    import subprocess

    found = shutil.which(name)
    if found is None:
        return False
    return subprocess.call([found, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


def package_problem(needs: "tuple[str, ...]") -> "str | None":
    """Name the packages that are not installed for this Python, and how to have them."""
    missing = [name for name in needs if _missing(name)]
    if not missing:
        return None
    verb = "is" if len(missing) == 1 else "are"
    environment = os.path.join(ROOT, ".venv")  # noqa: PTH118
    made = os.path.exists(os.path.join(environment, ".workstation"))  # noqa: PTH110, PTH118
    if made and os.path.abspath(sys.prefix) != environment:  # noqa: PTH100
        fix = "this project's packages are in its .venv: run `source {}/bin/activate` first".format(environment)  # noqa: UP032
    else:
        fix = "run `make venv` in {} once, which installs them, then `source .venv/bin/activate`".format(ROOT)  # noqa: UP032
    return "{} {} not installed for {}: {}".format(", ".join(missing), verb, sys.executable, fix)


def _missing(name: str) -> bool:
    if name in sys.modules:
        return sys.modules[name] is None  # hidden on purpose
    return importlib.util.find_spec(name) is None


def venv_problem() -> "str | None":
    """Say that this Python cannot make virtual environments: Debian has that in a package of its own."""
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return None
    return (
        "{} cannot make a virtual environment, since it has no ensurepip: install it "  # noqa: UP032
        "(Debian and Ubuntu: apt install python{}.{}-venv)".format(
            sys.executable, sys.version_info[0], sys.version_info[1]
        )
    )


if __name__ == "__main__":
    problem = python_problem() or venv_problem()
    if problem:
        sys.exit("error: " + problem)
