"""Hostile zips: what they are made of, and the code by which the doctor names each."""

import lzma
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests.unit.doctor_files.raw import (
    COMMIT,
    HUB,
    LINK,
    SNAPSHOT,
    Entry,
    cache_zip,
    code_zip,
    deflated,
    plain,
    write_zip,
    zeros,
)

REFS = f"{HUB}/refs/main".encode()
SNAPSHOT_FILE = plain(f"{SNAPSHOT}/x")
BOMB = 600  # megabytes


def refs(folder: Path, entry: Entry) -> Path:
    return write_zip(folder / "refs.zip", entry, SNAPSHOT_FILE)


def cut(path: Path, begin: int = 0, end: int | None = None) -> Path:
    path.write_bytes(path.read_bytes()[begin:end])
    return path


def many_names(folder: Path) -> Path:
    return write_zip(folder / "many.zip", *(plain(f"python/{number}.py") for number in range(260_000)))


def nested(folder: Path) -> Path:
    inner = write_zip(folder / "inner.zip", Entry(b"x", zeros(BOMB), BOMB << 20, method=8))
    return write_zip(folder / "outer.zip", plain("inner.zip", inner.read_bytes()))


def same_member(folder: Path) -> Path:
    """Every name of the listing leads to one bomb."""
    path = write_zip(folder / "same.zip", Entry(REFS, zeros(BOMB), 900_000, method=8, crc=1), SNAPSHOT_FILE)
    data = path.read_bytes()
    at = data.index(b"PK\1\2")
    size = 46 + len(REFS)
    record, end = data[at : at + size], data[-22:]
    records = record * 2000 + data[at + size : -22]
    path.write_bytes(data[:at] + records + end[:12] + struct.pack("<L", len(records)) + end[16:])
    return path


def huge64(folder: Path) -> Path:
    extra = struct.pack("<2HQ", 1, 8, 2**62)
    return refs(folder, Entry(REFS, b"x", 0xFFFFFFFF, extra=extra))


def library_zip(version: str) -> Callable[[Path], Path]:
    return lambda folder: write_zip(folder / "l.zip", plain(f"python/torch-{version}.dist-info/METADATA"))


def trees(listing: bytes) -> Callable[[Path], Path]:
    return lambda folder: cache_zip(folder, None, COMMIT.encode(), plain(f"{HUB}/trees/{COMMIT}.json", listing))


def config(text: bytes) -> Callable[[Path], Path]:
    return lambda folder: cache_zip(folder, text)


def source(text: bytes) -> Callable[[Path], Path]:
    return lambda folder: code_zip(folder, text)


