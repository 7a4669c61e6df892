"""Check the Python and the packages that a command needs, before anything else: `python3 console/preflight.py`.

Every Python from 3.6 on has to be able to read this file, or it could not tell that one is too old.
"""

import importlib.util
import os
import shutil
import signal
import sys

STOPPED, INTERRUPTED = "stopped", 128 + signal.SIGINT
MIN_PYTHON = (3, 11)  # as requires-python in pyproject.toml
LIGHT = ("numpy", "PIL", "pydantic", "tqdm")
BUILDER = (*LIGHT, "torch", "torchvision", "open_clip", "transformers", "tokenizers", "huggingface_hub", "safetensors")
CLIENT = ("httpx", "numpy", "PIL", "shtab", "tqdm")
DEPLOYMENT = ("aws_cdk", "cdk_nag", "constructs", "pydantic")
# These print, or start other processes: what they need beyond LIGHT is asked for when it is known what they will do.
LIGHT_MODULES = ("layer", "layer.demo.tour", "layer.registry.sizes_page", "layer.bundle.runtime_only")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - quick, and for any Python


def check(needs: "tuple[str, ...]") -> None:
    """Exit with a message where this Python is too old, or one of the packages `needs` is not installed.

    The imports that follow may take seconds: until `console.run` takes over, Ctrl-C ends them in one line.
    """
    problem = python_problem() or package_problem(needs)
    if problem:
        sys.exit("error: " + problem)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop_at_once)


def stop_at_once(*_: object) -> None:
    """End this process, where KeyboardInterrupt would be a traceback of whatever is imported.

    In a callback of the import system it would be lost, and leave the lock of all imports taken.
    """
    try:
        os.write(2, (STOPPED + "\n").encode())
    finally:  # what reads stderr may have ended before
        os._exit(INTERRUPTED)


def starts_command() -> bool:
    """Tell whether a package is imported by `python -m`, and not by another program."""
    return sys.argv[:1] == ["-m"]  # so documented for sys.argv


def check_builder() -> None:
    """Check the needs of the module that `python -m` will run; called while `layer` is imported."""
    given = getattr(sys, "orig_argv", [])
    module = given[given.index("-m") + 1] if "-m" in given[:-1] else "layer"
    check(LIGHT if module in LIGHT_MODULES else BUILDER)


def python_problem(makes_environment: bool = False) -> "str | None":
    """Say that this Python is too old, and what to do. A Python that has to make the .venv cannot use the .venv."""
    if sys.version_info[:2] >= MIN_PYTHON:
        return None
    fix = None if makes_environment else _environment_fix()
    minimum = ".".join(str(part) for part in MIN_PYTHON)
    found = "{}.{}".format(*sys.version_info[:2])
    return f"{sys.executable} is Python {found}, and {minimum} or later is needed: {fix or _another()}"


def _environment_fix() -> "str | None":
    """Say to use the environment that `make` made, if it exists and is not the running one."""
    environment = os.path.join(ROOT, ".venv")  # noqa: PTH118
    made = os.path.exists(os.path.join(environment, ".workstation"))  # noqa: PTH110, PTH118
    if not made or os.path.realpath(sys.prefix) == os.path.realpath(environment):
        return None
    activate = environment + "/bin/activate"
    if _was_moved(os.path.realpath(environment), activate):
        return "this checkout was moved, and its .venv not told: run `make venv` there, then `source " + activate + "`"
    return "this project's packages are in its .venv: run `source " + activate + "` first"


def _was_moved(environment: str, activate: str) -> bool:
    """Tell whether what activates an environment names another place than where it is, so that it does nothing."""
    try:
        with open(activate, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            text = file.read()
    except OSError:
        return False
    return not any("VIRTUAL_ENV=" + mark + environment + mark in text for mark in ('"', "'", ""))


def _another() -> str:
    for minor in range(20, MIN_PYTHON[1] - 1, -1):
        name = "python3." + str(minor)
        if _runs(name):
            return "this machine has {0}, so run `make demo PYTHON={0}` (or another target)".format(name)  # noqa: UP032
    return "install one, then run `make demo PYTHON=python3.12` (or another target) with its name"


def _runs(name: str) -> bool:
    """Tell whether the interpreter exists and starts: a name of a version manager may lead to none."""
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
    fix = _environment_fix() or (
        "run `make venv` in " + ROOT + " once, which installs them, then `source .venv/bin/activate`"
    )
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


def is_of_this_python(environment: str) -> bool:
    """Tell whether a virtual environment is there, works, and was made by this version of Python."""
    interpreter = os.path.join(environment, "bin", "python")  # noqa: PTH118
    if not os.path.exists(interpreter):  # noqa: PTH110
        return False
    import subprocess

    asked = [interpreter, "-c", "import sys; print('{}.{}'.format(*sys.version_info[:2]))"]
    try:
        output = subprocess.check_output(asked, stderr=subprocess.DEVNULL).decode()
    except (OSError, subprocess.CalledProcessError):
        return False
    return output.strip() == "{}.{}".format(*sys.version_info[:2])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--made"] and len(sys.argv) == 3:
        sys.exit(0 if is_of_this_python(sys.argv[2]) else 1)
    problem = python_problem(makes_environment=True) or venv_problem()
    if problem:
        sys.exit("error: " + problem)
