"""Texts as editors save them: read whatever they are in, or refused with how to save them."""

import json
import os
from pathlib import Path

import pytest

from layer.errors import LockError, SpecError
from layer.files import text_file
from layer.sources import lock
from layer.spec import read_spec

TOML = '[[model]]\nname = "hf-hub:acme/tiny"\nengine = "torch"\n'


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_models_toml_is_read_in_whatever_encoding_and_line_ends_an_editor_saved_it(
    tmp_path: Path, encoding: str, ends: str
) -> None:
    path = tmp_path / "models.toml"
    path.write_bytes((TOML + "# größer 模型\n").replace("\n", ends).encode(encoding))

    assert [model.id for model in read_spec(path).models] == ["acme/tiny"]


@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
def test_utf16_of_either_byte_order_is_read_by_its_mark(encoding: str) -> None:
    assert text_file.decode(("\ufeff" + TOML).encode(encoding)) == TOML


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (TOML.encode() + "# größer".encode("latin-1"), r"is not UTF-8 \(line 4, byte 0xf6\): save it as UTF-8"),
        (TOML.encode() + "# 圆形".encode("gbk"), r"is not UTF-8 \(line 4, byte 0x..\): save it as UTF-8"),
        (TOML.encode("utf-16-le"), "has NUL characters .*save it as UTF-8"),
        (b"\xff\xfea", "is not UTF-16"),
        ("[[model]]\nname = “hf-hub:a/b”\n".encode(), "line 2.*LEFT DOUBLE QUOTATION MARK.*write straight quotes"),
        ("[[model]]\nname\u00a0= 'hf-hub:a/b'\n".encode(), r"line 2.*U\+00A0 NO-BREAK SPACE, remove it"),
        ("[[model]]\n\u200bname = 'hf-hub:a/b'\n".encode(), r"line 2.*U\+200B ZERO WIDTH SPACE, remove it"),
        (b"[[model]]\nname = 'a\x00b'\n", "has NUL characters"),
        (b"<<<<<<< HEAD\n[[model]]\n", "is not TOML"),
        (b"x = " + b"[" * 5000, "is nested too deep|is not TOML"),
        (b"#" * (9 << 20), "is larger than 8 MB"),
    ],
    ids=[*("latin-1", "gbk", "utf-16 without a mark", "half a character", "curly quotes", "no-break space"), *"uvwxy"],
)
def test_what_cannot_be_read_is_refused_with_its_place_and_the_fix(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "models.toml"
    path.write_bytes(data)

    with pytest.raises(SpecError, match=rf"models\.toml .*({says})"):
        read_spec(path)


def test_tabs_are_blanks_of_toml(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text('[[model]]\n\tname\t=\t"hf-hub:acme/tiny"\t# a comment\n')

    assert [model.id for model in read_spec(path).models] == ["acme/tiny"]


def test_a_pipe_and_a_directory_are_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "folder.toml").mkdir()

    with pytest.raises(SpecError, match=r"pipe\.toml is not a regular file"):
        read_spec(tmp_path / "pipe.toml")
    with pytest.raises(SpecError, match=r"folder\.toml is a directory"):
        read_spec(tmp_path / "folder.toml")


def locked(**changed: object) -> str:
    source: dict[str, object] = {"repo": "acme/tiny", "asked": None, "revision": "a" * 40, "roles": "weights"}
    source |= {"license": "mit", "files": {"config.json": f"2 {'0' * 64}"}, **changed}
    return json.dumps({"version": 1, "models": {"acme/tiny": [source]}})


def test_models_lock_is_read_with_a_mark_and_crlf(tmp_path: Path) -> None:
    path = tmp_path / "models.lock"
    path.write_bytes(locked().replace(",", ",\r\n").encode("utf-8-sig"))

    [source] = lock.read(path)["acme/tiny"]
    assert (source.revision, source.files["config.json"].size) == ("a" * 40, 2)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"revision": "../" * 9}, "is not a commit"),
        ({"revision": "main"}, "is not a commit"),
        ({"revision": None}, "is not a commit"),
        ({"repo": "../../etc"}, "is not a repository id"),
        ({"repo": ["x"]}, "is not a repository id"),
        ({"asked": "a\nb"}, "is not a branch"),
        ({"files": {"../x": f"2 {'0' * 64}"}}, "is a path, not the name of a file"),
        ({"files": {"/etc/passwd": f"2 {'0' * 64}"}}, "is a path"),
        ({"files": {"a\u0000b": f"2 {'0' * 64}"}}, "cannot be printed"),
        ({"files": {"a": "2 xyz"}}, "is not a sha256"),
        ({"files": {"a": f"-2 {'0' * 64}"}}, "is not a size"),
        ({"files": {"a": "2"}}, "damaged"),
        ({"files": {"a.json": f"2 {'0' * 64}", "A.json": f"2 {'0' * 64}"}}, "differ in case alone"),
        ({"license": "\u001b[2J"}, "is not a license"),
    ],
    ids=ascii,
)
def test_a_lock_that_would_lead_elsewhere_is_refused(tmp_path: Path, changed: dict[str, object], says: str) -> None:
    path = tmp_path / "models.lock"
    path.write_text(locked(**changed))

    with pytest.raises(LockError, match=rf"(?s)models\.lock is damaged .*{says}|{says}") as caught:
        lock.read(path)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["[]", "null", '{"version": 1}', '{"version": 1, "models": [1]}', "[" * 100_000, '{"version": {}}', "<<<<<<<"],
)
def test_a_lock_of_another_kind_is_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / "models.lock").write_text(text)

    with pytest.raises(LockError, match=r"models\.lock"):
        lock.read(tmp_path / "models.lock")
