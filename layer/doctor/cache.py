"""What makes a Hugging Face cache fail offline, or fail once it is copied elsewhere."""

import json
import posixpath
from collections.abc import Iterator
from functools import cache

from layer.doctor.finding import Finding
from layer.doctor.tree import Node, Tree
from layer.registry import TABLE

WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".npz")
TOKENIZERS = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
POINTER = b"version https://git-lfs"
FETCH = "fetch it again with HF_HUB_DISABLE_SHARED_BLOBS=1 and copy with links followed (cp -rL), or build a bundle"


def caches(tree: Tree) -> list[str]:
    """Name the directories that hold models--*, of Hugging Face's layout."""
    found = set()
    for path in tree.nodes:
        parts = path.split("/")
        for at, part in enumerate(parts):
            if part.startswith("models--"):
                found.add("/".join(parts[:at]))
                break
    return sorted(found)


def cache_problems(tree: Tree, hub: str) -> Iterator[Finding]:
    """Name everything that is wrong with one cache."""
    repos = {name: posixpath.join(hub, name) for name in tree.names(hub) if name.startswith("models--")}
    for folder in repos.values():
        yield from _repository_problems(tree, folder)
    for name, folder in repos.items():
        yield from _second_repository_problems(tree, name, folder, repos)


def _repository_problems(tree: Tree, folder: str) -> Iterator[Finding]:
    yield from _revision_problems(tree, folder)
    snapshots = [posixpath.join(folder, "snapshots", name) for name in tree.names(posixpath.join(folder, "snapshots"))]
    for path, node in tree.files():
        if path.startswith(f"{folder}/"):
            yield from _file_problems(tree, folder, path, node)
    for listing in [posixpath.join(folder, "trees", name) for name in tree.names(posixpath.join(folder, "trees"))]:
        revision = posixpath.basename(listing).removesuffix(".json")
        gone = [n for n in _listed(tree, listing) if not tree.has(posixpath.join(folder, "snapshots", revision, n))]
        if gone:
            yield Finding(
                "trees-left",
                listing,
                f"it lists {gone[0]}, which was pruned: an offline snapshot_download refuses the whole snapshot",
                "remove trees/",
            )
    for snapshot in snapshots:
        yield from _snapshot_problems(tree, folder, snapshot)


def _revision_problems(tree: Tree, folder: str) -> Iterator[Finding]:
    refs = posixpath.join(folder, "refs", "main")
    known = tree.names(posixpath.join(folder, "snapshots"))
    revision = tree.text(refs)
    pinned = "hf calls by branch find nothing offline"
    if not known:
        yield Finding("no-snapshot", folder, "it has no snapshots/: only parts of the cache were copied", FETCH)
    elif revision is None:
        yield Finding(
            "refs-missing",
            refs,
            f"offline, huggingface_hub cannot tell which snapshot is meant: {pinned}",
            f"write {known[0]} into it, without a newline",
        )
    elif revision != revision.strip():
        yield Finding(
            "refs-newline",
            refs,
            "it ends in white space: offline, huggingface_hub looks for a snapshot of that very name",
            "write the commit without a newline (printf, not echo)",
        )
    elif revision not in known:
        yield Finding("refs-unknown", refs, f"it names {revision}, snapshots/ has {', '.join(known)}", FETCH)


def _file_problems(tree: Tree, folder: str, path: str, node: Node) -> Iterator[Finding]:
    if node.link is not None:
        goal = tree.target(path)
        if goal is None:
            yield Finding("dangling-link", path, f"it links to {node.link}, which is not here", FETCH)
        elif not goal.startswith(f"{folder}/"):
            yield Finding(
                "link-out-of-repository",
                path,
                f"its content is at {goal}, outside {folder}: copying the model's folder leaves it behind",
                FETCH,
                fatal=False,
            )
        return
    if path.endswith((".incomplete", ".partial")):
        yield Finding(
            "incomplete-download", path, "a download that was cut off", "remove it, and fetch the model again"
        )
    elif path.endswith(WEIGHTS) and node.size < 1024 and node.read().startswith(POINTER):
        yield Finding(
            "lfs-pointer", path, "a pointer of git LFS, not the weights", "git lfs pull, or fetch by the hub's client"
        )


