"""A folder of 1,000 files as phones and scanners leave them: killed three times, resumed, every image embedded."""

import io
import json
import os
import subprocess
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

from tests.unit.client.conftest import python
from tests.unit.fake_bundle import FakeFunction, encoded, image_bytes

pillow_heif.register_heif_opener()
COUNT = 1000
SCRIPTS = ("strand", "παραλία", "海滩", "شاطئ")
VIDEOS = (".mov", ".mp4", ".MTS")


def photo(number: int, kind: str, size: tuple[int, int] = (24, 18)) -> bytes:
    """Return an image that no other number has."""
    image = Image.effect_noise(size, 40).convert("RGB")
    image.paste((number % 251, number // 251 * 60, 90), (0, 0, size[0] // 2, size[1]))
    if kind == "HEIC":
        buffer = io.BytesIO()
        pillow_heif.from_pillow(image.resize((64, 48))).save(buffer, quality=80)
        return buffer.getvalue()
    return encoded(image, kind)


def lay_out(folder: Path) -> tuple[set[bytes], dict[bytes, str]]:
    """Make the files; return the paths of what can be decoded, and of what cannot with a word of the reason."""
    good: set[bytes] = set()
    bad: dict[bytes, str] = {}

    def add(name: bytes, data: bytes, reason: str = "") -> None:
        path = os.path.join(os.fsencode(folder), name)  # noqa: PTH118 - names are bytes here
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(data)
        if reason:
            bad[path] = reason
        else:
            good.add(path)

    large = Image.effect_noise((1008, 756), 60).convert("RGB").resize((8064, 6048))
    add(b"48-megapixels.jpg", encoded(large, "JPEG", quality=90))
    add(b"flat-48-megapixels.jpg", image_bytes((9, 9, 9), "JPEG", (8064, 6048)))
    add(b"not utf-8 \xe9\xff.jpg", photo(1, "JPEG"))
    add(b"2023/empty.jpg", b"", "it is empty")
    add(b"2023/no image.png", b"just words", "do not start like any of")
    add(b"2023/half.heic", photo(2, "HEIC")[:200], "it is damaged")
    add(b"2023/half.tif", photo(3, "TIFF")[:300], "it is damaged")
    number = 0
    while len(good) + len(bad) < COUNT:
        number += 1
        name = f"{2020 + number % 5}/{SCRIPTS[number % 4]} {number:04}".encode()
        place, _, base = name.rpartition(b"/")
        if number % 17 == 0:
            add(name + VIDEOS[number % 3].encode(), b"\0\0\0\x14ftypqt  " + bytes(99), "video is not supported")
        elif number % 19 == 0:
            add(place + b"/._" + base + b".jpg", b"\0\5\x16\7" + bytes(99), "AppleDouble")
        elif number % 23 == 0:
            add(name + b".jpg", photo(number, "JPEG")[:150], "ends early or is damaged")
        else:
            kind = ("JPEG", "JPEG", "PNG", "HEIC", "AVIF", "TIFF", "WEBP")[number % 7]
            add(name + f".{kind.lower()}".encode(), photo(number, kind))
    return good, bad


def names(out: Path) -> list[bytes]:
    return [os.fsencode(name) for name in json.loads(out.with_suffix(".names.json").read_text())["names"]]


def strangers(out: Path) -> list[bytes]:
    """Return the files whose vector is not of what Pillow sees in them: the stand-in's is the mean color."""
    wrong = []
    for name, vector in zip(names(out), np.load(out), strict=True):
        with Image.open(os.fsdecode(name)) as image:
            image.draft("RGB", (1008, 756))
            mean = np.array([*(np.asarray(image.convert("RGB")).mean(axis=(0, 1)) / 255), 1.0])
        if np.abs(vector - mean / np.linalg.norm(mean)).max() > 0.02:
            wrong.append(name)
    return wrong


def test_a_folder_of_1000_files_killed_three_times(
    url: str, function: FakeFunction, tmp_path: Path, monkeypatch: Any
) -> None:
    folder = tmp_path / "photos"
    good, bad = lay_out(folder)
    (folder / "2020" / "IMG.xmp").write_text("a sidecar")
    kill: list[tuple[subprocess.Popen[bytes], int]] = []
    asked, starting, invoke = Counter[str](), threading.Lock(), function.invoke

    def counted(event: Any) -> Any:
        with starting:  # no request is counted before it is known which one is the last
            asked["requests"] += 1
            if kill and asked["requests"] >= kill[0][1]:
                kill.pop()[0].kill()
        return invoke(event)

    monkeypatch.setattr(function, "invoke", counted)
    whole, out = tmp_path / "whole.npy", tmp_path / "out.npy"

    asked_for = ("embed", folder, "--jobs", "4", "--url", url, "--output")
    process = python(*asked_for, whole)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 3
    for part in (12, 25, 30):
        with starting:
            process = python(*asked_for, out, "--resume")
            kill.append((process, asked["requests"] + part))
        process.communicate(timeout=120)
        assert process.returncode == -9
    process = python(*asked_for, out, "--resume", "--json")
    report, _ = process.communicate(timeout=120)

    assert process.returncode == 3
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == sorted(
        ["out.npy", "out.names.json", "whole.npy", "whole.names.json"]
    )
    assert (set(names(out)), len(names(out)), strangers(out)) == (good, len(good), [])
    assert len(json.loads(report)["report"]["skipped"]) == len(bad)
    _hold(told.decode().splitlines(), len(good), bad)


def _hold(lines: list[str], good: int, bad: dict[bytes, str]) -> None:
    """Every file without a result is named with its reason, and all are counted."""
    assert any(line.startswith(f"{good} of {COUNT:,} done, {len(bad)} skipped: results are in ") for line in lines)
    for path, reason in bad.items():
        shown = path.decode()
        assert any(line.startswith(f"skipped {shown}: ") and reason in line for line in lines), (shown, reason)
    assert "not looked at, since their names are not those of images: 1 .xmp" in lines
