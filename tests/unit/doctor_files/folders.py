"""Hostile directories, logs and single files, and the code by which the doctor names each."""

import gzip
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

from tests.unit.doctor_files.raw import COMMIT, gzip_bomb

MODEL = "models--a--b"


def cache(folder: Path) -> Path:
    (folder / MODEL / "refs").mkdir(parents=True)
    (folder / MODEL / "snapshots" / COMMIT).mkdir(parents=True)
    return folder / MODEL / "refs" / "main"


def with_refs(make: Callable[[Path], object]) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        make(cache(folder))
        return folder

    return build


def of_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path has 108 bytes at most
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def file(name: str, data: bytes) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return build


def dockerfile(data: bytes) -> Callable[[Path], Path]:
    return lambda folder: file("Dockerfile", data)(folder).parent


def pipe(name: str, whole: bool) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        os.mkfifo(folder / name)
        return folder / name if whole else folder

    return build


def bundle(manifest: bytes) -> Callable[[Path], Path]:
    def build(folder: Path) -> Path:
        (folder / "models").mkdir()
        (folder / "manifest.json").write_bytes(manifest)
        return folder

    return build


def deep(folder: Path) -> Path:
    (folder / "/".join(["d"] * 900)).mkdir(parents=True)
    return folder


def many_links(folder: Path) -> Path:
    main = cache(folder)
    main.write_text(COMMIT)
    for number in range(1000):
        (main.parent / f"l{number}").symlink_to(f"l{number + 1}")
    return folder


def holes(folder: Path) -> Path:
    path = folder / "holes.log"
    with path.open("wb") as stream:
        stream.truncate(60_000_000)
    return path


def odd_names(folder: Path) -> Path:
    cache(folder).write_text(COMMIT)
    for name in (b"\xff\xfe.partial", b"\x1b]0;x\x07.partial", "\u202etxt\n.partial".encode()):
        Path(os.fsdecode(os.fsencode(folder / MODEL) + b"/" + name)).touch()
    return folder


LONG_ENV = b"FROM x\nENV A=" + b"'\"" * 400_000
SETS = b"".join(b"ENV A%d=1\nRUN create_model\n" % number for number in range(8_000))
FILES = [{"path": "../../etc/passwd", "size": 5}, {"path": 5}, {"path": "models"}, {"path": "x" * 5000}, 7, None]
FOLDERS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a pipe for refs/main": (with_refs(os.mkfifo), "unreadable"),
    "a socket for refs/main": (with_refs(of_socket), "unreadable"),
    "a device for refs/main": (with_refs(lambda path: path.symlink_to("/dev/zero")), "dangling-link"),
    "a link to itself for refs/main": (with_refs(lambda path: path.symlink_to("main")), "dangling-link"),
    "1,000 links in a row": (many_links, "dangling-link"),
    "names of odd bytes": (odd_names, "incomplete-download"),
    "900 directories deep": (deep, "nothing-known"),
    "an empty directory": (lambda folder: folder, "nothing-known"),
    "a pipe as Dockerfile": (pipe("Dockerfile", whole=False), "unreadable"),
    "a pipe": (pipe("pipe", whole=True), "unreadable"),
    "a file that fails when it is read": (lambda folder: Path("/proc/self/mem"), "unreadable"),
    "a device": (lambda folder: Path("/dev/zero"), "unreadable"),
    "a Dockerfile with an ENV of 800 KB": (dockerfile(LONG_ENV), "offline-unset"),
    "a Dockerfile of 8,000 ENV and RUN": (dockerfile(SETS), "unpinned-download"),
    "a Dockerfile of continuations": (dockerfile(b"FROM x\nRUN a \\\n" + b"# \\\n \\\n" * 100_000), "offline-unset"),
    "a Dockerfile of here-documents": (dockerfile(b"FROM x\nRUN " + b"<<E " * 100_000 + b"\nFROM y"), "offline-unset"),
    "a Dockerfile of brackets": (dockerfile(b"FROM x\nRUN create_model " + b"[" * 90_000), "unpinned-download"),
    "a Dockerfile of two megabytes": (dockerfile(b"FROM x\n" * 300_000), "unreadable"),
    "a Dockerfile that is not UTF-8": (dockerfile(b"\xff\xfeFROM \x1b[31m\0\nENV \xff=\xff"), "offline-unset"),
    "a bundle of brackets": (bundle(b"[" * 90_000), "unreadable"),
    "a bundle of odd files": (bundle(json.dumps({"files": FILES}).encode()), "bundle-broken"),
    "a bundle of a number": (bundle(b"1e999"), "unreadable"),
    "a log of one line of 9 MB": (file("log", b"Errno 30 " * 1_000_000), "nothing-known"),
    "a log of 400,000 beginnings": (file("log", b"Errno 30\n" * 400_000 + b".locks"), "nothing-known"),
    "a log with escapes in its message": (
        file("log", b"Errno 30 \x1b]0;owned\x07 \xff\xfe \x9b31m huggingface"),
        "hub-asked-read-only-cache",
    ),
    "a log of 60 MB of zeros": (holes, "nothing-known"),
    "a log in gzip of 600 MB": (file("log.gz", gzip_bomb(b"SemLock ", 600)), "shared-memory-needed"),
    "a log in gzip cut off": (file("log.gz", gzip.compress(os.urandom(5000))[:2000]), "unreadable"),
    "a log in UTF-16": (file("log", "SemLock \ud7ff".encode("utf-16")), "shared-memory-needed"),
    "a pointer of Git LFS": (file("w.pt", b"version https://git-lfs.github.com/spec/v1\n"), "lfs-pointer"),
    "an empty file": (file("empty", b""), "nothing-known"),
}
