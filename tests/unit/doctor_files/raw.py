"""Zips and tars that no library would write: each field may lie."""

import gzip
import io
import json
import struct
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

COMMIT = "a" * 40
HUB = "hub/models--a--b"
SNAPSHOT = f"{HUB}/snapshots/{COMMIT}"
FILE, LINK = 0o100644, 0o120777


def zeros(megabytes: int) -> bytes:
    """Return a raw deflate stream of so many megabytes of zeros, made without compressing them all."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packer.compress(b"")
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * megabytes + b"\x03\x00"


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@dataclass
class Entry:
    """A member of a zip. `size` is what it claims, `packed` what is there."""

    name: bytes
    packed: bytes = b""
    size: int = 0
    mode: int = FILE
    method: int = 0
    flags: int = 0
    crc: int | None = None
    extra: bytes = b""


def plain(name: str, data: bytes = b"", mode: int = FILE) -> Entry:
    return Entry(name.encode(), data, len(data), mode)


def write_zip(path: Path, *entries: Entry, offset: int = 0) -> Path:
    body, listing = io.BytesIO(), io.BytesIO()
    for entry in entries:
        crc = zlib.crc32(entry.packed) if entry.crc is None else entry.crc
        sizes = (crc, len(entry.packed), min(entry.size, 0xFFFFFFFF), len(entry.name), len(entry.extra))
        fields = (20, entry.flags, entry.method, 0, 0x21, *sizes)
        at = body.tell()
        body.write(struct.pack("<4s5H3L2H", b"PK\3\4", *fields) + entry.name + entry.extra + entry.packed)
        listing.write(struct.pack("<4s6H3L2H", b"PK\1\2", 0x0314, *fields))
        listing.write(struct.pack("<3H2L", 0, 0, 0, entry.mode << 16, at) + entry.name + entry.extra)
    counts = (min(len(entries), 0xFFFF),) * 2
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *counts, len(listing.getvalue()), body.tell() + offset, 0)
    path.write_bytes(body.getvalue() + listing.getvalue() + end)
    return path


def cache_zip(folder: Path, config: bytes | None = None, refs: bytes = COMMIT.encode(), *more: Entry) -> Path:
    """Write a zip with a cache of one model."""
    entries = [plain(f"{HUB}/refs/main", refs), plain(f"{SNAPSHOT}/open_clip_model.safetensors", bytes(2000))]
    if config is not None:
        entries.append(plain(f"{SNAPSHOT}/open_clip_config.json", config))
    return write_zip(folder / "cache.zip", *entries, *more)


def code_zip(folder: Path, source: bytes) -> Path:
    """Write a zip of one module."""
    return write_zip(folder / "code.zip", plain("f.py", b"import open_clip\n" + source))


def member(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "", size: int | None = None
) -> bytes:
    """Return a tar's header and content; `size` is what it claims."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, 0o644
    info.size = len(data) if size is None else size
    padding = bytes(-len(data) % tarfile.BLOCKSIZE)
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape") + data + padding


def tar(*members: bytes) -> bytes:
    return b"".join(members) + bytes(1024)


def claims(header: bytes, size: bytes) -> bytes:
    """Return a tar header whose size field, 12 bytes, is another, with its checksum set right."""
    changed = header[:124] + size + header[136:148] + b" " * 8 + header[156:]
    return changed[:148] + b"%06o\0 " % sum(changed[:512]) + changed[156:]


def image(folder: Path, *layers: bytes, manifest: object = None, config: object = None, more: bytes = b"") -> Path:
    """Write what `docker save` would of these layers, or with another manifest or config."""
    names = [f"l{number}" for number in range(len(layers))]
    told = [{"Config": "c.json", "Layers": names}] if manifest is None else manifest
    files = {"manifest.json": told, "c.json": {"config": {"Env": ["HF_HUB_OFFLINE=1"]}} if config is None else config}
    parts = [member(name, json.dumps(value).encode()) for name, value in files.items()]
    parts += [member(name, layer) for name, layer in zip(names, layers, strict=True)]
    path = folder / "image.tar"
    path.write_bytes(tar(*parts, more))
    return path


def gzip_bomb(head: bytes, megabytes: int) -> bytes:
    """Return a gzip file of these bytes and so many megabytes of zeros, whose checksum is wrong."""
    start = gzip.compress(b"")[:10]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    started = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + started + zeros(megabytes) + bytes(8)
