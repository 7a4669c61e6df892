"""Check a repository's tokenizer and configs before transformers reads them: no pointers, bombs or code."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from layer.errors import CheckpointError
from layer.files.foreign import read_json, refuse_pointer

_JSON = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json")


def check_files(repo: str, folder: Path, names: Sequence[str]) -> None:
    """Raise CheckpointError for a Git LFS pointer, hostile JSON, or a tokenizer that only its own code can run."""
    for name in names:
        refuse_pointer(folder / name, CheckpointError)
    for name in set(_JSON) & set(names):
        if not isinstance(content := read_json(folder / name, CheckpointError), dict):
            raise CheckpointError(f"{name} of {repo} is not a JSON object: take the file that came with the model")
        if name == "tokenizer_config.json":
            _refuse_code(repo, content)


def _refuse_code(repo: str, config: dict[str, Any]) -> None:
    """Raise CheckpointError if transformers lacks the tokenizer's class and would run the repository's code."""
    auto_map = config.get("auto_map")
    if not auto_map or (isinstance(auto_map, dict) and "AutoTokenizer" not in auto_map):
        return
    from transformers.models.auto.tokenization_auto import tokenizer_class_from_name

    kind = config.get("tokenizer_class")
    if isinstance(kind, str) and tokenizer_class_from_name(kind) is None:
        raise CheckpointError(
            f"the tokenizer of {repo} is code of its own ({kind[:80]}, by auto_map), which is never run: name a "
            "repository whose tokenizer transformers has itself in text_cfg.hf_tokenizer_name"
        )
