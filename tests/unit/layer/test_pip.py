"""Real pip on a machine whose settings are somebody else's: what is installed, from where, and what is refused."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from layer.errors import PackageError
from layer.package import pip, runtime, wheels
from tests.unit.wheelhouse import TARGET, sha256, wheel

# Each alone has been seen to break `pip install --target`, or to send its result elsewhere.
HOSTILE = {
    "user": "true",
    "prefix": "{elsewhere}",
    "root": "{elsewhere}",
    "constraint": "{constraints}",
    "requirement": "{constraints}",
    "no-binary": ":all:",
    "require-virtualenv": "true",
    "dry-run": "true",
    "platform": "win_amd64",
    "python-version": "2.7",
    "implementation": "pp",
    "abi": "none",
    "report": "{elsewhere}/report.json",
    "only-binary": ":none:",
    "quiet": "3",
    "no-deps": "false",
    "require-hashes": "true",
    "upgrade": "true",
    "log": "{elsewhere}/pip.log",
}


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel whose hash is recorded as all that engine "one" needs, in a folder where this machine's pip looks."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    path = wheel(tmp_path / "house", "one", "1.0")
    monkeypatch.setattr(wheels, "FOLDER", tmp_path / "hashes")
    place = wheels.path("one", TARGET)
    place.parent.mkdir()
    place.write_text(wheels.Wheel("one", "1.0", (sha256(path),)).line + "\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings(tmp_path, {"no-index": "true", "find-links": path.parent})))
    return path


def settings(tmp_path: Path, options: Mapping[str, object], section: str = "global") -> Path:
    path = tmp_path / "pip.conf"
    text = path.read_text() if path.exists() else ""
    path.write_text(text + f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()))
    return path


def hostile(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "constraints.txt").write_text("one<1.0\n")
    places = {"elsewhere": str(tmp_path / "elsewhere"), "constraints": str(tmp_path / "constraints.txt")}
    return {name: value.format(**places) for name, value in HOSTILE.items()}


def check(pinned: Path, tmp_path: Path) -> None:
    installed = runtime.install(["one"], TARGET, tmp_path / "tree", None)

    assert (tmp_path / "tree" / "one" / "version.py").read_text() == '__version__ = "1.0"\n'
    assert installed.wheels == [{"name": "one", "version": "1.0", "filename": pinned.name, "sha256": sha256(pinned)}]
    assert {path.name for path in (tmp_path / "elsewhere").rglob("*")} <= {"pip.log"}


def test_settings_in_variables_that_are_for_other_environments_change_nothing(
    pinned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in hostile(tmp_path).items():
        monkeypatch.setenv(f"PIP_{name.upper().replace('-', '_')}", value)
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path / "elsewhere"))

    check(pinned, tmp_path)


def test_settings_in_pip_conf_that_are_for_other_environments_change_nothing(pinned: Path, tmp_path: Path) -> None:
    settings(tmp_path, hostile(tmp_path), "install")

    check(pinned, tmp_path)


def test_what_says_where_packages_are_and_how_to_reach_them_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    kept = {"index-url": "https://user:key@index.example/simple", "proxy": "http://proxy.example:3128", "timeout": "9"}
    settings(tmp_path, {**kept, "user": "true", "find-links": "\n    /one\n    /two"})
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings(tmp_path, {"proxy": "http://other.example"}, "install")))
    monkeypatch.setenv("PIP_CERT", "/company.pem")
    monkeypatch.setenv("PIP_TIMEOUT", "20")

    environ = pip.environment()

    assert {name: value for name, value in environ.items() if name.startswith("PIP_")} == {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": kept["index-url"],
        "PIP_PROXY": "http://other.example",  # of [install], which counts more than [global]
        "PIP_FIND_LINKS": "/one /two",
        "PIP_CERT": "/company.pem",
        "PIP_TIMEOUT": "20",
    } | machine_wide(environ)
    only = pip.environment("https://torch.example/cpu")
    assert {name for name in only if name.removeprefix("PIP_").lower().replace("_", "-") in pip.SOURCES} == {
        "PIP_INDEX_URL"
    }
    assert (only["PIP_INDEX_URL"], only["PIP_CERT"]) == ("https://torch.example/cpu", "/company.pem")


def machine_wide(environ: dict[str, str]) -> dict[str, str]:
    """What the pip.conf of the whole machine says, where it says something of these."""
    return {name: environ[name] for name in ("PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST") if name in environ}


def test_settings_that_pip_cannot_read_are_reported_with_the_way_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.conf").write_text("user = true\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))

    with pytest.raises(PackageError, match="pip cannot read its own settings") as caught:
        pip.environment()

    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("change", ["a byte", "the whole wheel"])
def test_an_altered_wheel_is_refused_and_nothing_of_it_is_installed(pinned: Path, tmp_path: Path, change: str) -> None:
    if change == "a byte":
        content = pinned.read_bytes()
        pinned.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        wheel(pinned.parent, "one", "1.0", content="import os\n")

    with pytest.raises(PackageError, match=r"is not the one whose sha256 is recorded.*`make pins`"):
        runtime.install(["one"], TARGET, tmp_path / "tree", None)

    assert not (tmp_path / "tree" / "one").exists()


def test_a_pin_without_a_hash_is_refused_before_pip_is_asked(
    pinned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels.path("one", TARGET).write_text("one==1.0\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("pip was started"))

    with pytest.raises(PackageError, match=r"one-3\.13-x86_64\.txt, line 1: .*`make pins`"):
        runtime.install(["one"], TARGET, tmp_path / "tree", None)


def test_ctrl_c_leaves_nothing_of_what_pip_had_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is killed a quarter of a second after the signal, and a wheel is up to hundreds of megabytes."""
    stand_in, place = tmp_path / "python", tmp_path / "temporary"
    stand_in.write_text("#!/bin/sh\ntrap '' INT\nmktemp -d\nkill -INT $PPID\nexec sleep 60\n")
    stand_in.chmod(0o755)
    place.mkdir()
    monkeypatch.setattr(pip, "_settings", dict)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setenv("TMPDIR", str(place))
    with pytest.raises(KeyboardInterrupt):
        pip.install(["one"], TARGET)
    assert list(place.iterdir()) == []
