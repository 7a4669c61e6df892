"""What may become part of a path, a URL or a command, and every form of what may not."""

import pytest
from huggingface_hub.utils import HFValidationError, validate_repo_id

from layer.naming import validate

HOSTILE = (
    *("..", ".", "", "../x", "/etc/passwd", "a/../b", "a\\b", "..\\x", "C:\\x", "C:x", "a\0b", "a\nb", "a\x1b[31m"),
    *(
        "a\u2028b",
        "x" * 300,
        "é" * 150,
        "nul",
        "NUL.json",
        "com1.txt",
        "aux",
        "name.",
        "name ",
        None,
        7,
        ["x"],
        "\ud800",
    ),
)


@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
def test_a_name_that_would_leave_its_directory_or_that_a_file_system_refuses_is_none(value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        validate.relative_path(value if not isinstance(value, str) else f"models/{value}")
    if value != "a/../b":
        with pytest.raises(ValueError, match=r"."):
            validate.file_name(value)


@pytest.mark.parametrize("value", ["models/a--b/hub/refs/main", "manifest.json", "a/.no_exist/b", "größe.json"])
def test_a_bundles_own_paths_are_taken(value: str) -> None:
    assert validate.relative_path(value) == value


@pytest.mark.parametrize(
    "value", ["x" * 40, "a" * 39, "A" * 40, "a" * 41, "a" * 39 + "\n", "a" * 40 + "\n", "../" * 13 + "a", None, 1]
)
def test_a_commit_is_forty_hex_digits(value: object) -> None:
    with pytest.raises(ValueError, match="is not a commit: one is 40 hexadecimal digits"):
        validate.commit(value)


@pytest.mark.parametrize("value", ["0" * 63, "0" * 65, "G" * 64, "0" * 64 + "\n", None, b"0" * 64])
def test_a_sha256_is_sixty_four(value: object) -> None:
    with pytest.raises(ValueError, match="is not a sha256"):
        validate.sha256(value)


@pytest.mark.parametrize(
    ("value", "sound"),
    [
        *((good, True) for good in ("timm/ViT-B-16-SigLIP", "bert-base-uncased", "a_b/c.d", "xlm-roberta-base", "a/b")),
        *((bad, False) for bad in ("../x", "a/..", "a/b/c", "/a", "a/", "a--b/c", "a/b..c", "-a/b", "a/b-", "a b/c")),
        *((bad, False) for bad in ("a/b\n", "a/b?x", "a/b#x", "a/" + "b" * 97, "a%2fb", "模型/名字", "", "a/b.")),
    ],
)
def test_a_repository_id_is_what_huggingface_hub_takes_too(value: str, sound: bool) -> None:
    if sound:
        validate_repo_id(value)
        assert validate.repository(value) == value
        return
    with pytest.raises(ValueError, match="is not a repository id"):
        validate.repository(value)
    if value.isascii() and value.strip() == value:  # theirs lets a newline at the end and other scripts' letters pass
        with pytest.raises(HFValidationError):
            validate_repo_id(value)


@pytest.mark.parametrize("value", ["main", "v1.0", "refs/pr/3", "0" * 40, "feature/x-y", "release_1"])
def test_branches_tags_and_commits_are_taken(value: str) -> None:
    assert validate.revision(value) == value


@pytest.mark.parametrize(
    "value",
    ["", "a..b", "../x", "a b", "a\n", "-x", "/x", "x/", "x.lock", "a~1", "a^", "a:b", "a?b", "a*b", "a[b", "a\\b"],
)
def test_what_git_takes_for_no_ref_is_none(value: str) -> None:
    with pytest.raises(ValueError, match="is not a branch, tag or commit"):
        validate.revision(value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.example/w.pt", "w.pt"),
        ("https://a.example/x/w.pt?token=/../y", "w.pt"),
        ("https://a.example/w.pt#/../z", "w.pt"),
        ("https://a.example/", None),
        ("https://a.example/..", None),
        ("https://a.example", None),
    ],
)
def test_the_file_of_a_url_is_its_paths_last_part(url: str, name: str | None) -> None:
    if name is None:
        with pytest.raises(ValueError, match="file name"):
            validate.url_file(url)
    else:
        assert validate.url_file(url) == name


def test_what_is_shown_of_a_foreign_value_is_one_short_printable_line() -> None:
    for value in ("\x1b[2J", "a\nb", "x" * 10_000, "\u202e", ["\x1b"] * 1000):
        told = validate.shown(value)
        assert told.isprintable()
        assert len(told) <= 83
