"""Which repositories a model needs, which of their files, and from where else its weights are served.

Functions that ask open_clip's registry import open_clip late: that takes seconds.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.suggest import did_you_mean
from layer.config.check import read_config
from layer.errors import PlanError
from layer.naming.model_names import LISTS
from layer.spec import ModelSpec

CONFIG_FILE = "open_clip_config.json"
DEFAULT_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")  # in open_clip's own order
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)

_HASH = re.compile(r"[0-9a-f]{8,64}")  # or its beginning, in addresses of the registry

ROLES = ("weights", "config", "tokenizer", "text_config")


@dataclass(frozen=True)
class Need:
    """A repository, by the id that open_clip will ask for, and what is needed from it.

    `roles` are "weights", "config" (open_clip's), "tokenizer" and "text_config" (transformers'). `weights` are the
    names that the file of weights may have: the first one that the repository has is taken.
    """

    repo: str
    roles: tuple[str, ...]
    weights: tuple[str, ...] = ()

    def choose(self, available: Sequence[str]) -> list[str]:
        """Pick the files to fetch from the repository's files. Raises PlanError naming what it lacks."""
        chosen = []
        if self.weights:
            chosen.append(self._first(self.weights, available))
        if "config" in self.roles:
            chosen.append(self._first((CONFIG_FILE,), available))
        if "tokenizer" in self.roles:
            files = [name for name in TOKENIZER_FILES if name in available]
            if not satisfies("tokenizer", files):
                raise PlanError(f"{self.repo} has no tokenizer: none of tokenizer.json, vocab.txt, spiece.model, ...")
            chosen += files
        if "text_config" in self.roles:
            chosen.append(self._first(("config.json",), available))
        elif "tokenizer" in self.roles and "config.json" in available:
            chosen.append("config.json")  # transformers reads the tokenizer's class from it
        return chosen

    def _first(self, names: Sequence[str], available: Sequence[str]) -> str:
        for name in names:
            if name in available:
                return name
        raise PlanError(f"{self.repo} has no {' and no '.join(names)}: is it an OpenCLIP repository?")


def limited(needs: Sequence[Need], roles: Sequence[str]) -> list[Need]:
    """Return the needs with only these roles; a need that has none of them is left out."""
    kept = [(need, tuple(role for role in need.roles if role in roles)) for need in needs]
    return [Need(need.repo, own, need.weights if "weights" in own else ()) for need, own in kept if own]


def parts(need: Need) -> list[Need]:
    """Split a need into one for each role: weights, configs and tokenizer may have been fetched separately."""
    return [Need(need.repo, (role,), need.weights if role == "weights" else ()) for role in need.roles]


def candidates(need: Need) -> dict[str, tuple[str, ...]]:
    """Return, for each role of a need, the files that can serve it.

    The role "class" is config.json beside a tokenizer, which transformers reads if it is there.
    """
    found = {"weights": need.weights} if need.weights else {}
    if "config" in need.roles:
        found["config"] = (CONFIG_FILE,)
    if "tokenizer" in need.roles:
        found["tokenizer"] = TOKENIZER_FILES
    if {"tokenizer", "text_config"} & set(need.roles):
        found["text_config" if "text_config" in need.roles else "class"] = ("config.json",)
    return found


