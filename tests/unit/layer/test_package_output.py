"""`package --output` replaces packages, and nothing that somebody else put there."""

import zipfile
from pathlib import Path

import pytest

from layer.errors import PackageError
from layer.package import replaceable

ZIPS: dict[str, tuple[str, ...]] = {"function.zip": ("handler", "handler_ext"), "layer.zip": ("openclip",)}


def check(output: Path) -> None:
    replaceable.check(output, "package.json", ("image", "search-image"), ZIPS)


def test_a_folder_of_images_and_a_zip_of_somebody_elses_are_refused(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "cat.jpg").write_bytes(b"x")
    with pytest.raises(PackageError, match=r"image is not of a package, .* name another --output"):
        check(tmp_path)

    (tmp_path / "image" / "cat.jpg").rename(tmp_path / "cat.jpg")
    with zipfile.ZipFile(tmp_path / "function.zip", "w") as archive:
        archive.writestr("thesis.tex", "x")
    with pytest.raises(PackageError, match=r"function\.zip is not of a package"):
        check(tmp_path)
    assert (tmp_path / "function.zip").exists()


def test_an_empty_folder_a_package_and_what_a_killed_packager_left_are_replaced(tmp_path: Path) -> None:
    check(tmp_path / "new")
    check(tmp_path)
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "Dockerfile").write_text("FROM scratch\n")
    with zipfile.ZipFile(tmp_path / "layer.zip", "w") as archive:
        archive.writestr("openclip/manifest.json", "{}")
    check(tmp_path)
    (tmp_path / "function.zip").write_bytes(b"cut")
    (tmp_path / "package.json").write_text("{}")
    check(tmp_path)
