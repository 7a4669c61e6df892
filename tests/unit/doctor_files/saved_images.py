"""Hostile saved images: what they are made of, and the code by which the doctor names each."""

import bz2
import gzip
import json
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

from tests.unit.doctor_files.raw import COMMIT, HUB, claims, gzip_bomb, image, member, tar

BOMB = 600  # megabytes
HEADER = member("x")
PAX = tarfile.XHDTYPE
LONG = tarfile.GNUTYPE_LONGNAME
SPARSE = tarfile.GNUTYPE_SPARSE


def written(data: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / "image.tar").write_bytes(data)
        return folder / "image.tar"

    return write


def of_layers(*layers: bytes) -> Callable[[Path], Path]:
    return lambda folder: image(folder, *layers)


def of_manifest(manifest: object) -> Callable[[Path], Path]:
    return lambda folder: image(folder, manifest=manifest)


def of_config(config: object) -> Callable[[Path], Path]:
    return lambda folder: image(folder, tar(member("a")), config=config)


def holes(folder: Path) -> Path:
    """A header of 2 GB that takes no place on the disk."""
    path = folder / "image.tar"
    path.write_bytes(claims(member("x", kind=PAX), b"%011o\0" % (2 << 30)))
    with path.open("r+b") as stream:
        stream.truncate(2 << 30)
    return path


def oci(folder: Path) -> Path:
    index = {"manifests": [{"digest": "sha256:x"}]}
    data = json.dumps(index).encode()
    (folder / "oci.tar").write_bytes(tar(member("index.json", data), member("blobs/sha256/x", data)))
    return folder / "oci.tar"


def whiteouts(count: int = 20_000) -> bytes:
    return tar(*(member(f"opt/.wh.g{number}") for number in range(count)))


def dictionary(size: int) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": size}]
    return lzma.compress(member("manifest.json", b"[]"), filters=filters)


def pax(*records: bytes) -> bytes:
    return member("p", b"".join(records), kind=PAX)


