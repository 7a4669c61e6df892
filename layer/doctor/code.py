"""What a function's own code does that breaks OpenCLIP in Lambda, read from its source."""

import ast
from collections.abc import Iterator

from layer import registry
from layer.doctor.environment import too_many_threads
from layer.doctor.finding import Finding
from layer.doctor.tree import Tree

FREEZE = ("huggingface_hub", "transformers", "open_clip", "timm", "sentence_transformers")  # they read it at import
FLAGS = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
CREATE = ("create_model", "create_model_and_transforms", "create_model_from_pretrained")
FILES = (".pt", ".pth", ".bin", ".safetensors")
INSTALLED = ("site-packages/", "dist-packages/", "/lib/python", "node_modules/", ".venv/")
MAX_SOURCE = 500_000  # bytes


def sources(tree: Tree) -> Iterator[tuple[str, ast.Module]]:
    """Yield the Python modules that are a function's own: those that import open_clip, or set what it reads."""
    for path, node in tree.files():
        if not path.endswith(".py") or node.size > MAX_SOURCE or any(part in f"/{path}" for part in INSTALLED):
            continue
        text = node.read().decode("utf-8", "replace") if node.link is None else ""
        if "open_clip" in text or "HF_HUB_OFFLINE" in text:
            try:
                yield path, ast.parse(text)
            except SyntaxError:
                continue  # a template, or Python 2: not what runs here


def sets_offline(tree: Tree) -> bool:
    """Tell whether some module sets the offline flag before it imports what reads it."""
    return any((line := _flag_line(module)) is not None and line < _freeze_line(module) for _, module in sources(tree))


def code_problems(tree: Tree) -> Iterator[Finding]:
    """Name what is wrong in each module."""
    for path, module in sources(tree):
        flag, freeze = _flag_line(module), _freeze_line(module)
        if flag is not None and flag > freeze:
            yield Finding(
                "offline-set-too-late",
                f"{path}:{flag}",
                f"HF_HUB_OFFLINE is set here, after line {freeze} imported what reads it, once, at import",
                "set it in the function's environment, or before that import",
            )
        for call in [node for node in ast.walk(module) if isinstance(node, ast.Call)]:
            yield from _call_problems(path, call)


def _call_problems(path: str, call: ast.Call) -> Iterator[Finding]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    where = f"{path}:{call.lineno}"
    arguments = {word.arg: word.value for word in call.keywords if word.arg}
    if name in CREATE:
        positional = dict(zip(("model_name", "pretrained"), call.args, strict=False))
        yield from _create_problems(where, name, {**positional, **arguments})
    first = call.args[0] if call.args else None
    if name == "get_tokenizer":
        yield from _tokenizer_problems(where, _text(arguments.get("model_name", first)))
    if name == "set_num_threads" and isinstance(first, ast.Constant) and isinstance(first.value, int):
        yield from too_many_threads(f"{name}({first.value})", first.value, where)
    workers = arguments.get("num_workers")
    many = isinstance(workers, ast.Constant) and workers.value not in (0, None)
    if name in ("Pool", "ProcessPoolExecutor") or many:
        yield Finding(
            "shared-memory-needed",
            where,
            "Lambda has no /dev/shm: semaphores between processes fail with Errno 38 (SemLock)",
            "use threads, num_workers=0",
        )


def _tokenizer_problems(where: str, model: str | None) -> Iterator[Finding]:
    if model and ":" not in model and registry.known(model.replace("/", "-")) is None:
        yield Finding(
            "tokenizer-of-no-model",
            where,
            f"open_clip has no model {model!r}: it only warns, and gives its default tokenizer, so other token ids",
            "name a model of `python -m layer models --all`, or hf-hub:<repository>",
            fatal=False,  # a later open_clip may know it
        )


def _create_problems(where: str, name: str, arguments: dict[str, ast.expr]) -> Iterator[Finding]:
    model, pretrained = _text(arguments.get("model_name")) or "", _text(arguments.get("pretrained")) or ""
    if pretrained.endswith(FILES):
        yield Finding(
            "checkpoint-with-wrong-preprocessing",
            where,
            f"pretrained={pretrained!r} is a file: open_clip silently prepares pictures as for another model",
            "keep open_clip_config.json beside the weights and name the directory: local-dir:<directory>",
        )
    if not model.startswith("hf-hub:"):
        return
    if name != CREATE[2] and "require_pretrained" not in arguments:
        yield Finding(
            "random-model-not-refused",
            where,
            f"{name}({model!r}) only warns where the weights are missing, and gives a random model",
            "pass require_pretrained=True",
            fatal=False,
        )
    if "cache_dir" in arguments:
        yield Finding(
            "cache-dir-not-passed-on",
            where,
            "cache_dir does not reach the config and the text tower of this model: they are looked for elsewhere",
            "set HF_HUB_CACHE in the environment instead",
        )


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _flag_line(module: ast.Module) -> int | None:
    """Return the line where the flag is set by os.environ[...] = ..., .setdefault(...) or .update(...)."""
    lines = []
    for node in ast.walk(module):
        targets = node.targets if isinstance(node, ast.Assign) else []
        keys = [target.slice for target in targets if isinstance(target, ast.Subscript)]
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("setdefault", "update")
        ):
            keys += [*node.args, *(key for arg in node.args if isinstance(arg, ast.Dict) for key in arg.keys if key)]
        if isinstance(node, ast.stmt | ast.expr) and any(_text(key) in FLAGS for key in keys):
            lines.append(node.lineno)
    return min(lines, default=None)


def _freeze_line(module: ast.Module) -> int:
    lines = [2**31]
    for node in ast.walk(module):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.stmt) and any(name.split(".")[0] in FREEZE for name in names):
            lines.append(node.lineno)
    return min(lines)
