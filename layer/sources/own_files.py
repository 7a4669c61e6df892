"""Find the files of a model of the user's own, without reading the weights.

A build compares them before it uses a finished model, so that an edited file is noticed.
"""

from collections.abc import Iterator
from pathlib import Path

from layer.errors import CheckpointError
from layer.files.foreign import read_json
from layer.naming.model_names import text_repositories
from layer.naming.repositories import looks_like_a_path
from layer.sources.resolve import CONFIG_FILE, TOKENIZER_FILES
from layer.spec import ModelSpec
from layer.weights.checkpoint import SUFFIXES

TEXT_KEYS = {"hf_tokenizer_name": TOKENIZER_FILES, "hf_model_name": ("config.json",)}  # of text_cfg, with their files


def is_address(checkpoint: str) -> bool:
    """Tell whether a checkpoint is a URL, which is downloaded."""
    return "://" in checkpoint


def read(model: ModelSpec) -> list[Path]:
    """Return the existing local files that a build of a model reads."""
    if not model.checkpoint:
        return []
    weights, folder = _weights(Path(model.checkpoint)) if not is_address(model.checkpoint) else ([], None)
    pair = model.config if model.config and not model.config.endswith(".json") else None
    if model.config and not pair:
        config, directory = Path(model.config), Path(model.config).parent
    elif folder:
        config, directory = folder / CONFIG_FILE, folder
    else:
        return []
    names = text_repositories(pair) if pair else _named(config)
    places = dict.fromkeys([directory, *(place(directory, name) for name in names)])
    texts = [one / name for one in places for files in TEXT_KEYS.values() for name in files]
    return [path for path in dict.fromkeys([*weights, config, *texts]) if path.is_file()]


def _weights(given: Path) -> tuple[list[Path], Path]:
    """Return the files that may be the weights, and the directory that they are in, where a training writes logs."""
    if not given.is_dir():
        return [given], given.parent
    return sorted(path for path in given.iterdir() if path.suffix in SUFFIXES), given


def config_file(model: ModelSpec, folder: Path) -> Path:
    """Return the path of a config that is not a pair of the registry: that in models.toml, or beside the weights."""
    return Path(model.config) if model.config else folder / CONFIG_FILE


def place(directory: Path, name: str) -> Path:
    """Return the directory of a config's tokenizer: a subdirectory that it names, else the config's own directory."""
    if not looks_like_a_path(name) and "/" not in name:
        return directory / name if (directory / name).is_dir() else directory
    named = (directory / name).resolve()
    inside = named.is_relative_to(directory.resolve())
    return named if inside and named.is_dir() else directory


def _named(config: Path) -> Iterator[str]:
    """Yield the text-side names of a config; a config that cannot be read yields none, and the build reports it."""
    try:
        found = read_json(config, CheckpointError, rewritten=True) if config.is_file() else None
    except CheckpointError:
        return
    model = found.get("model_cfg") if isinstance(found, dict) else None
    text = model.get("text_cfg") if isinstance(model, dict) else None
    if not isinstance(text, dict):
        return
    for key in TEXT_KEYS:
        if isinstance(name := text.get(key), str) and name:
            yield name