TEXT = b'{"model_cfg":{"text_cfg":%s}}'
ZIPS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "names that lead out": (lambda d: write_zip(d / "z.zip", plain("../../x"), plain("a/../../b")), "unsafe-name"),
    "refs/main of a gigabyte": (lambda d: refs(d, Entry(REFS, zeros(BOMB), BOMB << 20, method=8)), "unreadable"),
    "refs/main that hides a gigabyte": (lambda d: refs(d, Entry(REFS, zeros(BOMB), 40, method=8)), "unreadable"),
    "a size of 4 exabytes": (huge64, "unreadable"),
    "a link of a gigabyte": (lambda d: refs(d, Entry(REFS, zeros(BOMB), BOMB << 20, LINK, 8)), "unreadable"),
    "a link that is not UTF-8": (lambda d: refs(d, plain(REFS.decode(), b"\xff\xfe", LINK)), "dangling-link"),
    "links in a circle": (lambda d: refs(d, plain(REFS.decode(), b"main", LINK)), "dangling-link"),
    "a link to itself and on": (
        lambda d: write_zip(d / "z.zip", SNAPSHOT_FILE, plain(f"{HUB}/l", b"l/l/l", LINK)),
        "dangling-link",
    ),
    "a wrong checksum": (lambda d: refs(d, Entry(REFS, b"abc", 3, crc=1)), "unreadable"),
    "deflated data that is none": (lambda d: refs(d, Entry(REFS, b"\xff" * 50, 40, method=8)), "unreadable"),
    "deflated data cut off": (
        lambda d: refs(d, Entry(REFS, deflated(bytes(range(99)))[:20], 99, method=8)),
        "unreadable",
    ),
    "encrypted": (lambda d: refs(d, Entry(REFS, bytes(60), 40, flags=1)), "unreadable"),
    "an unknown method": (lambda d: refs(d, Entry(REFS, bytes(60), 40, method=99)), "unreadable"),
    "an LZMA bomb": (
        lambda d: refs(
            d, Entry(REFS, b"\x09\x04\x05\x00" + lzma.compress(bytes(10**6)), 900_000, method=zipfile.ZIP_LZMA)
        ),
        "unreadable",
    ),
    "its beginning cut off": (lambda d: cut(cache_zip(d), 200), "unreadable"),
    "its end cut off": (lambda d: cut(cache_zip(d), 0, -30), "nothing-known"),
    "a listing elsewhere": (
        lambda d: write_zip(d / "z.zip", plain(REFS.decode()), SNAPSHOT_FILE, offset=10**6),
        "unreadable",
    ),
    "260,000 names": (many_names, "too-much-to-examine"),
    "one member under 2,000 names": (same_member, "unreadable"),
    "a zip in a zip": (nested, "nothing-known"),
    "names with controls": (
        lambda d: write_zip(d / "z.zip", plain(f"{HUB}/\x1b]0;x\x07\n\r\u202e.incomplete"), SNAPSHOT_FILE),
        "incomplete-download",
    ),
    "a name of 60,000 characters": (lambda d: write_zip(d / "z.zip", plain("x" * 60_000)), "unreadable"),
    "a name of 30,000 directories": (lambda d: write_zip(d / "z.zip", plain("a/" * 30_000 + "b")), "unreadable"),
    "deep names": (
        lambda d: write_zip(d / "z.zip", *(plain(f"{number}/" + "a/" * 2000 + "f.py") for number in range(300))),
        "too-much-to-examine",
    ),
    "15,000 caches": (
        lambda d: write_zip(d / "z.zip", *(plain(f"{number}/models--a--b/x") for number in range(15_000))),
        "no-snapshot",
    ),
    "source with a zero byte": (source(b"x\0"), "nothing-known"),
    "source of 100,000 signs": (source(b"x=" + b"-" * 100_000 + b"1"), "unreadable"),
    "source of 90,000 attributes": (source(b"x=a" + b".b" * 90_000), "unreadable"),
    "source of 100,000 brackets": (source(b"x=" + b"[" * 100_000), "nothing-known"),
    "source with a number of 100,000 digits": (
        source(b"set_num_threads(0x" + b"f" * 100_000 + b")"),
        "more-threads-than-processors",
    ),
    "source that is not UTF-8": (source(b"get_tokenizer('\xff\xfe\x1b[31m')"), "tokenizer-of-no-model"),
    "source of 20,000 calls": (
        source(b"".join(b"get_tokenizer('x%d')\n" % n for n in range(9_000))),
        "tokenizer-of-no-model",
    ),
    "a version that is none": (library_zip("not_a_version"), "unreadable"),
    "a version of 5,000 digits": (library_zip("1." + "9" * 3000), "unreadable"),
    "a config whose text side is a list": (config(TEXT % b"[]"), "unreadable"),
    "a config whose names are lists": (config(TEXT % b'{"hf_model_name":[1],"hf_tokenizer_name":{}}'), "unreadable"),
    "a config of 100,000 brackets": (config(b"[" * 100_000), "unreadable"),
    "a config of numbers": (config(b"7"), "unreadable"),
    "a config with NaN and infinity": (config(b'{"model_cfg":NaN,"x":-Infinity}'), "unreadable"),
    "a config with an integer of 9,000 digits": (config(b'{"model_cfg":' + b"9" * 9000 + b"}"), "unreadable"),
    "a config of two megabytes": (config(b'{"x":"' + b"y" * 2_000_000 + b'"}'), "unreadable"),
    "a config that is not UTF-8": (config(b'\xff\xfe{"model_cfg":'), "unreadable"),
    "a tokenizer named by a path": (
        config(TEXT % b'{"hf_tokenizer_name":"../../../../etc/\\u001b[31mpasswd\\ud800"}'),
        "second-repository-missing",
    ),
    "trees/ with a number": (trees(b'{"files":5}'), "unreadable"),
    "trees/ with a list": (trees(b"[1,2]"), "unreadable"),
    "trees/ with odd names": (trees(b'{"files":{"/etc/passwd":1,"../../../x":2}}'), "trees-left"),
    "refs/main with escapes": (lambda d: cache_zip(d, None, b"\x1b]0;owned\x07\x1b[31m"), "refs-unknown"),
    "refs/main a directory": (lambda d: refs(d, plain(f"{HUB}/refs/main/x")), "refs-missing"),
}
