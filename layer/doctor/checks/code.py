"""What a function's own code does that breaks OpenCLIP in Lambda, read from its source, which is never run."""

import ast
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from layer.doctor.checks import known
from layer.doctor.checks.environment import TRUE, too_many_threads
from layer.doctor.limits import MAX_SOURCE, UnreadableError
from layer.doctor.readers.tree import Tree
from layer.doctor.readers.wanted import is_source
from layer.findings.finding import Finding

FREEZE = ("huggingface_hub", "transformers", "open_clip", "timm", "sentence_transformers")  # they read it at import
FLAGS = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
CREATE = ("create_model", "create_model_and_transforms", "create_model_from_pretrained")
FILES = (".pt", ".pth", ".bin", ".safetensors")
MAX_FINDINGS = 100  # of one module
NEVER = 2**31  # a line that no module has


@dataclass
class _Scope:
    """The first lines of a function, or of the module outside of its functions, that set the flag and that import."""

    flag: int = NEVER
    freeze: int = NEVER


@dataclass
class Code:
    """What a function's modules do: whether any was found, whether one sets the offline flag in time, the problems."""

    found: bool = False
    sets_offline: bool = False
    findings: list[Finding] = field(default_factory=list)


def read_code(tree: Tree) -> Code:
    """Read the modules that are a function's own: those that import open_clip, or set what it reads."""
    code = Code()
    for path, node in tree.walk():
        if node.link is not None or not is_source(path, node.size):
            continue
        try:
            text = tree.content(path, MAX_SOURCE).decode("utf-8", "replace")
            if "open_clip" in text or "HF_HUB_OFFLINE" in text:
                module = _parsed(text, path)
                if module is not None:
                    code.found = True
                    _read_module(code, path, module)
        except UnreadableError as error:
            code.findings.append(Finding("unreadable", error.where, error.reason))
    return code


def _parsed(text: str, path: str) -> ast.Module | None:
    """Parse a module; None for what is not Python of today: a template, or Python 2, is not what runs here."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse(text)
    except SyntaxError:
        return None
    except (ValueError, RecursionError, MemoryError) as error:  # a zero byte; nested too deep
        raise UnreadableError(path, f"no Python that can be parsed: {error or type(error).__name__}") from error


def _read_module(code: Code, path: str, module: ast.Module) -> None:
    scopes, calls = [_Scope()], list[ast.Call]()
    todo: list[tuple[ast.AST, _Scope]] = [(module, scopes[0])]
    while todo:
        node, scope = todo.pop()
        if isinstance(node, ast.Call):
            calls.append(node)
        if _sets_flag(node):
            scope.flag = min(scope.flag, getattr(node, "lineno", NEVER))
        if _freezes(node):
            scope.freeze = min(scope.freeze, getattr(node, "lineno", NEVER))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            scopes.append(scope := _Scope())
        todo += ((child, scope) for child in _run(node))
    for scope in scopes:
        freeze = min(scope.freeze, scopes[0].freeze)
        code.sets_offline = code.sets_offline or scope.flag < freeze
        if freeze < scope.flag < NEVER:
            where = f"{path}:{scope.flag}"
            code.findings.append(Finding("offline-set-too-late", where, f"line {freeze} has that import"))
    calls.sort(key=lambda call: call.lineno)
    findings = (finding for call in calls for finding in _call_problems(path, call))
    code.findings += [finding for finding, _ in zip(findings, range(MAX_FINDINGS), strict=False)]


def _run(node: ast.AST) -> Iterable[ast.AST]:
    """Return the parts of a node that run: all but what is below `if TYPE_CHECKING` or `if __name__ == "__main__"`."""
    if isinstance(node, ast.If):
        of_types = "TYPE_CHECKING" in (getattr(node.test, "id", ""), getattr(node.test, "attr", ""))
        if of_types or _is_of_a_script(node.test):
            return node.orelse
    return ast.iter_child_nodes(node)


def _is_of_a_script(test: ast.expr) -> bool:
    """Tell whether a condition is that of a script: Lambda imports a function's modules, and runs none as one."""
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
        return False
    sides = [test.left, *test.comparators]
    named = any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides)
    return named and any(isinstance(side, ast.Constant) and side.value == "__main__" for side in sides)


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
        model = _text(arguments.get("model_name", first))
        if model and ":" not in model and model.replace("/", "-") not in known.models():
            yield Finding("tokenizer-of-no-model", where, model)
    if name == "set_num_threads" and isinstance(first, ast.Constant) and isinstance(first.value, int):
        yield from too_many_threads(name, first.value, where)
    workers = arguments.get("num_workers")
    many = isinstance(workers, ast.Constant) and workers.value not in (0, None)
    if name in ("Pool", "ProcessPoolExecutor") or many:
        yield Finding("shared-memory-needed", where)


def _create_problems(where: str, name: str, arguments: dict[str, ast.expr]) -> Iterator[Finding]:
    model, pretrained = _text(arguments.get("model_name")) or "", _text(arguments.get("pretrained")) or ""
    if pretrained.endswith(FILES):
        yield Finding("checkpoint-with-wrong-preprocessing", where, f"pretrained={pretrained[:200]!r}")
    if not model.startswith("hf-hub:"):
        return
    if name != CREATE[2] and "require_pretrained" not in arguments:
        yield Finding("random-model-not-refused", where, f"{name}({model[:200]!r})")
    if "cache_dir" in arguments:
        yield Finding("cache-dir-not-passed-on", where)


def _text(node: ast.expr | None) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _sets_flag(node: ast.AST) -> bool:
    """Tell whether a node sets the flag: os.environ[...] = ..., .setdefault(...) or .update(...)."""
    targets = node.targets if isinstance(node, ast.Assign) else []
    keys = [target.slice for target in targets if isinstance(target, ast.Subscript)]
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("setdefault", "update"):
        keys += [*node.args, *(key for arg in node.args if isinstance(arg, ast.Dict) for key in arg.keys if key)]
        keys += [ast.Constant(word.arg) for word in node.keywords]
    off = isinstance(node, ast.Assign) and (value := _text(node.value)) is not None and value.upper() not in TRUE
    return not off and any(_text(key) in FLAGS for key in keys)


def _freezes(node: ast.AST) -> bool:
    """Tell whether a node imports what reads the flag."""
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return any(name.split(".")[0] in FREEZE for name in names)