LOOPS = (
    member(f"opt/{HUB}/refs/main", kind=tarfile.SYMTYPE, link="main"),
    member(f"opt/{HUB}/snapshots/{COMMIT}/a", kind=tarfile.LNKTYPE, link=f"opt/{HUB}/snapshots/{COMMIT}/b"),
    member(f"opt/{HUB}/snapshots/{COMMIT}/b", kind=tarfile.LNKTYPE, link=f"opt/{HUB}/snapshots/{COMMIT}/a"),
)
OUT = (
    member("../../x"),
    member("b", kind=tarfile.LNKTYPE, link="../../etc/passwd"),
    member("a", kind=tarfile.SYMTYPE, link="/etc/shadow"),
    *(member(f"dev{kind!r}", kind=kind) for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)),
)
FULL = gzip.compress(tar(*(member(f"opt/{number}", b"x" * 300) for number in range(50))))
IMAGES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a manifest without keys": (of_manifest([{}]), "unreadable"),
    "a manifest without images": (of_manifest([]), "unreadable"),
    "a manifest of a number": (of_manifest(5), "unreadable"),
    "a manifest whose layers are numbers": (of_manifest([{"Config": "c.json", "Layers": [1, None, {}]}]), ""),
    "a manifest of two megabytes": (of_manifest([{"x": "y" * 2_000_000}]), "unreadable"),
    "a manifest of brackets": (written(tar(member("manifest.json", b"[" * 90_000))), "unreadable"),
    "a manifest that links to itself": (
        written(tar(member("manifest.json", kind=tarfile.SYMTYPE, link="manifest.json"))),
        "nothing-known",
    ),
    "a config that is null": (of_config({"config": None}), "nothing-known"),
    "a config whose Env is an object": (of_config({"config": {"Env": {"a": 1}}}), "nothing-known"),
    "a config whose Env has numbers": (
        of_config({"config": {"Env": [1, None, "=", "MKL_NUM_THREADS=²"]}}),
        "nothing-known",
    ),
    "a config with 9,000 digits of threads": (
        of_config({"config": {"Env": ["HF_HUB_OFFLINE=1", "OMP_NUM_THREADS=" + "9" * 9000]}}),
        "",
    ),
    "a config that links in a circle": (
        lambda d: image(
            d,
            manifest=[{"Config": "k", "Layers": []}],
            more=member("k", kind=tarfile.SYMTYPE, link="j") + member("j", kind=tarfile.LNKTYPE, link="k"),
        ),
        "unreadable",
    ),
    "a layer that is not a tar": (of_layers(b"x" * 2000), "unreadable"),
    "a layer that is empty": (of_layers(b""), "unreadable"),
    "a layer that is missing": (of_manifest([{"Config": "c.json", "Layers": ["nope"]}]), "unreadable"),
    "a layer named 50,000 times": (
        lambda d: image(
            d,
            tar(*(member(f"opt/{n}") for n in range(200))),
            manifest=[{"Config": "c.json", "Layers": ["l0"] * 50_000}],
        ),
        "too-much-to-examine",
    ),
    "a layer cut off": (of_layers(FULL[: len(FULL) // 2]), "unreadable"),
    "a layer by zstd": (of_layers(b"\x28\xb5\x2f\xfd" + bytes(600)), "unreadable"),
    "a layer of 600 MB in gzip": (of_layers(gzip_bomb(member("opt/x", size=BOMB << 20), BOMB)), "unreadable"),
    "a layer of 500 files of 900 KB in gzip": (
        of_layers(gzip.compress(b"".join(member(f"opt/models--a/refs/{n}", bytes(900_000)) for n in range(60)), 1)),
        "too-much-to-examine",
    ),
    "20,000 files and 20,000 whiteouts": (
        of_layers(tar(*(member(f"opt/f{number}") for number in range(20_000))), whiteouts()),
        "",
    ),
    "names that lead out, and devices": (of_layers(tar(*OUT)), "unsafe-name"),
    "links in circles": (of_layers(tar(*LOOPS)), "dangling-link"),
    "2,000 directories deep": (
        of_layers(tar(*(member(f"{n}/" + "a/" * 1900 + "f") for n in range(300)))),
        "too-much-to-examine",
    ),
    "names with controls": (of_layers(tar(member(f"opt/{HUB}/\x1b[31m\u202e\n.partial"))), "incomplete-download"),
    "a header of 2 GB with holes": (holes, "unreadable"),
    "a header of 600 MB in gzip": (
        written(gzip_bomb(claims(member("x", kind=PAX), b"%011o\0" % (1 << 30)), BOMB)),
        "unreadable",
    ),
    "a long name of 600 MB in gzip": (
        written(gzip_bomb(claims(member("x", kind=LONG), b"%011o\0" % (1 << 30)), BOMB)),
        "unreadable",
    ),
    "headers upon headers": (of_layers(tar(*[member("x", b"y\0", kind=LONG)] * 3000)), "unreadable"),
    "200 global headers": (
        of_layers(
            tar(
                *(
                    member("g", b"%d k%d=v\n" % (7 + len(str(n)), n), kind=tarfile.XGLTYPE) + HEADER
                    for n in range(10, 200)
                )
            )
        ),
        "too-much-to-examine",
    ),
    "extended headers of digits": (of_layers(tar(pax(b"9" * 15_000) + HEADER)), ""),
    "extended headers that lie": (
        of_layers(tar(pax(b"14 size=-9999\n") + HEADER, pax(b"30 mtime=nan\n") + HEADER)),
        "unreadable",
    ),
    "a negative size": (of_layers(tar(HEADER, claims(HEADER, b"\xff" * 10 + b"\xf0\x00"), HEADER)), "unreadable"),
    "a size of 8 exabytes": (of_layers(tar(claims(HEADER, b"\x80" + bytes(3) + b"\x7f" + b"\xff" * 7))), "unreadable"),
    "a sparse file": (of_layers(tar(member("s", b"x" * 512, kind=SPARSE))), ""),
    "a sparse map that never ends": (
        of_layers(tar(member("s", kind=SPARSE)[:482] + b"\x01" + bytes(29) + (b"1" * 504 + b"\x01" + bytes(7)) * 900)),
        "unreadable",
    ),
    "bzip2 of 400 MB": (
        written(bz2.compress(member("x", size=400 << 20)) + bz2.compress(bytes(9 << 20), 9) * 40),
        "unreadable",
    ),
    "xz with a dictionary of 1.5 GB": (written(dictionary(1_500_000_000)), "unreadable"),
    "gzip cut off": (written(gzip.compress(tar(member("manifest.json", b"[]" * 400)))[:60]), "unreadable"),
    "an index that names itself": (oci, "unreadable"),
    "a tar that is not an image": (written(tar(member("a", b"b"))), "nothing-known"),
    "a tar cut off": (written(tar(member("manifest.json", b"[]" * 900))[:900]), "unreadable"),
}
