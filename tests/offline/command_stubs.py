"""What the fuzzed command lines meet in place of what takes long: each stub stands where another process would."""

import contextlib
import errno
import importlib
import json
import random
import socket
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from tests.hub import repositories
from tests.hub.server import serving
from tests.offline.command_lines import Case

FACTS = {
    "embed_dim": 64,
    "image_size": [64, 64],
    "context_length": 32,
    "logit_scale": 1.0,
    "logit_bias": None,
    "preprocess": {
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "interpolation": "bicubic",
        "resize_mode": "shortest",
        "fill_color": 0,
    },
    "tokenizer": {
        "kind": "hf",
        "repo": None,
        "context_length": 32,
        "clean": "lower",
        "strip_sep_token": False,
        "mode": None,
        "pad_id": 0,
    },
    "golden": {"texts": [], "token_ids": [], "text_embeddings": [], "images": [], "image_embeddings": []},
}
_real_run = subprocess.run


def lay_out_template(place: Path) -> None:
    """Make the files that every case finds in its directory."""
    for name in ("images", "samples", "own", "out", "empty"):
        (place / name).mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(place / "a.png")
    for number in range(3):
        Image.new("RGB", (8, 8), "blue").save(place / "images" / f"{number}.png")
    (place / "images" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (place / "samples" / "captions.txt").write_text("a red circle\n")
    (place / "samples" / "b.jpg").write_bytes(b"\xff\xd8\xff not really")
    (place / "own" / "w.pt").write_bytes(b"no checkpoint")
    (place / "own" / "c.json").write_text('{"model_cfg": {"text_cfg": []}, "preprocess_cfg": {}}')
    (place / "file").write_text("RuntimeError: read-only file system: '/home/sbx_user1051'\n")
    (place / "loop").symlink_to("loop")
    with zipfile.ZipFile(place / "a.zip", "w") as archive:
        archive.writestr("handler/app.py", "import open_clip\n")
    with tarfile.open(place / "a.tar", "w") as archive:
        archive.add(place / "file", "manifest.json")


@contextlib.contextmanager
def servers(scratch: Path) -> Iterator[dict[str, str]]:
    """Run the hub and an API; returns what stands for {api} and {busy} in the command lines."""
    api = ThreadingHTTPServer(("127.0.0.1", 0), _Api)
    api.daemon_threads = True
    threading.Thread(target=api.serve_forever, daemon=True).start()
    with serving() as hub, socket.create_server(("127.0.0.1", 0)) as busy:
        tokens = repositories.tokenizer_without_config(scratch / "hub" / "tokens")
        hub.add("acme/tiny", repositories.tiny_model(scratch / "hub" / "tiny", "acme/tokens"))
        hub.add("acme/tokens", tokens)
        hub.add("acme/gated", tokens, gated=True)
        from huggingface_hub import constants

        constants.ENDPOINT = hub.url
        constants.HUGGINGFACE_CO_URL_TEMPLATE = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        yield {"api": f"http://127.0.0.1:{api.server_port}", "busy": str(busy.getsockname()[1])}
    api.shutdown()


class _Api(BaseHTTPRequestHandler):
    """Answers as the API does, or in ways that it never should."""

    rng = random.Random(0)  # noqa: S311 - nothing secret
    ODD = (
        (200, b"not JSON"),
        (200, b"{}"),
        (200, b'{"data": 3}'),
        (500, b"{}"),
        (403, b'{"message": "Forbidden"}'),
        (302, b""),
    )

    def do_GET(self) -> None:
        self._answer(b'{"status": "ok", "models": []}')

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        rows = [
            {
                "index": i,
                "embedding": [0.5] * 4,
                "predictions": [{"label": "a", "score": 1.0}, {"label": "b", "score": 0.0}],
            }
            for i in range(len(asked["input"]))
        ]
        self._answer(json.dumps({"object": "list", "data": rows, "model": "m"}).encode())

    def _answer(self, body: bytes) -> None:
        status, content = (200, body) if self.rng.random() < 0.7 else self.rng.choice(self.ODD)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        if status == 302:
            self.send_header("location", "http://127.0.0.1:9/")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextlib.contextmanager
def installed(case: Case, place: Path) -> Iterator[None]:
    """Put the stubs in the way for one case."""
    rng = random.Random(case.seed)  # noqa: S311

    def run(command: Any, *arguments: Any, **options: Any) -> Any:
        return _run(rng, [str(word) for word in command], arguments, options)

    with contextlib.ExitStack() as stack:
        stack.enter_context(patch.object(subprocess, "run", run))
        stack.enter_context(patch.object(time, "sleep", lambda _: None))
        stack.enter_context(patch.object(ThreadingHTTPServer, "serve_forever", lambda *_, **__: None))
        _stub_programs(case.program, place, stack)
        yield


def _run(rng: random.Random, words: list[str], arguments: Any, options: Any) -> Any:
    """Answer for a process that would take long; start any other."""
    if "layer.bundle.reference" in words or "layer.export.onnx_export" in words:
        if "layer.export.onnx_export" in words or rng.random() < 0.2:
            return _done(words, 1, "", "Traceback ...\nRuntimeError: Error(s) in loading state_dict")
        return _done(words, 0, json.dumps(FACTS), "")
    if "handler.selfcheck" in words:
        if rng.random() < 0.2:
            return _done(words, rng.choice((-9, 1)), rng.choice(("", "{}", '{"ok": false, "reason": "no"}')), "Killed")
        facts = json.loads(Path(words[words.index("--bundle") + 1], "manifest.json").read_text(encoding="utf-8"))
        report = {"ok": True, "token_ids_equal": True, "min_text_cosine": 1.0, "min_image_cosine": 1.0}
        models = [{"id": model["id"], "load_seconds": 0.1, "error": None, **report} for model in facts["models"]]
        return _done(words, 0, json.dumps({"ok": True, "models": models}), "")
    if "pip" in words:
        if rng.random() < 0.3:
            return _done(words, 1, "", "ERROR: No matching distribution found")
        if "config" in words:  # what pip's own settings are
            return _done(
                words, 0, rng.choice(("", "global.user='true'\n", "global.index-url='https://a.example/simple'\n")), ""
            )
        tree = Path(words[words.index("--target") + 1]) / "numpy"
        tree.mkdir(parents=True, exist_ok=True)
        (tree / "__init__.py").write_text("")
        return _done(words, 0, "", "")
    if words[0].endswith("docker"):
        if rng.random() < 0.5:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", "docker")
        return _done(words, 1, "", "Cannot connect to the Docker daemon")
    return _real_run(words, *arguments, **options)


def _done(words: list[str], status: int, out: str, err: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.CompletedProcess(words, status, out, err)


def _stub_programs(program: str, place: Path, stack: contextlib.ExitStack) -> None:
    def put(module: str, name: str, value: Any) -> None:
        stack.enter_context(patch.object(importlib.import_module(module), name, value))

    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("what the library said\nin two lines")

    def is_full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")

    @contextlib.contextmanager
    def served(*_: Any) -> Iterator[Any]:
        yield type("Server", (), {"started": 0.0, "embed": lambda _, items: np.eye(len(items), 64, dtype=np.float32)})()

    if program.startswith("handler."):  # a process of its own sets it before huggingface_hub is imported
        known = {name: module for name, module in sys.modules.items() if not name.startswith("huggingface_hub")}
        stack.enter_context(patch.dict(sys.modules, known, clear=True))
    elif program == "benchmarks":
        put("benchmarks.__main__", "bundles", is_full)
    elif program == "layer.demo.tour":
        put("layer.demo.tour", "_bring_bundle", lambda _: None)
        put("layer.demo.tour", "_serving", served)
        put("layer.demo.tour", "_search", lambda *_: None)
    elif program == "layer.demo.train":
        put("layer.demo.train", "write_untrained", is_full)
    elif program in ("layer.bundle.reference", "layer.export.onnx_export"):
        put("layer.bundle.reference", "load", fails)
    elif program == "layer.registry.sizes_page":
        put("layer.registry.sizes_page", "PAGE", place / "page.md")
    elif program == "layer.registry.parameter_count":
        put("layer.registry.parameter_count", "OUTPUT", place / "table.json")
        put("layer.registry.parameter_count", "count", lambda _: {})
        put("layer.registry.parameter_count", "pairs", list)
