"""What makes a Hugging Face cache fail offline, or fail once it is copied elsewhere."""

import posixpath
from collections.abc import Iterator

from layer.doctor.checks import known
from layer.doctor.guarded import guarded
from layer.doctor.limits import UnreadableError
from layer.doctor.readers.shapes import parse, part, string
from layer.doctor.readers.tree import Node, Tree
from layer.doctor.readers.wanted import POINTER, POINTER_BYTES, TOKENIZERS, WEIGHTS, may_be_pointer
from layer.findings.finding import Finding

Needs = dict[str, str]  # the folder of a repository -> what a model takes from it


def caches(tree: Tree) -> list[str]:
    """Name the directories that hold models--*, of Hugging Face's layout."""
    return sorted(tree.folders("models--"))


def cache_problems(tree: Tree, hub: str) -> Iterator[Finding]:
    """Name everything that is wrong with one cache."""
    repos = {name: posixpath.join(hub, name) for name in tree.names(hub) if name.startswith("models--")}
    aliases = {name.rpartition("--")[2]: name for name in sorted(repos, reverse=True)}
    for name, folder in repos.items():
        yield from guarded(_revision_problems(tree, folder))
        for path, node in tree.walk(folder):
            if not node.directory:
                yield from guarded(_file_problems(tree, folder, path, node))
        for listing in tree.names(posixpath.join(folder, "trees")):
            yield from guarded(_listing_problems(tree, folder, posixpath.join(folder, "trees", listing)))
        for revision in tree.names(posixpath.join(folder, "snapshots")):
            yield from _snapshot_problems(tree, name, folder, revision)
        needs: Needs = {known.folder(repo): "tokenizer" for repo in known.repositories().get(name, {}).get("text", [])}
        yield from guarded(_add_needs(tree, folder, needs))
        for need, what in sorted(needs.items()):
            yield from _need_problems(tree, (hub, name, need, what), repos, aliases)


def _revision_problems(tree: Tree, folder: str) -> Iterator[Finding]:
    refs = posixpath.join(folder, "refs", "main")
    snapshots = tree.names(posixpath.join(folder, "snapshots"))
    if not snapshots:
        if not tree.closed & {folder, posixpath.join(folder, "snapshots")}:
            yield Finding("no-snapshot", folder)
        return
    revision = tree.text(refs)
    if revision is None and posixpath.dirname(refs) in tree.closed:
        return
    if revision is None:
        yield Finding("refs-missing", refs, f"snapshots/ has {snapshots[0]}")
    elif revision != revision.strip():
        yield Finding("refs-newline", refs)
    elif revision not in snapshots:
        yield Finding("refs-unknown", refs, f"it names {revision[:100]}, snapshots/ has {', '.join(snapshots[:3])}")


def _file_problems(tree: Tree, folder: str, path: str, node: Node) -> Iterator[Finding]:
    if node.link is not None:
        goal = tree.target(path)
        if goal is None:
            yield Finding("dangling-link", path, node.link)
        elif not goal.startswith(f"{folder}/"):
            yield Finding("link-out-of-repository", path, f"it is at {goal}, outside {folder}")
        return
    if path.endswith((".incomplete", ".partial")):
        yield Finding("incomplete-download", path)
    elif may_be_pointer(path, node.size) and tree.content(path, POINTER_BYTES).startswith(POINTER):
        yield Finding("lfs-pointer", path)


def _listing_problems(tree: Tree, folder: str, listing: str) -> Iterator[Finding]:
    snapshot = posixpath.join(folder, "snapshots", posixpath.basename(listing).removesuffix(".json"))
    for name in part(parse(tree.text(listing) or "{}", listing), "files", listing):
        if not tree.has(f"{snapshot}/{name}"):
            yield Finding("trees-left", listing, f"it lists {name}")
            return


def _snapshot_problems(tree: Tree, name: str, folder: str, revision: str) -> Iterator[Finding]:
    snapshot = posixpath.join(folder, "snapshots", revision)
    names = set(tree.names(snapshot))
    roles = known.repositories().get(name, {})
    if "open_clip_config.json" in names and not any(name.endswith(WEIGHTS) for name in names):
        yield Finding("weights-missing", snapshot, "it has open_clip's config alone")
    if "weights" in roles and "tokenizer" in roles and not names & set(TOKENIZERS):
        yield Finding("tokenizer-missing", snapshot)
    only_tokenizer = bool(names & set(TOKENIZERS)) and "config.json" not in names
    if only_tokenizer and not tree.has(posixpath.join(folder, ".no_exist", revision, "config.json")):
        yield Finding("no-exist-note-missing", snapshot)


def _add_needs(tree: Tree, folder: str, needs: Needs) -> Iterator[Finding]:
    """Add the repositories that the configs of a model's snapshots name."""
    for revision in tree.names(posixpath.join(folder, "snapshots")):
        path = posixpath.join(folder, "snapshots", revision, "open_clip_config.json")
        try:
            model = part(parse(tree.text(path) or "{}", path), "model_cfg", path)
            text = part(model, "text_cfg", path)
            for key, role in (("hf_model_name", "text tower's config"), ("hf_tokenizer_name", "tokenizer")):
                if repo := string(text, key, path):
                    needs[known.folder(repo)] = role
        except UnreadableError as error:
            yield Finding("unreadable", error.where, error.reason)


def _need_problems(
    tree: Tree, question: tuple[str, str, str, str], repos: dict[str, str], aliases: dict[str, str]
) -> Iterator[Finding]:
    hub, name, need, what = question
    asked = f"{known.repository(name)} takes its {what} from {known.repository(need)}"
    if need in repos:
        if what == "tokenizer" and need != name and not _has_tokenizer(tree, repos[need]):
            yield Finding("tokenizer-missing", repos[need], asked)
    elif alias := aliases.get(need.rpartition("--")[2]):
        yield Finding("other-repository-id", repos[alias], f"{asked}: name the directory {need}")
    else:
        yield Finding("second-repository-missing", posixpath.join(hub, need), asked)


def _has_tokenizer(tree: Tree, folder: str) -> bool:
    snapshots = posixpath.join(folder, "snapshots")
    return any(set(tree.names(posixpath.join(snapshots, name))) & set(TOKENIZERS) for name in tree.names(snapshots))