def satisfies(role: str, names: Sequence[str]) -> bool:
    """Tell whether these files are enough for a role."""
    if role != "tokenizer":
        return role == "class" or bool(names)
    vocabulary = set(names) - {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt"}
    return bool(vocabulary) and (vocabulary != {"vocab.json"} or "merges.txt" in names)


@dataclass(frozen=True)
class Direct:
    """Weights served from outside the hub. `sha256` is the registry's: in full, its beginning, or "" if it has none."""

    url: str
    sha256: str


@dataclass(frozen=True)
class SourcePlan:
    """What one model needs. If its weights are in no repository, `direct` says where they are.

    `advice` is a warning about this pair where the registry itself is wrong.
    """

    needs: tuple[Need, ...]
    direct: Direct | None
    advice: str | None


def source_plan(model: ModelSpec) -> SourcePlan:
    """Plan a pair of open_clip's registry. Raises PlanError for a name or a tag that open_clip does not know."""
    pair = _pretrained_cfg(model)
    weights = [weights_need(model)] if pair.get("hf_hub") else []
    config = model_config(model, None)
    direct = Direct(pair["url"], checksum(pair["url"])) if pair.get("url") else None
    return SourcePlan(tuple(merge([*weights, *text_needs(config)])), direct, _advice(model, pair, config))


def checksum(url: str) -> str:
    """Return the sha256, or its beginning, that a URL of the registry carries; "" where it carries none."""
    parts = posixpath.splitext(url)[0].split("/")
    named = parts[-2] if "openaipublic" in url else parts[-1].rpartition("-")[2] if "/mlfoundations/" in url else ""
    return named if _HASH.fullmatch(named) else ""  # an address of one's own may have these words in it


def _advice(model: ModelSpec, pair: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    """Return a warning if open_clip computes a model with another activation than it was trained with."""
    from layer.openclip import open_clip

    trained, computed = bool(pair.get("quick_gelu")), bool(config.get("quick_gelu"))
    if trained == computed:
        return None
    other = f"{model.name}-quickgelu"
    if trained and other in open_clip.list_models():
        return f'{model.id} was trained with QuickGELU, and open_clip computes this name with GELU: name = "{other}"'
    return f"{model.id}: open_clip's registry is inconsistent on QuickGELU; compare with its own results"


def advice(model: ModelSpec) -> str | None:
    """Return the warning about a model's pair, or about the pair in its `config`; None if there is none.

    Raises PlanError for a name or a tag that open_clip does not know.
    """
    if not model.checkpoint:
        return None if model.name.startswith("hf-hub:") else source_plan(model).advice
    if not model.config or model.config.endswith(".json"):
        return None
    name, _, tag = model.config.rpartition("/")
    told = source_plan(ModelSpec(name, tag)).advice
    if told is None or not told.endswith(f'"{name}-quickgelu"'):
        return told
    return (
        f"{model.id} has the config of {model.config}, which open_clip computes with GELU, and the weights of that "
        f'pair were trained with QuickGELU: if yours were, too, write config = "{name}-quickgelu/{tag}"'
    )


def weights_need(model: ModelSpec) -> Need:
    """Say which repository holds the weights. Raises PlanError for a name or a tag that open_clip does not know."""
    if model.name.startswith("hf-hub:"):
        return Need(model.name.removeprefix("hf-hub:"), ("weights", "config"), DEFAULT_WEIGHTS)
    config = _pretrained_cfg(model)
    if not config.get("hf_hub"):
        raise PlanError(
            f"{model.id} is not on the hub: name its repository as hf-hub:<org>/<name>, if it has one, or its file "
            f"as checkpoint = {config['url']!r} with config = {model.id!r}"
        )
    repo, file = posixpath.split(config["hf_hub"])
    return Need(repo, ("weights",), _weights_names(file))


def _pretrained_cfg(model: ModelSpec) -> dict[str, Any]:
    from layer.openclip import open_clip

    if model.name not in open_clip.list_models():
        hint = did_you_mean(model.name, open_clip.list_models())
        raise PlanError(f"open_clip {open_clip.__version__} has no model {model.name!r}{hint} ({LISTS})")
    config: dict[str, Any] = open_clip.get_pretrained_cfg(model.name, model.pretrained)
    if not config:
        tags = open_clip.list_pretrained_tags_by_model(model.name)
        tag_list = ", ".join(tags) or "none"
        hint = did_you_mean(str(model.pretrained), tags)
        raise PlanError(f"{model.name} has no pretrained {model.pretrained!r}{hint or '.'} Its tags are {tag_list}")
    return config


def text_needs(model_config: Mapping[str, Any]) -> list[Need]:
    """Return what the text side needs, by open_clip's model config: often nothing, often from another repository."""
    text = model_config["text_cfg"]
    needs = []
    if tokenizer := text.get("hf_tokenizer_name"):
        needs.append(Need(tokenizer, ("tokenizer",)))
    if tower := text.get("hf_model_name"):
        needs.append(Need(tower, ("text_config",)))
    return needs


def merge(needs: Sequence[Need]) -> list[Need]:
    """Join needs of the same repository, in order of first mention."""
    merged: dict[str, Need] = {}
    for need in needs:
        known = merged.get(need.repo, Need(need.repo, ()))
        roles = (*known.roles, *(role for role in need.roles if role not in known.roles))
        merged[need.repo] = Need(need.repo, roles, known.weights or need.weights)
    return list(merged.values())


def model_config(model: ModelSpec, config_file: Path | None) -> dict[str, Any]:
    """Return open_clip's model config: the registry's, or the one in the repository's open_clip_config.json.

    Raises PlanError naming every field of it that open_clip would not honor.
    """
    if config_file is None:
        from layer.openclip import open_clip

        config: dict[str, Any] = open_clip.get_model_config(model.name)
        return config
    return dict(read_config(config_file, f"{CONFIG_FILE} of {model.id}", PlanError)["model_cfg"])


def _weights_names(file: str) -> tuple[str, ...]:
    """Return the file names that open_clip tries, in its order: the safetensors one first."""
    if not file or file == DEFAULT_WEIGHTS[1]:
        return DEFAULT_WEIGHTS
    stem, extension = posixpath.splitext(file)
    return (f"{stem}.safetensors", file) if extension in (".bin", ".pth") else (file,)