def _listed(tree: Tree, listing: str) -> list[str]:
    try:
        return list(json.loads(tree.text(listing) or "{}").get("files", {}))
    except (ValueError, AttributeError):
        return []


def _snapshot_problems(tree: Tree, folder: str, snapshot: str) -> Iterator[Finding]:
    names = set(tree.names(snapshot))
    known = _known(posixpath.basename(folder))
    if "open_clip_config.json" in names and not any(name.endswith(WEIGHTS) for name in names):
        yield Finding(
            "weights-missing",
            snapshot,
            "it has open_clip's config and no weights: create_model only warns, and gives a random model",
            "fetch the weights, and pass require_pretrained=True",
        )
    if "weights" in known and "tokenizer" in known and not names & set(TOKENIZERS):
        yield Finding("tokenizer-missing", snapshot, "open_clip takes its tokenizer from here, and none is here", FETCH)
    only_tokenizer = bool(names & set(TOKENIZERS)) and "config.json" not in names
    note = posixpath.join(folder, ".no_exist", posixpath.basename(snapshot), "config.json")
    if only_tokenizer and not tree.has(note):
        yield Finding(
            "no-exist-note-missing",
            snapshot,
            "it has a tokenizer and no config.json: transformers 5 asks the hub for one, and offline that fails",
            f"make an empty {note}",
        )


def _second_repository_problems(tree: Tree, name: str, folder: str, repos: dict[str, str]) -> Iterator[Finding]:
    for need, why in sorted(_needs(tree, name, folder).items()):
        if need in repos:
            if why == "tokenizer" and need != name and not _has_tokenizer(tree, repos[need]):
                yield Finding(
                    "tokenizer-missing", repos[need], f"{_id(name)} takes its tokenizer from here, and none is", FETCH
                )
            continue
        short = need.rpartition("--")[2]
        alias = next((other for other in repos if other.rpartition("--")[2] == short), None)
        if alias:
            yield Finding(
                "other-repository-id",
                repos[alias],
                f"open_clip asks for {_id(need)}, exactly so: {_id(alias)} does not answer for it",
                f"name the folder {need}",
            )
        else:
            yield Finding(
                "second-repository-missing",
                posixpath.join(posixpath.dirname(folder), need),
                f"{_id(name)} takes its {why} from {_id(need)}, which is not in this cache",
                f"fetch {_id(need)} into the same cache",
            )


def _needs(tree: Tree, name: str, folder: str) -> dict[str, str]:
    """Map the folders of the repositories that a model's text side needs to what it takes from them."""
    needs = {f"models--{repo.replace('/', '--')}": "tokenizer" for repo in _known(name).get("text", [])}
    for revision in tree.names(posixpath.join(folder, "snapshots")):
        try:
            config = json.loads(
                tree.text(posixpath.join(folder, "snapshots", revision, "open_clip_config.json")) or "{}"
            )
            text = config.get("model_cfg", {}).get("text_cfg", {})
        except (ValueError, AttributeError):
            continue
        for key, role in (("hf_model_name", "text tower's config"), ("hf_tokenizer_name", "tokenizer")):
            if repo := text.get(key):
                needs[f"models--{repo.replace('/', '--')}"] = role
    return needs


def _has_tokenizer(tree: Tree, folder: str) -> bool:
    snapshots = posixpath.join(folder, "snapshots")
    return any(set(tree.names(posixpath.join(snapshots, name))) & set(TOKENIZERS) for name in tree.names(snapshots))


@cache
def _registry() -> dict[str, dict[str, list[str]]]:
    """Map a folder of weights, by open_clip's registry, to what it is and which text repositories go with it."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in json.loads(TABLE.read_text(encoding="utf-8"))["pairs"]:
        if row["weights"]:
            roles = {"weights": [row["weights"]], "text": row["text"]}
            found[f"models--{row['weights'].replace('/', '--')}"] = roles | (
                {"tokenizer": row["text"]} if row["weights"] in row["text"] else {}
            )
    return found


def _known(folder: str) -> dict[str, list[str]]:
    return _registry().get(folder, {})


def _id(folder: str) -> str:
    return folder.removeprefix("models--").replace("--", "/", 1)
