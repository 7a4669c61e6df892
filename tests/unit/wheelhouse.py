"""Small wheels, and a package index of them on this machine."""

import hashlib
import zipfile
from pathlib import Path

from layer.spec import Target

TARGET = Target("3.13", "x86_64")


def wheel(folder: Path, name: str, version: str, tag: str = "py3-none-any", content: str = "") -> Path:
    """Write a wheel of one package with one module."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    facts = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/version.py", content or f'__version__ = "{version}"\n')
        archive.writestr(f"{facts}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{facts}/WHEEL", f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n")
        archive.writestr(f"{facts}/RECORD", "")
    return path


def sha256(path: Path) -> str:
    """The digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def index(folder: Path, *wheels: Path) -> Path:
    """Lay wheels out as a package index in the simple form (PEP 503), with their hashes."""
    for path in wheels:
        project = folder / path.name.partition("-")[0]
        project.mkdir(parents=True, exist_ok=True)
        (project / path.name).write_bytes(path.read_bytes())
        link = f'<a href="{path.name.replace("+", "%2B")}#sha256={sha256(path)}">{path.name}</a>\n'
        with (project / "index.html").open("a", encoding="utf-8") as page:
            page.write(link)
    return folder
