"""Patterns with `**`: what the standard library finds in a tree without links is found, and links change nothing."""

import glob
import os
from pathlib import Path

import pytest
from openclip_lambda.bulk.inputs import Inputs

FILES = ("a.png", "b.PNG", ".hidden.png", "s/a.png", "s/t/a.png", "s/t/[1].png", ".h/a.png", "[x]/a.png", "x y/s/a.png")
PATTERNS = (
    *("photos/**/*.png", "photos/**", "photos/**/", "**/a.png", "./**/*.png", "photos/**/s/*", "photos/**/s/**/*.png"),
    *("*/**/[!b]*", "photos/[[]x]/**/*.png", "photos/**/**/a.png", "photos/s**/*.png"),
    *("photos/.h/**/*.png", "photos/**/.hidden.png"),
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "photos"


def named(pattern: str) -> list[str]:
    return [source.name for source in Inputs([pattern]) if not source.problem]


def expected(pattern: str) -> list[str]:
    """Ask the standard library, whose directories are no images, and which may name a file twice."""
    return sorted({name for name in glob.glob(pattern, recursive=True) if not os.path.isdir(name)})  # noqa: PTH112, PTH207


@pytest.mark.parametrize("pattern", [*PATTERNS, "{absolute}/**/*.png"])
def test_two_stars_are_a_directory_and_all_below_it_without_links_to_directories(folder: Path, pattern: str) -> None:
    pattern = pattern.format(absolute=folder)
    without_links = expected(pattern)
    assert named(pattern) == without_links

    (folder / "around").symlink_to(".")
    (folder / "s" / "up").symlink_to("..")  # of two such links, whoever follows them does not come to an end
    (folder / "s" / "t" / "elsewhere").symlink_to(folder.parent)
    assert named(pattern) == without_links


def test_a_link_to_a_file_is_found_and_a_link_that_is_named_is_followed(folder: Path) -> None:
    (folder / "s" / "linked.png").symlink_to("a.png")
    (folder.parent / "link").symlink_to("photos/s")
    assert named("photos/**/linked.png") == ["photos/s/linked.png"]
    assert named("link/**/*.png") == ["link/a.png", "link/linked.png", "link/t/[1].png", "link/t/a.png"]


def test_a_pattern_that_nothing_matches_says_so(folder: Path) -> None:
    for pattern in ("photos/**/*.jpg", "nowhere/**/*.png", "nowhere/**"):
        (source,) = Inputs([pattern])
        assert source.problem == "no file matches this pattern"
