"""The wheels that may be installed: for each engine, Python and architecture every pin with the sha256 of its wheel.

The files are requirements as pip reads them with `--require-hashes`. `make pins` writes them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from layer.bundle.records import ModelEntry
from layer.engines import ENGINES
from layer.errors import PackageError
from layer.spec import Target

FOLDER = Path(__file__).with_name("hashes")
# Of PyTorch's own CPU index, where one is named. PyPI's builds of them are for CUDA.
TORCH = ("torch", "torchvision")
TRANSFORMERS = "transformers"
_PIN = re.compile(r"(?P<name>[A-Za-z0-9_.-]+)==(?P<version>\S+)(?P<hashes>( --hash=sha256:[0-9a-f]{64})+)")


@dataclass(frozen=True)
class Wheel:
    """One pin. It has several hashes if indexes have different builds of it."""

    name: str
    version: str
    sha256: tuple[str, ...]

    @property
    def line(self) -> str:
        """The requirement, as pip reads it."""
        return f"{self.name}=={self.version}" + "".join(f" --hash=sha256:{digest}" for digest in self.sha256)


def needed(models: Sequence[ModelEntry]) -> set[str]:
    """Return the packages' names for these models: their engines, and transformers if open_clip needs it for one."""
    by_open_clip = [model for model in models if ENGINES[model.engine].ships_checkpoint]
    of_open_clip = {TRANSFORMERS for model in by_open_clip if _needs_transformers(model)}
    return {model.engine for model in models} | of_open_clip


def _needs_transformers(model: ModelEntry) -> bool:
    """Decide as the handler does (handler/engines/import_open_clip.py); transformers takes 121 MB."""
    return model.tokenizer.kind != "simple" or any("text_config" in source.roles for source in model.sources)


def path(engine: str, target: Target) -> Path:
    """Return where an engine's wheels for a target are recorded."""
    return FOLDER / f"{engine}-{target.python}-{target.architecture}.txt"


def recorded(engines: Iterable[str], target: Target) -> list[Wheel]:
    """Return the wheels that the engines need, each package once. Raises PackageError if the target has no record."""
    wheels: dict[str, Wheel] = {}
    for engine in sorted(engines):
        place = path(engine, target)
        if not place.is_file():
            there = sorted(one.stem.removeprefix(f"{engine}-") for one in FOLDER.glob(f"{engine}-*.txt"))
            raise PackageError(
                f"engine {engine!r} has no wheels for Python {target.python} on {target.architecture} with glibc "
                f"2.34: take another engine, or in [target] of models.toml one of {', '.join(there) or 'none'}"
            )
        wheels |= {wheel.name: wheel for wheel in read(place)}
    return sorted(wheels.values(), key=lambda wheel: wheel.name)


def read(place: Path) -> list[Wheel]:
    """Read one file. Raises PackageError for a line that pins no hash."""
    wheels = []
    for number, line in enumerate(place.read_text(encoding="utf-8").splitlines(), 1):
        if not (text := line.partition("#")[0].strip()):
            continue
        if (matched := _PIN.fullmatch(text)) is None:
            raise PackageError(f"{place}, line {number}: not name==version --hash=sha256:...: run `make pins`")
        wheels.append(Wheel(matched["name"], matched["version"], tuple(re.findall("[0-9a-f]{64}", matched["hashes"]))))
    return wheels
