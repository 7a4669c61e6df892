"""A model hub on localhost: enough of the real one's HTTP API for the real huggingface_hub client, and its failures."""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = 100_000  # bytes; from here on a file is kept in LFS, and served by a redirect to another host
CHUNK = 1 << 20
PATIENCE = 60  # seconds that a download is held back, if nothing ends it before


@dataclass
class Repository:
    """A repository whose files lie in `folder`; the commit is a digest of their names and sizes."""

    folder: Path
    license: str | None = "mit"
    gated: bool = False

    @property
    def commit(self) -> str:
        listing = "".join(f"{path.name} {path.stat().st_size}\n" for path in self.paths())
        return hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()

    def paths(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.is_file())


@dataclass
class Hub:
    """The server's state: what it holds, what it was asked, and how it is to fail."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, Range
    cut_once: set[str] = field(default_factory=set)  # names of files whose next download breaks in the middle
    stalled: set[str] = field(default_factory=set)  # names of files whose download stops in the middle and hangs
    stall_over: threading.Event = field(default_factory=threading.Event)
    broken: set[str] = field(default_factory=set)  # repositories that answer 500
    wrong_bytes: set[str] = field(default_factory=set)  # names of files that arrive damaged
    digests: dict[Path, str] = field(default_factory=dict)
    xet: dict[str, str] = field(default_factory=dict)  # headers that offer large files by Xet
    wait_for: int = 1  # every download of a large file waits until so many were under way at one time
    at_once: int = 0
    most_at_once: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    def add(self, repo: str, folder: Path, **facts: Any) -> Repository:
        self.repositories[repo] = Repository(folder, **facts)
        return self.repositories[repo]

    def sha256(self, path: Path) -> str:
        if path not in self.digests:
            with path.open("rb") as stream:
                self.digests[path] = hashlib.file_digest(stream, "sha256").hexdigest()
        return self.digests[path]

    @contextmanager
    def download(self) -> Iterator[None]:
        """Count a download of a large file; where others never come, it goes on after PATIENCE."""
        with self.changed:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            self.changed.notify_all()
            self.changed.wait_for(lambda: self.most_at_once >= self.wait_for, PATIENCE)
        try:
            yield
        finally:
            with self.changed:
                self.at_once -= 1

    def ranges(self, name: str) -> list[str | None]:
        """The Range headers of the downloads of one file, in order."""
        return [asked for method, path, asked in self.requests if method == "GET" and path.endswith(f"/{name}")]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        self._respond()

    def do_HEAD(self) -> None:
        self._respond()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _respond(self) -> None:
        hub = self.server.hub
        path = unquote(urlsplit(self.path).path)
        hub.requests.append((self.command, path, self.headers.get("Range")))
        parts = path.strip("/").split("/")
        if parts[:2] == ["api", "models"] and "tree" in parts:
            at = parts.index("tree")
            self._tree("/".join(parts[2:at]), parts[at + 1], parts[at + 2 :])
        elif parts[:2] == ["api", "models"]:
            self._model_info("/".join(parts[2:4]), parts[5] if len(parts) > 5 else None)
        elif parts[0] == "cdn":
            with hub.download():
                self._send_file(hub.repositories["/".join(parts[1:-1])].folder / parts[-1], {})
        elif "resolve" in parts:
            at = parts.index("resolve")
            self._resolve("/".join(parts[:at]), parts[at + 1], "/".join(parts[at + 2 :]))
        else:
            self._fail(404, "EntryNotFound")

    def _repository(self, repo: str, revision: str | None) -> Repository | None:
        """Find it, or send the response that the real hub sends; a name without an owner is a canonical model's."""
        hub = self.server.hub
        found = hub.repositories.get(repo)
        if repo in hub.broken:
            self._fail(500, None)
        elif found is None:
            self._fail(401, "RepoNotFound")  # as the hub says it to a stranger: it may be private
        elif found.gated:
            self._fail(403, "GatedRepo")
        elif revision not in (None, "main", found.commit):
            self._fail(404, "RevisionNotFound")
        else:
            return found
        return None

    def _model_info(self, repo: str, revision: str | None) -> None:
        found = self._repository(repo.removesuffix("/revision"), revision)
        if found is None:
            return
        siblings = [self._sibling(path) for path in found.paths()]
        card = {"license": found.license} if found.license else {}
        body = {"id": repo, "modelId": repo, "sha": found.commit, "siblings": siblings, "cardData": card, "tags": []}
        self._send(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _tree(self, repo: str, revision: str, path: list[str]) -> None:
        found = self._repository(repo, revision)
        if found is None:
            return
        if path:  # no repository here has directories
            self._fail(404, "EntryNotFound")
            return
        listing = []
        for one in map(self._sibling, found.paths()):
            lfs = one.get("lfs")
            large = {"lfs": {"oid": lfs["sha256"], "size": lfs["size"], "pointerSize": 134}} if lfs else {}
            listing.append(
                {"type": "file", "path": one["rfilename"], "size": one["size"], "oid": one["blobId"], **large}
            )
        self._send(200, {"Content-Type": "application/json"}, json.dumps(listing).encode())

    def _sibling(self, path: Path) -> dict[str, Any]:
        size = path.stat().st_size
        if size < LARGE:
            blob = hashlib.sha1(b"blob %d\0" % size + path.read_bytes(), usedforsecurity=False).hexdigest()
            return {"rfilename": path.name, "size": size, "blobId": blob}
        lfs = {"sha256": self.server.hub.sha256(path), "size": size, "pointerSize": 134}
        return {"rfilename": path.name, "size": size, "blobId": "0" * 40, "lfs": lfs}

    def _resolve(self, repo: str, revision: str, name: str) -> None:
        found = self._repository(repo, revision)
        if found is None:
            return
        path = found.folder / name
        headers = {"X-Repo-Commit": found.commit}
        if not path.is_file():
            self._fail(404, "EntryNotFound", headers)  # with the commit, which the client notes in .no_exist
        elif path.stat().st_size < LARGE:
            self._send_file(path, {**headers, "ETag": f'"{self._sibling(path)["blobId"]}"'})
        else:
            linked = {
                "X-Linked-Etag": f'"{self.server.hub.sha256(path)}"',
                "X-Linked-Size": str(path.stat().st_size),
                **self.server.hub.xet,
                "Location": f"http://localhost:{self.server.server_port}/cdn/{repo}/{name}",
            }
            self._send(302, {**headers, **linked}, b"")

    def _send_file(self, path: Path, headers: dict[str, str]) -> None:
        hub = self.server.hub
        size = path.stat().st_size
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        end = size
        if path.name in hub.stalled | hub.cut_once and self.command == "GET":
            end = start + (size - start) // 2
        self.send_response(206 if "Range" in self.headers else 200)
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        for name, value in {**headers, "Content-Length": str(size - start), "Accept-Ranges": "bytes"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self._send_bytes(path, start, end)
        if end < size:
            if path.name in hub.stalled:
                hub.stall_over.wait(PATIENCE)
            hub.cut_once.discard(path.name)
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def _send_bytes(self, path: Path, start: int, end: int) -> None:
        with path.open("rb") as stream:
            stream.seek(start)
            left = end - start
            while left > 0 and (chunk := stream.read(min(CHUNK, left))):
                left -= len(chunk)
                damaged = path.name in self.server.hub.wrong_bytes
                self.wfile.write(bytes(len(chunk)) if damaged else chunk)

    def _fail(self, status: int, code: str | None, more: dict[str, str] | None = None) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": code} if code else {}
        self._send(status, {**headers, **(more or {})}, json.dumps({"error": code or "the server broke"}).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub


@contextmanager
def serving() -> Iterator[Hub]:
    """Run a hub for the length of the block; HF_ENDPOINT is its `url`."""
    hub = Hub()
    server = _Server(hub)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.stall_over.set()
        server.shutdown()
        server.server_close()
